"""Scenarios, drugs, populations, results and command lines with something wrong in them, the same ones for the same seed.

A case is files in an empty folder and a command. Either a file that comes with the package is changed in one to three places, or a
command line is: every command of `tme`, and every option that it declares, is found by asking the command itself.
"""

import json
import math
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.main import get_command

import tme_abm
from tme_abm.analysis.calibration.plan import PLAN
from tme_abm.cli.app import app
from tme_abm.scenario.reading import questions, scenarios

PACKAGE = Path(tme_abm.__file__).parent
RESULTS = "results"  # the folder of results that a case has, if any
BANK, POSTERIOR, PARTS = "bank", "posterior", "parts"  # a small bank, the sets of a posterior, a trial run in two parts
STOCK = (RESULTS, BANK, POSTERIOR, PARTS)  # what `mutations.make_stock` makes once, and cases take copies of
STUDY = """title = "Study"
summary = "One arm on a small patch."
population = "{population}"
patients = 2
seed = 1

[marrow]
shape = [32, 32]

[trial]
follow_up = ["3 month", "4 month"]

[arms.a]
label = "Arm"
doses = [{{ drug = "{drug}", dose = "{dose}", days = [1, 8] }}]

[drugs]
{drugs}
"""
SWEEP = """kind = "sweep"
title = "Sweep"
summary = "Two doses."
scenario = "study.toml"
patients = 2

[axes.start]
label = "seed"
path = "seed"
values = [1, 2]
"""
BANK_PLAN = """seed = 7

[marrow]
shape = [32, 32]

[widen]
growth_rate = 1.2

[arms.pd]
scenario = "icaria"
until = "3 month"

[arms.isa-pd]
scenario = "icaria"
until = "3 month"
combination = true

[[cohorts]]
population = "icaria"
share = 1.0
arms = ["pd", "isa-pd"]
"""
CALIBRATION = """seed = 7

[targets]
icaria = ["pd"]

[tolerance]
time = 0.05
share = 0.03

[[free]]
path = "population.icaria.growth_rate.median"
prior = [0.0052, 0.0120]
scale = "log"
"""
BANK_SUMMARY = b'{"candidates": 0, "eligible": 0, "runs": 0, "model": ""}'
LIVE = """kind = "live"
title = "Live"
summary = "One patient on a small patch, changed on the way."
patient = "0"
arms = ["a", "b"]
patch = 32
until = 3.0
without_b = ["adcc"]

[[changes]]
day = 1.0
side = "a"
drug = "pomalidomide"
factor = 0.5

[[changes]]
day = 2.0
side = "b"
mechanism = "adcp"
on = false

[study]
title = "Study"
summary = "Two arms."
population = "icaria"
patients = 2
seed = 1

[study.trial]
follow_up = ["3 month", "4 month"]

[study.arms.a]
label = "A"
doses = [{ drug = "pomalidomide", dose = "4 mg", days = [1, 8] }]

[study.arms.b]
label = "B"
doses = [{ drug = "isatuximab", dose = "10 mg/kg", days = [1, 8] }]
"""


class Case(NamedTuple):
    """What is tried.

    Attributes:
        number: Of the case; seed and number make it.
        family: What kind of case it is, for the table.
        what: What is wrong, in words.
        files: Name in the folder -> content.
        command: The arguments of `tme`.
        mutated: The file that is wrong; empty where the command line is.
        needs: What else must stand in the folder: of `STOCK`, and "places" (links, a pipe, unreadable files).
    """

    number: int
    family: str
    what: str
    files: dict[str, bytes]
    command: tuple[str, ...]
    mutated: str = ""
    needs: tuple[str, ...] = ()


# ---- what is done to a text --------------------------------------------------------------------------------------------

Change = Callable[[random.Random, bytes], bytes]
NUMBER = re.compile(rb"(?<![\w.\"-])-?\d+(?:\.\d+)?(?![\w.\"-])")
KEY = re.compile(rb"^([A-Za-z0-9_-]+)(?=\s*=)", re.MULTILINE)
NAMED = re.compile(rb"^(\[+)([A-Za-z0-9_.-]+)(?=\])", re.MULTILINE)
WORDS = re.compile(rb"\"[^\"\n]*\"")
VALUE = re.compile(rb"(?<==)[ \t]*[^#\n]+$", re.MULTILINE)
NUMBERS = (b"0", b"-1", b"1e308", b"-1e308", b"nan", b"inf", b"-inf", b"1" + b"0" * 30, b"-0.0", b"1e-320", b"0.5", b"99999999", b"true")
VALUES = (
    *(b"true", b'""', b'" "', b"[]", b"{}", b"[[]]", b"[{}]", b"1979-05-27T07:32:00Z", b"07:32:00", b"1979-05-27", b"0xFF", b"1_000"),
    *(
        b"'''a\nb'''",
        b'"[bold]"',
        b'"\\u001b[31m"',
        b'"\\u0000"',
        b'"../../.."',
        b'"/dev/null"',
        b'"%s{0}"',
        b'"\xe2\x98\x83"',
        b"{ x = 1 }",
    ),
    *(b'["a"]', b"[nan]", b"[1, 2]", b"[1e400]", b'"1e400 d"', b'"-5 d"', b'"6 parsec"', b'"9999 mg/kg"', b'"mg"', b'"20"', b'"a.toml"'),
)
INSERTS = (
    b"\x00",
    b"\xff",
    b"\xe2\x98\x83",
    b"\xef\xbb\xbf",
    b"\r",
    b"\x1b[31m",
    b'"',
    b"'",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
    b"#",
    b"\\",
    b"\t",
)


def _spots(pattern: re.Pattern[bytes], text: bytes, chance: random.Random) -> tuple[int, int] | None:
    found = [m.span() for m in pattern.finditer(text)]
    return chance.choice(found) if found else None


def _put(pattern: re.Pattern[bytes], choose: Callable[[random.Random, bytes], bytes]) -> Change:
    """A change of one of the places where a pattern stands."""

    def change(chance: random.Random, text: bytes) -> bytes:
        spot = _spots(pattern, text, chance)
        return text if spot is None else text[: spot[0]] + choose(chance, text[spot[0] : spot[1]]) + text[spot[1] :]

    return change


def _on_lines(edit: Callable[[random.Random, list[bytes], int], None]) -> Change:
    """A change of the lines of a text."""

    def change(chance: random.Random, text: bytes) -> bytes:
        lines = text.splitlines(keepends=True) or [b""]
        edit(chance, lines, chance.randrange(len(lines)))
        return b"".join(lines)

    return change


def misspelt(chance: random.Random, word: bytes) -> bytes:
    """A word with a letter swapped, left out, doubled or changed."""
    if len(word) < 2:
        return word + b"x"
    i = chance.randrange(len(word) - 1)
    return chance.choice(
        (
            word[:i] + word[i + 1 : i + 2] + word[i : i + 1] + word[i + 2 :],
            word[:i] + word[i + 1 :],
            word[: i + 1] + word[i:],
            word[:i] + b"x" + word[i + 1 :],
            word.upper(),
        )
    )


def _flip(chance: random.Random, text: bytes) -> bytes:
    at = chance.randrange(max(len(text), 1))
    return text[:at] + bytes([text[at] ^ (1 << chance.randrange(8))]) + text[at + 1 :] if text else text


def _swap(chance: random.Random, lines: list[bytes], i: int) -> None:
    j = chance.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]


def _insert(chance: random.Random, text: bytes) -> bytes:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(INSERTS) + text[at:]


def _remove(chance: random.Random, text: bytes) -> bytes:
    """A bracket, quote, comma or equals sign goes."""
    spot = _spots(re.compile(rb"[\[\]{}\"',=]"), text, chance)
    return text if spot is None else text[: spot[0]] + text[spot[1] :]


def _extra(chance: random.Random, lines: list[bytes], i: int) -> None:
    """A line that nobody asked for."""
    lines.insert(
        i,
        chance.choice(
            (
                b"x = 1\n",
                b"a.b.c.d.e.f.g.h = 1\n",
                b".".join([b"a"] * 2000) + b" = 1\n",
                b"deep = " + b"[" * 40 + b"]" * 40 + b"\n",
                b"deep = " + b"[" * 3000 + b"]" * 3000 + b"\n",
                b"deep = " + b"{a=" * 300 + b"1" + b"}" * 300 + b"\n",
                b"days = [" + b"1," * 20_000 + b"]\n",
                b'label = "' + b"a" * 20_000 + b'"\n',
                b"[arms]\n",
                b"[[arms]]\n",
                b"[parameters.adcc]\nx = { value = 1 }\n",
                b'kind = "assay"\n',
                b'without = ["adcc", "adc"]\n',
                b"patients = 3\n",
                b'"" = 1\n',
                b'"a b" = 1\n',
                b'[drugs]\nfolder = "nowhere"\n',
                b'doses = [{ drug = "isatuximab" }]\n',
            )
        ),
    )


def _renumber(chance: random.Random, _: bytes) -> bytes:
    return chance.choice(NUMBERS)


CHANGES: dict[str, Change] = {
    "a bit flipped": _flip,
    "a line left out": _on_lines(lambda _, lines, i: lines.__delitem__(i)),
    "a line doubled": _on_lines(lambda _, lines, i: lines.insert(i, lines[i])),
    "two lines swapped": _on_lines(_swap),
    "a line added": _on_lines(_extra),
    "cut off": lambda chance, text: text[: chance.randrange(len(text) + 1)],
    "another number": _put(NUMBER, _renumber),
    "another number, too": _put(NUMBER, _renumber),
    "another value": _put(VALUE, lambda chance, _: b" " + chance.choice(VALUES)),
    "another value, too": _put(VALUE, lambda chance, _: b" " + chance.choice(VALUES)),
    "another word": _put(
        WORDS, lambda chance, word: chance.choice((b'""', b'"x"', b"1", b"[]", b'"' + misspelt(chance, word[1:-1]) + b'"'))
    ),
    "a word misspelt": _put(WORDS, lambda chance, word: b'"' + misspelt(chance, word[1:-1]) + b'"'),
    "a key misspelt": _put(KEY, misspelt),
    "a key of another place": _put(KEY, lambda chance, _: chance.choice((b"drug", b"dose", b"label", b"value", b"unit", b"kind", b"seed"))),
    "a table misspelt": _put(NAMED, misspelt),
    "a character put in": _insert,
    "a bracket or a quote left out": _remove,
    "a byte-order mark": lambda _, text: b"\xef\xbb\xbf" + text,
    "lines as on Windows": lambda _, text: text.replace(b"\n", b"\r\n"),
    "lines as on an old Mac": lambda _, text: text.replace(b"\n", b"\r"),
    "in UTF-16": lambda _, text: text.decode("utf-8", "replace").encode("utf-16"),
    "twice the same": lambda _, text: text + b"\n" + text,
    "empty": lambda _, text: b"",
}
RARE = ("a byte-order mark", "lines as on Windows", "lines as on an old Mac", "in UTF-16", "twice the same", "empty", "cut off")


def mutate(chance: random.Random, text: bytes) -> tuple[bytes, str]:
    """A text with one to three changes, and their names."""
    names = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        name = chance.choices(list(CHANGES), [0.25 if name in RARE else 1.0 for name in CHANGES])[0]
        text = CHANGES[name](chance, text)
        names.append(name.removesuffix(", too"))
    return text, ", ".join(names)


# ---- files -------------------------------------------------------------------------------------------------------------


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _kinds() -> dict[str, list[Path]]:
    """Bundled scenarios by what runs them."""
    found: dict[str, list[Path]] = {}
    for path in (scenarios() | questions()).values():
        declared = re.search(rb'^kind\s*=\s*"(\w+)"', _read(path), re.MULTILINE)
        found.setdefault(declared[1].decode() if declared else "trial", []).append(path)
    return found


COMMANDS_OF = {
    "trial": (*["validate"] * 6, *["show"] * 3, "run", "run", "attribute", "converge", "export"),
    "sweep": ("validate", "sweep"),
    "sensitivity": ("validate", "sensitivity"),
    "design": ("validate", "design"),
}
FROM_BANK = ("--bank", BANK, "--posterior", POSTERIOR)
MORE = {
    "export": ("--to", "h5ad"),
    "attribute": ("--samples", "1", "--patients", "2"),
    "converge": ("--patients", "2"),
    "design": FROM_BANK,
}


def scenario_case(number: int, chance: random.Random) -> Case:
    """A scenario that is wrong."""
    weights = {"trial": 6.0, "sensitivity": 0.1, "sweep": 0.6}  # a good sensitivity analysis is laid out in seconds
    kind = chance.choices(list(_kinds()), [weights.get(kind, 1.0) for kind in _kinds()])[0]
    path = chance.choice(_kinds()[kind])
    text, what = mutate(chance, _read(path))
    command = chance.choice(COMMANDS_OF.get(kind, ("validate", "validate", "show", "run")))
    return Case(
        number,
        f"scenario, {command}",
        f"{path.stem}: {what}",
        {"study.toml": text},
        (command, "study.toml", *MORE.get(command, ())),
        "study.toml",
        (BANK, POSTERIOR) if command == "design" else (),
    )


def drug_case(number: int, chance: random.Random) -> Case:
    """A drug that is wrong."""
    path = chance.choice(sorted((PACKAGE / "pharmacology" / "drugs").glob("*.toml")))
    text, what = mutate(chance, _read(path))
    study = STUDY.format(population="icaria", drug=path.stem, dose="10 mg", drugs='folder = "drugs"').encode()
    name = f"drugs/{path.name}"
    command = chance.choice(("validate", "show", "run"))
    return Case(number, "drug", f"{path.stem}: {what}", {"study.toml": study, name: text}, (command, "study.toml"), name)


def mouse_case(number: int, chance: random.Random) -> Case:
    """A drug in the mouse that is wrong."""
    path = chance.choice(sorted((PACKAGE / "pharmacology" / "drugs" / "mouse").glob("*.toml")))
    text, what = mutate(chance, _read(path))
    giving = [p for p in _kinds()["xenograft"] if path.stem.encode() in _read(p)] or _kinds()["xenograft"]
    study = _read(chance.choice(giving)) + b'\n[drugs]\nfolder = "drugs"\n'
    drug = _read(PACKAGE / "pharmacology" / "drugs" / path.name)
    name = f"drugs/mouse/{path.name}"
    files = {"study.toml": study, f"drugs/{path.name}": drug, name: text}
    return Case(number, "drug in the mouse", f"{path.stem}: {what}", files, (chance.choice(("validate", "show")), "study.toml"), name)


def population_case(number: int, chance: random.Random) -> Case:
    """A population that is wrong."""
    path = chance.choice(sorted((PACKAGE / "patients" / "populations").glob("*.toml")))
    text, what = mutate(chance, _read(path))
    study = STUDY.format(population="mine.toml", drug="pomalidomide", dose="4 mg", drugs="").encode()
    files = {"study.toml": study, "mine.toml": text}
    return Case(
        number, "population", f"{path.stem}: {what}", files, (chance.choice(("validate", "show", "run")), "study.toml"), "mine.toml"
    )


def plan_case(number: int, chance: random.Random) -> Case:
    """A plan of a calibration that is wrong."""
    text, what = mutate(chance, _read(PLAN))
    files = {"plan.toml": text, "bank/sittings.json": _bank(), "bank/summary.json": BANK_SUMMARY}
    return Case(number, "plan", what, files, ("calibrate", "plan.toml", "--bank", "bank", "--steps", "50"), "plan.toml")


@cache
def _bank() -> bytes:
    """As much of a bank as a calibration reads before it begins: which arms it has run."""
    from tme_abm.analysis.bank.plan import read_plan
    from tme_abm.analysis.bank.run import described_arms
    from tme_abm.scenario.kinds import load_trial

    return json.dumps({"sittings": [], "arms": described_arms(read_plan(load_trial))}).encode()


def bank_plan_case(number: int, chance: random.Random) -> Case:
    """A plan of a bank that is wrong."""
    own = chance.choice((BANK_PLAN.encode(), _read(PACKAGE / "analysis" / "bank" / "bank.toml")))
    text, what = mutate(chance, own)
    return Case(number, "plan of a bank", what, {"plan.toml": text}, ("bank", "plan.toml", "--patients", "2"), "plan.toml")


def live_case(number: int, chance: random.Random) -> Case:
    """What was done live, with something wrong in it."""
    text, what = mutate(chance, LIVE.encode())
    command = chance.choice(("validate", "show", "run", "view"))
    more = ("--no-browser",) if command == "view" else ()
    return Case(number, "what was done live", what, {"live.toml": text}, (command, "live.toml", *more), "live.toml")


def sweep_case(number: int, chance: random.Random) -> Case:
    """A sweep over a study that is wrong."""
    path = chance.choice(_kinds()["trial"])
    text, what = mutate(chance, _read(path))
    files = {"sweep.toml": SWEEP.encode(), "study.toml": text}
    return Case(
        number, "sweep of a study", f"{path.stem}: {what}", files, (chance.choice(("validate", "sweep")), "sweep.toml"), "study.toml"
    )


DAMAGES = (
    *("cut off", "empty", "a bit flipped", "left out", "a folder", "another value", "another number", "a line left out"),
    *("an entry left out", "an entry of another kind") * 2,
)
PART = "part-00000.parquet"
PATHS_OF_STOCK: dict[str, tuple[str, ...]] = {  # by the folder of the stock, what a case damages
    RESULTS: (
        *(
            "scenario.toml",
            "run.json",
            "summary.json",
            "patients.parquet",
            f"trajectory.parquet/{PART}",
            ".tme-results.json",
            "report.html",
        ),
    ),
    BANK: (
        *("sittings.json", "summary.json", "patients.parquet", "runs.parquet", f"visits.parquet/{PART}", ".tme-results.json"),
        *("bank.toml", "run.json", ".tme-run/identity.json", ".tme-run/journal/00001.shard"),
    ),
    POSTERIOR: ("posterior.parquet",),
    PARTS: ("1/part.json", "2/part.json", "1/scenario.toml", "2/scenario.toml", "1/journal/00001.shard", "2/.tme-results.json"),
}
READERS: dict[str, tuple[tuple[str, ...], ...]] = {  # by the folder of the stock, who reads it
    RESULTS: (
        ("report", RESULTS),
        *(("export", RESULTS, "--to", to) for to in ("csv", "adam", "nonmem")),
        ("run", f"{RESULTS}/scenario.toml", "--out", RESULTS),
        ("run", f"{RESULTS}/scenario.toml", "--out", RESULTS, "--force"),
    ),
    BANK: (
        ("design", "icaria_200", *FROM_BANK),
        ("predict", "--scenarios", "icaria", *FROM_BANK),
        ("calibrate", "plan.toml", "--bank", BANK, "--steps", "50"),
        ("bank", "bank.toml", "--out", BANK, "--patients", "8", "--arms", "all"),
        ("bank", "bank.toml", "--out", BANK, "--patients", "9", "--arms", "all"),
    ),
    POSTERIOR: (
        ("design", "icaria_200", *FROM_BANK),
        ("predict", "--scenarios", "icaria", *FROM_BANK),
        ("run", "icaria", "--draws", "2", "--patients", "4", "--posterior", POSTERIOR),
    ),
    PARTS: (("merge", f"{PARTS}/1", f"{PARTS}/2"), ("merge", f"{PARTS}/2", f"{PARTS}/1", "--out", "out")),
}


def damage_case(number: int, chance: random.Random) -> Case:
    """A folder of results, a bank, a posterior or a part one of whose files is damaged."""
    folder = chance.choices(STOCK, (0.35, 0.35, 0.1, 0.2))[0]
    name, command = chance.choice(PATHS_OF_STOCK[folder]), chance.choice(READERS[folder])
    what, needs = chance.choice(DAMAGES), tuple(one for one in STOCK if one == folder or one in command)
    files = {"bank.toml": BANK_PLAN.encode(), "plan.toml": CALIBRATION.encode()} if folder == BANK else {}
    return Case(number, f"damaged {folder}", f"{name}: {what}", files, command, f"{folder}/{name}", needs)


def damage(case: Case, folder: Path, seed: str) -> None:
    """Damage a file as a case says."""
    path, what = folder / case.mutated, case.what.rpartition(": ")[2]
    chance = random.Random(f"{seed}-{case.number}-damage")
    if what == "left out":
        path.unlink()
    elif what == "a folder":
        path.unlink()
        path.mkdir()
    elif not what.startswith("an entry"):
        path.write_bytes(CHANGES[what](chance, path.read_bytes()))
    elif path.suffix == ".json":
        path.write_text(json.dumps(_entry_changed(chance, json.loads(path.read_bytes()), what)), encoding="utf-8")
    elif path.suffix == ".parquet":
        _change_column(chance, path, what)
    else:
        path.write_bytes(mutate(chance, path.read_bytes())[0])


ENTRIES = (None, "", "x", -1, 0, 1.5, 10**30, True, [], {}, ["x"], {"x": 1}, math.nan)


def _entry_changed(chance: random.Random, table: Any, what: str) -> Any:
    """A table of JSON one of whose entries is gone, or of another kind: nearer the top as likely as deep."""
    node = table
    while True:
        if not node:
            return table
        key = chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))
        if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.7:
            node = node[key]
            continue
        if what == "an entry left out":
            del node[key]
        else:
            node[key] = chance.choice(ENTRIES)
        return table


def _change_column(chance: random.Random, path: Path, what: str) -> None:
    """A column of a table is gone; or empty, or of words, or called otherwise; or the table has no row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    at = chance.randrange(table.num_columns)
    name, how = table.column_names[at], "gone" if what == "an entry left out" else chance.choice(("none", "words", "renamed", "no row"))
    if how == "gone":
        table = table.drop_columns([name])
    elif how == "renamed":
        table = table.rename_columns([f"{own}x" if own == name else own for own in table.column_names])
    elif how == "no row":
        table = table.slice(0, 0)
    else:
        column = pa.nulls(len(table), table.schema.field(at).type) if how == "none" else pa.array(["x"] * len(table))
        table = table.set_column(at, name, column)
    pq.write_table(table, path)


# ---- command lines -----------------------------------------------------------------------------------------------------

VALID: dict[str, tuple[tuple[str, ...], ...]] = {
    "run": (
        *(("untreated",), ("icaria",), ("figure1_adenosine",), ("study.toml",), ("study.toml", "--part", "1/2"), ("live.toml",)),
        ("icaria", "--draws", "2", "--patients", "4", "--posterior", POSTERIOR),
    ),
    "merge": ((f"{PARTS}/1", f"{PARTS}/2"), (f"{PARTS}/1", f"{PARTS}/2", "--out", "out")),
    "attribute": (("icaria", "--patients", "2"),),
    "converge": (("icaria", "--patients", "2"),),
    "sweep": (("isatuximab_monthly",),),
    "sensitivity": (("icaria_conclusion", "--set", "samples=2"),),
    "view": (("icaria", "--no-browser"), ("live.toml", "--no-browser")),
    "report": ((RESULTS,),),
    "export": ((RESULTS, "--to", "csv"), (RESULTS, "--to", "adam"), ("icaria", "--to", "h5ad")),
    "calibrate": ((), ("--steps", "50"), ("plan.toml", "--bank", BANK, "--steps", "50")),
    "bank": (("--patients", "2"), ("bank.toml", "--patients", "2"), ("bank.toml", "--out", BANK, "--patients", "9")),
    "design": (("icaria_200",), ("icaria_200", *FROM_BANK)),
    "predict": (("--scenarios", "icaria"), ("--scenarios", "icaria", *FROM_BANK)),
    "lesson list": ((),),
    "lesson check": (("adenosine",), ("trial", "--table", "table.md")),
    "lesson export": (("lessons",), ("lessons", "--lesson", "adenosine")),
    "list": ((),),
    "new": (("mine.toml", "--from", "icaria"),),
    "validate": (("icaria",), ("study.toml",)),
    "show": (("icaria", "--no-parameters"), ("study.toml",)),
    "describe": ((), ("adcc",), ("--columns",)),
}
SLOW = ("view", "sensitivity")
DOCUMENTS = (
    "doc.md",
    "empty.toml",
    "binary.toml",
    "folder",
    "unreadable",
    "unreadable.toml",
    "link",
    "loop",
    "nowhere/doc.md",
    "/dev/full",
    "",
)
SETS = (
    *(
        "trial.design=parallel",
        "marrow.shape=[32,32]",
        "patients=3",
        "arms.pd.label=x",
        "parameters.adcc.lysis_rate=1",
        "a=b",
        "=",
        "a",
        "",
    ),
    *("arms[0]=1", "arms.pd.doses[99].dose=1", "arms.pd.doses[0].dose=20", "marrow=1", "marrow.shape=[[[[", "a..b=1", ".=1", "seed=nan"),
    *(
        "patients=1e999",
        "population=nowhere",
        "population={}",
        "title=\x1b[31m",
        "title=[bold]",
        "kind=assay",
        "without=[1]",
        "x" * 3000 + "=1",
    ),
    *("arms.pd.doses[" + "9" * 30 + "].dose=1", ".".join(["a"] * 500) + "=1", "arms.pd=1", "drugs.folder=nowhere", "trial.follow_up=x"),
    *("marrow.shape=[" + "1," * 3000 + "]", "marrow.shape=" + "[" * 3000 + "]" * 3000, 'label="a\nb"', "parameters.adcc={}"),
)
RUBBISH = (
    *(
        "",
        " ",
        "-1",
        "0",
        "1",
        "2",
        "1e308",
        "nan",
        "inf",
        "9" * 30,
        "-" + "9" * 30,
        "0x10",
        "1.5",
        "é",
        "☃",
        "\udcff",
        "a" * 300,
        "a" * 5000,
    ),
    *(
        "[",
        "]]",
        "{",
        "=",
        "--",
        "-",
        "..",
        "../..",
        "/",
        "/dev/null",
        "/dev/full",
        "/dev/zero",
        "/proc/nowhere/at/all",
        "folder",
        "nowhere",
    ),
    *("link", "loop", "unreadable.toml", "unreadable", "empty.toml", "binary.toml", "pipe", "study.toml", "study.toml/inside", "results"),
    *(
        "icaria",
        "icaria.toml",
        "%s",
        "{0}",
        "[bold]",
        "[/]",
        "[/bold]",
        "\x1b[31m",
        "a\nb",
        "--help",
        "--version",
        "C:\\x",
        "~",
        "$HOME",
        "*",
        "adcc",
    ),
    *(
        "adcc,adc",
        "24 month",
        "24",
        "month",
        "-1 d",
        "1e9 year",
        "6,2,1",
        "6,,1",
        "none",
        "csv",
        "h5ad",
        "127.0.0.1",
        "::",
        "256.0.0.1",
        "localhost",
    ),
)
OF_OPTION: dict[str, tuple[str, ...]] = {
    "--set": SETS,
    "--patients": ("0", "-1", "1", "2", "1000000000000", "1e9", "x", "", "nan"),
    "--seed": ("0", "-1", "1", "9" * 30, "x", "1.5"),
    "--workers": ("0", "1", "-1", "999999", "x"),
    "--without": ("adcc", "adc", "", "binding", "binding,adcc", "\x1b", "*"),
    "--mechanism": ("pd1.py", "nowhere.py", "folder", "study.toml", "binary.toml", "json", "os", "empty.toml", "link", "pipe"),
    "--horizon": ("12 month", "1 d", "0 d", "-1 d", "1e9 year", "x", "", "12", "nan month"),
    "--bank": (BANK, "nowhere", RESULTS, POSTERIOR, "study.toml", "unreadable", "folder", "link", "loop", ""),
    "--posterior": (
        POSTERIOR,
        f"{POSTERIOR}/posterior.parquet",
        "nowhere",
        RESULTS,
        "binary.toml",
        "empty.toml",
        "folder",
        "unreadable",
        "",
    ),
    "--bank-plan": ("bank.toml", "plan.toml", "nowhere.toml", "binary.toml", "folder", "unreadable.toml"),
    "--draws": ("2", "3", "1", "0", "-1", "400", "9" * 30, "x", ""),
    "--part": ("1/2", "2/2", "3/2", "0/2", "1/3", "-1/2", "1/999999999", "1/9999999999", "1", "/", "a/b", "½", "1/2/3", ""),
    "--shape": ("32,32", "0,0", "1,1", "-1,5", "32", "32,32,32", "x,y", " 32 , 32 ", "100000,100000", "9" * 30 + ",1", "²,²", ""),
    "--arms": ("controls", "combinations", "all", "control", "", "pd"),
    "--scenarios": ("icaria", "icaria,ikema", "icaria,icaria", "nowhere", "untreated", "study.toml", ",", ""),
    "--only": ("icaria", "icaria,ikema", "icara", ",", ""),
    "--lesson": ("adenosine", "trial", "adenosin", ""),
    "--steps": ("50", "1", "0", "-1", "6,2,1", "none", "1e9", "nan", "x", ""),
    "--patches": ("64,128", "32", "none", "0", "-1", "1.5", "1e9", "nan", "x", ""),
    "--sets": ("2", "10", "1", "0", "9" * 30, "x"),
    "--trials": ("2", "1", "0", "9" * 30, "x"),
    "--redraw": ("0", "1", "-1", "x"),
    "--recover": ("0", "1", "-1", "x"),
    "--doc": DOCUMENTS,
    "--docs": DOCUMENTS,
    "--table": DOCUMENTS,
    "--out": (
        BANK,
        PARTS,
        "out",
        "study.toml",
        "folder",
        "unreadable",
        "link",
        "loop",
        "/proc/nowhere",
        "/dev/null",
        "",
        "results",
        "a/b/c",
        "pipe",
        "~",
        "a\nb",
    ),
}
MECHANISM = (Path(__file__).parents[1] / "docs" / "examples" / "pd1_blockade.py").read_bytes()


class Option(NamedTuple):
    """An option of a command."""

    names: tuple[str, ...]
    is_flag: bool


@cache
def options() -> dict[str, list[Option]]:
    """Every command with its options, as the command itself declares them; one of a group by both words."""
    found: dict[str, list[Option]] = {}

    def look(group: Any, before: str) -> None:
        context = typer.Context(group, info_name="tme")
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if hasattr(command, "list_commands"):
                look(command, f"{before}{name} ")
                continue
            declared = [p for p in command.params if p.opts[0].startswith("-")]
            found[before + name] = [Option((*p.opts, *p.secondary_opts), bool(p.is_flag)) for p in declared]

    look(get_command(app), "")
    return found


def _value(chance: random.Random, option: Option) -> str:
    known = OF_OPTION.get(option.names[0])
    value = chance.choice(known) if known and chance.random() < 0.7 else chance.choice(RUBBISH)
    return "nowhere" if value == "pipe" and option.names[0] in ("--graph", "--to") else value  # who writes into a pipe waits for a reader


def _with_options(chance: random.Random, command: str, words: list[str], n: int) -> None:
    for option in chance.choices(options()[command], k=n) if options()[command] else ():
        words.append(chance.choice(option.names))
        if not option.is_flag:
            words.append(_value(chance, option))


def command_case(number: int, chance: random.Random) -> Case:
    """A command line that is wrong."""
    command = chance.choices(list(options()), [0.2 if name in SLOW else 1.0 for name in options()])[0]
    words = list(chance.choice(VALID.get(command, ((RESULTS,),))))
    what = []
    for _ in range(chance.choice((1, 1, 2))):
        act = chance.choice(
            ("options", "options", "options", "misspelt", "missing", "doubled", "left out", "rubbish", "replaced", "command", "joined")
        )
        what.append(act)
        if act == "options":
            _with_options(chance, command, words, chance.choice((1, 1, 2, 3)))
        elif act == "misspelt" and options()[command]:
            option = chance.choice(options()[command])
            wrong = misspelt(chance, option.names[0].encode()).decode()
            words += [wrong] if option.is_flag else [wrong, _value(chance, option)]
        elif act == "missing" and (valued := [o for o in options()[command] if not o.is_flag]):
            words.append(chance.choice(valued).names[0])
        elif act == "doubled" and words:
            words += [chance.choice(words)]
        elif act == "left out" and words:
            del words[chance.randrange(len(words))]
        elif act == "rubbish":
            words.insert(chance.randrange(len(words) + 1), chance.choice(RUBBISH))
        elif act == "replaced" and words:
            words[chance.randrange(len(words))] = chance.choice(RUBBISH)
        elif act == "joined" and (valued := [o for o in options()[command] if not o.is_flag]):
            option = chance.choice(valued)
            words.append(f"{option.names[0]}={_value(chance, option)}")
        elif act == "command":
            *group, last = command.split()
            wrong = misspelt(chance, last.encode()).decode() if chance.random() < 0.5 else chance.choice(RUBBISH)
            return Case(number, "command line, no such command", "command", {}, (*group, wrong, *words), "", ("places",))
    study = STUDY.format(population="icaria", drug="pomalidomide", dose="4 mg", drugs="").encode()
    files = {"study.toml": study, "pd1.py": MECHANISM, "live.toml": LIVE.encode(), "doc.md": b"# Mine\n"}
    files |= {"bank.toml": BANK_PLAN.encode(), "plan.toml": CALIBRATION.encode()}
    needs = ("places", RESULTS, *(one for one in STOCK[1:] if any(one in re.split("[/=]", word) for word in words)))
    return Case(number, f"command line, {command}", ", ".join(what), files, (*command.split(), *words), "", needs)


def lay_places(folder: Path) -> None:
    """Lay out what a path may lead to besides a file: a folder, links, a loop, a pipe, and what nobody may read."""
    (folder / "folder").mkdir()
    (folder / "folder" / "mine.txt").write_text("mine")
    (folder / "link").symlink_to("nowhere-at-all")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    (folder / "empty.toml").write_bytes(b"")
    (folder / "binary.toml").write_bytes(bytes(range(256)))
    (folder / "unreadable.toml").write_text("x = 1\n")
    (folder / "unreadable.toml").chmod(0)
    (folder / "unreadable").mkdir()
    (folder / "unreadable").chmod(0)


FAMILIES: tuple[tuple[Callable[[int, random.Random], Case], float], ...] = (
    (scenario_case, 0.40),
    (drug_case, 0.09),
    (mouse_case, 0.03),
    (population_case, 0.08),
    (plan_case, 0.03),
    (sweep_case, 0.02),
    (bank_plan_case, 0.03),
    (live_case, 0.03),
    (damage_case, 0.12),
    (command_case, 0.30),
)


def make_case(seed: str, number: int) -> Case:
    """A case by its number."""
    chance = random.Random(f"{seed}-{number}")
    make = chance.choices([make for make, _ in FAMILIES], [weight for _, weight in FAMILIES])[0]
    return make(number, chance)


def lay_out(case: Case, folder: Path, stock: Path, seed: str) -> None:
    """Lay the files of a case into an empty folder, with copies of what it needs of the stock."""
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name in STOCK:
        if name in case.needs:
            shutil.copytree(stock / name, folder / name)
    if case.mutated.partition("/")[0] in STOCK:
        damage(case, folder, seed)
    if "places" in case.needs:
        lay_places(folder)


def contents(folder: Path) -> Iterator[str]:
    """What stands in a folder, with sizes: by which one sees whether a command has left anything."""
    for top, folders, files in os.walk(folder):
        for name in sorted((*folders, *files)):
            path = Path(top) / name
            yield f"{path.relative_to(folder)} {path.lstat().st_size if name in files else ''}"
