"""What a study knows of mechanisms: those of the package, and those that came along from outside.

A study carries its catalogue (`Settings.catalogue`), so two studies of one process may differ in it. Whoever asks for a mechanism by its
name, or for the causes of death, asks a catalogue.
"""

import hashlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.mechanism import Mechanism
from tme_abm.foundation.pinned import pin
from tme_abm.marrow.cells import N_CAUSES, N_EVENTS, Cause
from tme_abm.marrow.state import Gauge, Own
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.outside.hooks import Act, Hook, Hooks, make_hooks
from tme_abm.mechanisms.outside.own import OwnGauge

NAME = re.compile(r"[a-z][a-z0-9_]*")  # of a mechanism or a rule
FROM_OUTSIDE = " (one from a file of your own comes with --mechanism FILE)"


def or_from_outside(name: str, known: Iterable[str]) -> str:
    """A hint for a name that nobody knows: the nearest right one, or, where none is near, where others come from."""
    hint = did_you_mean(name, known)
    return hint if "did you mean" in hint else hint + FROM_OUTSIDE


class BrokenMechanism(InputError):
    """A mechanism or a rule from outside that did what it must not: no patient's fault, so no run goes on."""


class Compiled(NamedTuple):
    """An act of a mechanism from outside, ready to be called."""

    hook: Hook
    is_on: bool  # whether it runs while the mechanism is switched on, or instead of it
    address: Any


@dataclass(frozen=True)
class File:
    """A file that mechanisms came from.

    Attributes:
        shown: As messages name it.
        path: Where it stands; None for what was written where no file is.
        text: What it says.
        digest: Short digest of that and of all else that its mechanisms are made of.
        causes: Names of its own causes of death, in order.
        gauges: Its own gauges, in order.
        first: Numbers of its first cause and of its first gauge among those from outside.
        streams: Names of its own streams of chance.
    """

    shown: str
    path: Path | None
    text: str
    digest: str
    causes: tuple[str, ...] = ()
    gauges: tuple[OwnGauge, ...] = ()
    first: tuple[int, int] = (0, 0)
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outside:
    """A mechanism from outside.

    Attributes:
        mechanism: What it declares.
        file: Where it came from.
        lines: Lines of its declaration ("") and of its acts in the file.
        acts: Its acts, compiled.
    """

    mechanism: Mechanism
    file: File
    lines: Mapping[str, int] = field(default_factory=dict)
    acts: tuple[Compiled, ...] = ()

    def place(self, act: str = "") -> str:
        """File and line of the mechanism, or of an act of it."""
        line = self.lines.get(act, self.lines.get("", 0))
        return f"{self.file.shown}, line {line}" if line else self.file.shown


class Rule(NamedTuple):
    """A rule in plain Python: called with the `TumourModel` once a day.

    `text` is that of the whole file where there is one, since a function is made of the constants around it too.
    """

    name: str
    function: Callable[[Any], Any]
    text: str = ""
    digest: str = ""


def digest_of(*texts: str) -> str:
    """Short digest of some texts."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:12]


def as_rule(given: Any) -> Rule:
    """A rule in plain Python, by the name of its function.

    Raises:
        InputError: For what is no function with a name.
    """
    name = getattr(given, "__name__", "")
    if not callable(given) or not NAME.fullmatch(name):
        raise InputError(f"a rule is a function with a name of small letters, which takes the model; got {given!r}")
    try:
        file = Path(inspect.getsourcefile(given) or "")
        text = file.read_text(encoding="utf-8") if file.is_file() else textwrap.dedent(inspect.getsource(given))
    except (OSError, TypeError):  # as of what was typed into a prompt
        text = ""
    return Rule(name, given, text, digest_of(text or repr(given.__code__.co_code)))


def listed(rules: Any) -> tuple[Any, ...]:
    """Rules in plain Python as they are given: a list of functions, or one function alone.

    Raises:
        InputError: For what is neither.
    """
    if callable(rules):
        return (rules,)
    try:
        return tuple(rules)
    except TypeError:
        raise InputError(f"rules are functions of the model, one or a list of them; got {rules!r}") from None


@dataclass(frozen=True)
class Catalogue:
    """The mechanisms of the package and those from outside, and rules in plain Python.

    Attributes:
        outside: In the order in which they act.
        rules: In the order in which they are called.
        given: Where `loading.load` took them from, so that another process makes the same catalogue.
    """

    outside: tuple[Outside, ...] = ()
    rules: tuple[Rule, ...] = ()
    given: tuple[Any, ...] = field(default=(), compare=False)

    @cached_property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """All, in the order of the step."""
        return (*MECHANISMS, *(o.mechanism for o in self.outside))

    @cached_property
    def by_name(self) -> dict[str, Mechanism]:
        """All, by name."""
        return {m.name: m for m in self.mechanisms}

    @cached_property
    def of_drugs(self) -> dict[str, type]:
        """Those of which each drug brings its own parameters: name -> block."""
        return {m.name: m.Params for m in self.mechanisms if m.by_drug}

    def find(self, name: str) -> Mechanism:
        """A mechanism by its name.

        Raises:
            InputError: Where there is none.
        """
        if name not in self.by_name:
            raise InputError(self.unknown(name))
        return self.by_name[name]

    def unknown(self, name: str) -> str:
        """What to say of a name that no mechanism has."""
        return f"unknown mechanism '{name}'{or_from_outside(str(name), self.by_name)}"

    @cached_property
    def files(self) -> tuple[File, ...]:
        """The files of the mechanisms from outside, once each."""
        return tuple({o.file.path or o.file.shown: o.file for o in self.outside}.values())

    @cached_property
    def own_causes(self) -> tuple[str, ...]:
        """Causes of death from outside, those of rules in plain Python last, by their column behind those of the package."""
        named = {file.first[0] + i: name for file in self.files for i, name in enumerate(file.causes)}
        n = 1 + max(named, default=-1)
        return (*(named.get(i, f"outside_{i}") for i in range(n)), *(rule.name for rule in self.rules))

    @cached_property
    def causes(self) -> dict[str, int]:
        """Every cause of death, in small letters -> its column of the ledger."""
        package = {c.name.lower(): int(c) for c in Cause if c < N_CAUSES}
        return package | {name: N_EVENTS + i for i, name in enumerate(self.own_causes)}

    @property
    def deaths(self) -> tuple[str, ...]:
        """Columns of tables that count the deaths of plasma cells, by cause."""
        return tuple(f"deaths_{name}" for name in self.causes)

    @cached_property
    def own(self) -> Own:
        """What a marrow needs room for."""
        rest = {file.first[1] + i: gauge.rest for file in self.files for i, gauge in enumerate(file.gauges)}
        return Own(len(self.own_causes), tuple(rest.get(i, 1.0) for i in range(1 + max(rest, default=-1))))

    def hooks(self, rules: Mapping[str, Any], without: frozenset[str], n_rows: int) -> tuple[Hooks, list[Any]]:
        """What the step calls of the mechanisms from outside.

        Args:
            rules: Mechanism -> its bundle of parameters.
            without: Those that are switched off.
            n_rows: Rows of cells at risk.

        Returns:
            The hooks, and the pinned bundles, which must live as long.
        """
        acts, bundles = [], []
        for number, o in enumerate(self.outside):
            name = o.mechanism.name
            pinned = pin(rules[name])
            bundles.append(pinned)
            acts += [Act(act.hook, number, act.address, pinned) for act in o.acts if act.is_on == (name not in without)]
        resets = [
            (len(Gauge) + file.first[1] + i, gauge.rest) for file in self.files for i, gauge in enumerate(file.gauges) if not gauge.lasts
        ]
        return make_hooks(acts, len(self.outside), resets, n_rows), bundles

    def blame(self, hooks: Hooks) -> None:
        """Raise a `BrokenMechanism` for the first mechanism from outside whose hazard was above its ceiling."""
        for number, o in enumerate(self.outside):
            if hooks.above[number]:
                what = f"hazard of '{o.mechanism.name}' is higher than what its ceiling adds, or no number"
                raise BrokenMechanism(f"{o.place('hazard')}: {what}; raise the ceiling of the cells that it acts on")

    def with_rules(self, given: Any) -> "Catalogue":
        """The same with other rules in plain Python, one or a list of them, instead of those that it had.

        Raises:
            InputError: For what is no rule, or one whose name a cause of death has already.
        """
        bare = replace(self, rules=())
        rules = tuple(as_rule(one) for one in listed(given))
        taken = set(bare.causes)
        for rule in rules:
            if rule.name in taken:
                raise InputError(f"rule '{rule.name}': the name is taken by a cause of death; call the function otherwise")
            taken.add(rule.name)
        return replace(bare, rules=rules)

    @cached_property
    def copied_as(self) -> dict[str, str]:
        """Where the copies of the files stand in a folder of results: as messages name a file -> its place, which no two share."""
        taken, places = {f"rule_{rule.name}.py" for rule in self.rules}, {}
        for file in self.files:
            stem = file.path.stem if file.path else "notebook"
            stem = f"mechanism_{stem}" if stem.startswith("rule_") else stem  # copies of rules alone begin so
            name, n = f"{stem}.py", 1
            while name.lower() in taken:
                n += 1
                name = f"{stem}_{n}.py"
            taken.add(name.lower())
            places[file.shown] = f"mechanisms/{name}"
        return places

    def copies(self) -> dict[str, bytes]:
        """What a folder of results keeps of what came from outside: name in that folder -> content."""
        files = {self.copied_as[file.shown]: file.text.encode() for file in self.files if file.path is not None}
        return files | {f"mechanisms/rule_{rule.name}.py": rule.text.encode() for rule in self.rules if rule.text}

    def describe(self) -> list[dict[str, Any]]:
        """What run.json says of the mechanisms from outside."""
        return [
            {"name": o.mechanism.name, "summary": o.mechanism.summary, "file": self.copied_as[o.file.shown], "digest": o.file.digest}
            for o in self.outside
        ]


PLAIN = Catalogue()  # the package's own mechanisms alone
