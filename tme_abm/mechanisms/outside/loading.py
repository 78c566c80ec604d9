"""Reading mechanisms from outside: a file anywhere, an installed package, or what Python code has made.

A file is run as Python runs a module, and every `Mechanism` in it is taken. All that can be wrong with it is said here, before anything
runs, in one sentence with file and line. The order in which files are given tells nothing: mechanisms act in the order of their names,
but for one that reads what another writes, which comes after it.
"""

import ast
import copyreg
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from numba.core.errors import NumbaError

from tme_abm.batch.files import write_whole
from tme_abm.foundation import jit
from tme_abm.foundation.calling import address
from tme_abm.foundation.compile_cache import private, temporary
from tme_abm.foundation.declare import fill
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.installed import is_installed
from tme_abm.foundation.mechanism import Mechanism, by_drug
from tme_abm.foundation.paths import real
from tme_abm.foundation.pinned import pin
from tme_abm.marrow.state import Tick
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.outside.catalogue import PLAIN, BrokenMechanism, Catalogue, Compiled, File, Outside, digest_of
from tme_abm.mechanisms.outside.checking import (
    ACTS,
    boiled_down,
    check,
    check_declared,
    check_own,
    check_taken,
    check_turns,
    in_order,
    in_words,
    instead,
    line_of,
    lines_of,
    sample_marrow,
)
from tme_abm.mechanisms.outside.hooks import Hook
from tme_abm.mechanisms.outside.own import Numbers, handed_out, handing_out
from tme_abm.mechanisms.outside.unread import check_used

GROUP = "tme_abm.mechanisms"  # of entry points


@dataclass(frozen=True)
class Wish:
    """Where mechanisms are to be taken from.

    Attributes:
        shown: As messages name it.
        path: The file; None for a mechanism that Python code has made where no file is.
        package: Of which the file is a module, for its relative imports; "" for none.
        only: Which mechanisms of the file are wanted, by their own names or, with a colon before them, by those of variables (":ADCC");
            empty for all.
        made: The mechanism itself, where there is no file.
        digest: Of the file as it was when a study took it; "" where nobody has taken it yet.
    """

    shown: str
    path: Path | None = None
    package: str = ""
    only: frozenset[str] = frozenset()
    made: Mechanism | None = None
    digest: str = ""

    def wants(self, variable: str, mechanism: Mechanism) -> bool:
        """Whether a mechanism of the file, held by a variable, is among those that are wanted."""
        return not self.only or not self.only.isdisjoint({mechanism.name, f":{variable}"})


def load(given: Iterable[Any] = (), rules: Iterable[Any] = ()) -> Catalogue:
    """The catalogue of a study.

    Args:
        given: Paths of files, names of installed mechanisms (entry points of the group `tme_abm.mechanisms`), or mechanisms.
        rules: Functions of a `TumourModel`, called once a day.

    Raises:
        InputError: For the first thing that is wrong with one of them, with file and line.
    """
    asked = tuple(given)
    if len(asked) == 1 and isinstance(asked[0], Catalogue):
        return asked[0]
    wishes = joined(wish_for(one) for one in asked)
    if not wishes:
        chosen = tuple(rules)
        return PLAIN.with_rules(chosen) if chosen else PLAIN
    first = (len(handed_out().causes), len(handed_out().gauges)) if any(wish.path is None for wish in wishes) else (0, 0)
    unplaced = [(wish, read(wish, (0, 0))) for wish in wishes]
    check_taken([group for _, group in unplaced])
    placed: list[Outside] = []
    for wish, group in sorted(unplaced, key=lambda one: min(o.mechanism.name for o in one[1])):
        file = group[0].file
        if file.path is None:
            placed += group
            continue
        placed += group if first == (0, 0) else read(wish, first, file.text)
        first = (first[0] + len(file.causes), first[1] + len(file.gauges))
    ordered = in_order(sorted(placed, key=lambda o: o.mechanism.name))
    catalogue = Catalogue(tuple(ordered), (), tuple(replace(wish, digest=group[0].file.digest) for wish, group in unplaced))
    check_own(catalogue)
    seen = {o.mechanism.name: check_declared(o) for o in ordered}
    check_used(ordered, seen)  # says where a write would tell, which the order alone does not
    check_turns(ordered, seen)
    marrow = sample_marrow(catalogue.own)
    return replace(catalogue, outside=tuple(compile_acts(o, marrow) for o in ordered)).with_rules(rules)


def joined(wishes: Iterable[Wish]) -> list[Wish]:
    """Wishes of which no two are for the same file: what several want of one is wanted together, and it is numbered once."""
    found: dict[Any, Wish] = {}
    for wish in wishes:
        key = wish.path or id(wish.made)
        before = found.get(key, wish)
        only = before.only | wish.only if before.only and wish.only else frozenset()
        found[key] = replace(before, only=only, package=before.package or wish.package, digest=before.digest or wish.digest)
    return list(found.values())


def wish_for(given: Any) -> Wish:
    """Where a mechanism is that somebody asks for.

    Raises:
        InputError: Where there is no such file or package.
    """
    if isinstance(given, Wish):
        return given
    if isinstance(given, Mechanism):
        return _wish_for_made(given)
    text = str(given)
    path = Path(text)
    if path.suffix == ".py" or path.exists():
        if not path.is_file():
            raise InputError(f"--mechanism {text}: there is no such file")
        if path.suffix != ".py":
            raise InputError(f"--mechanism {text}: not a Python file; its name ends in .py")
        return Wish(text, real(path))
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if text not in installed:
        known = did_you_mean(text, installed) if installed else "; no installed package brings mechanisms"
        raise InputError(f"--mechanism {text}: neither a file nor an installed mechanism{known}")
    point = installed[text]
    try:
        spec = importlib.util.find_spec(point.module)
    except (ImportError, ValueError) as error:
        raise InputError(f"--mechanism {text}: {point.value} cannot be imported: {error}") from None
    if spec is None or not spec.origin:
        raise InputError(f"--mechanism {text}: there is no module {point.module}")
    path = Path(spec.origin)
    only = frozenset({f":{point.attr}"} if point.attr else ())
    return Wish(f"{text} ({path.name})", path, spec.name if spec.submodule_search_locations else spec.parent or "", only)


def _wish_for_made(mechanism: Mechanism) -> Wish:
    """The file in which Python code has written a mechanism: it is read anew from there, with numbers that clash with no other's."""
    for act in ACTS:
        kernel = getattr(mechanism, act)
        if kernel is not None:
            code = kernel.py_func.__code__
            path = Path(code.co_filename)
            if path.is_file():
                module = sys.modules.get(kernel.py_func.__module__)
                spec = getattr(module, "__spec__", None)
                return Wish(str(path), real(path), spec.parent or "" if spec else "", frozenset({mechanism.name}))
    return Wish(f"mechanism '{mechanism.name}'", made=mechanism)


def read(wish: Wish, first: tuple[int, int], text: str | None = None) -> list[Outside]:
    """The mechanisms of a file, not yet compiled.

    Args:
        wish: Which file.
        first: Numbers of its first cause and gauge among those from outside.
        text: What it says, where it has been read before.

    Raises:
        InputError: For a file that does not run, or holds no mechanism, or one that does not hold together.
        BrokenMechanism: For a file that is no longer what a study has taken.
    """
    if wish.path is None:
        assert wish.made is not None
        numbers = handed_out()
        file = File(
            wish.shown, None, "", digest_of(repr(wish.made)), tuple(numbers.causes), tuple(numbers.gauges), streams=tuple(numbers.streams)
        )
        check(wish.made, wish.shown)
        return [Outside(wish.made, file)]
    text = read_text(wish) if text is None else text
    digest = digest_of(text, *package_texts(wish))
    if wish.digest not in ("", digest):
        raise BrokenMechanism(f"{wish.shown}: the file has changed since this study took it; load the study anew")
    module, numbers = execute(wish, text, digest, first)
    file = File(wish.shown, wish.path, text, digest, tuple(numbers.causes), tuple(numbers.gauges), first, tuple(numbers.streams))
    places = lines_of(text)
    named = {id(value): (name, value) for name, value in vars(module).items() if isinstance(value, Mechanism) and value not in MECHANISMS}
    found = []
    for name, mechanism in named.values():
        if wish.wants(name, mechanism):
            lines = {"": places.get(name, 0)}
            for act in ACTS:
                lines[act] = line_of(getattr(mechanism, act), wish.path, places)
            outside = Outside(mechanism, file, lines)
            check(mechanism, outside.place())
            found.append(outside)
    if not found:
        called = " or ".join(repr(name.removeprefix(":")) for name in sorted(wish.only))
        raise InputError(f"{wish.shown}, line 1: no Mechanism in this file{f' is called {called}' if called else ''}")
    return found


def read_text(wish: Wish) -> str:
    """What a file says."""
    assert wish.path is not None
    try:
        return wish.path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{wish.shown}, line 1: not a text in UTF-8") from None


def package_texts(wish: Wish) -> list[str]:
    """What the other modules of a package say, which its mechanisms may be made of too."""
    if not wish.package or wish.path is None:
        return []
    top = wish.path.parents[wish.package.count(".")]
    return [path.read_text(encoding="utf-8", errors="replace") for path in sorted(top.rglob("*.py"))]


_executed: dict[str, tuple[ModuleType, Numbers]] = {}


def execute(wish: Wish, text: str, digest: str, first: tuple[int, int]) -> tuple[ModuleType, Numbers]:
    """Run a file as a module of its own, under a name that no other version of it has; or take it where it has been run before.

    Raises:
        InputError: Where it does not run, with the line.
    """
    assert wish.path is not None
    head = f"{wish.package}." if wish.package else ""
    version = digest_of(digest, str(wish.path), repr(first))
    name = f"{head}_{re.sub(r'[^A-Za-z0-9_]', '_', wish.path.stem)}_{version}"
    if name not in _executed:
        with jit.caching_in(f"{digest}-{first[0]}-{first[1]}"), handing_out(*first) as numbers:
            _executed[name] = run_module(wish, text, name), numbers
    return _executed[name]


def run_module(wish: Wish, text: str, name: str) -> ModuleType:
    """Run a file as a module of a name.

    Raises:
        InputError: Where it does not run, with the line.
    """
    assert wish.path is not None
    try:
        check_imports(wish, text)
    except SyntaxError as error:
        raise InputError(f"{wish.shown}, line {error.lineno or 1}: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a null byte, too much in brackets
        raise InputError(f"{wish.shown}, line 1: no Python: {error}") from None
    spec = importlib.util.spec_from_file_location(name, wish.path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # for the notes of a NamedTuple, and for numba's cache, both of which look classes up by their module
    try:
        exec(compile(text, str(wish.path), "exec"), vars(module))
    except SyntaxError as error:
        del sys.modules[name]
        raise InputError(f"{wish.shown}, line {error.lineno or 1}: {error.msg}") from None
    except Exception as error:
        del sys.modules[name]
        here = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == wish.path]
        said = str(error) if isinstance(error, InputError) else in_words(error)
        raise InputError(f"{wish.shown}, line {here[-1] if here else 1}: {said}") from None
    return module


def check_imports(wish: Wish, text: str) -> None:
    """Refuse a file that imports a module beside it: that module would be in no digest and no copy, and an edit of it go unseen.

    What is installed may be imported, and what belongs to the package of the file.

    Raises:
        InputError: For the first such import, with its line.
    """
    own = wish.package.split(".")[0]
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""] * (not node.level)
        for name in names:
            top = name.split(".")[0]
            if top not in ("tme_abm", own) and not is_installed(top):
                what = f"imports '{name}', a module of its own folder or of another one"
                raise InputError(f"{wish.shown}, line {node.lineno}: {what}; a mechanism is one file, or a module of an installed package")


def compile_acts(o: Outside, marrow: Any) -> Outside:
    """The mechanism with its acts compiled, or read from numba's cache.

    Raises:
        InputError: For an act that does not compile.
    """
    m = o.mechanism
    rules = pin(by_drug(m, []) if m.by_drug else fill(m.Params).params)
    acts = []
    with jit.caching_in(f"{o.file.digest}-{o.file.first[0]}-{o.file.first[1]}"):
        for act, hook in ACTS.items():
            for is_on, kernel in ((True, getattr(m, act)), (False, instead(m, act, o.file))):
                if kernel is None:
                    continue
                try:
                    found = address(kernel, marrow, rules, Tick(1.0, 0, 0))
                except (NumbaError, TypeError, AttributeError, KeyError) as error:
                    line, what = boiled_down(error, o.file.path)
                    place = f"{o.file.shown}, line {line}" if line else o.place(act)
                    raise InputError(f"{place}: {act} of '{m.name}' does not compile: {what}") from None
                at = hook if hook is not None or m.phase is None else Hook[m.phase.name]
                assert at is not None
                acts.append(Compiled(at, is_on, found))
    return replace(o, acts=tuple(acts))


def load_elsewhere(given: Iterable[Wish], rules: Iterable[Any], texts: Mapping[Path, str]) -> Catalogue:
    """The catalogue of a study in another process, which may be one of another machine.

    A file that is not there, or that says something else there, is written anew.

    Args:
        given: Where the mechanisms came from.
        rules: As `load` takes them.
        texts: What the files said that are no modules of a package.

    Raises:
        InputError: As `load`; where a file can be written nowhere.
    """
    return load([_placed(wish, texts[wish.path]) if wish.path is not None and wish.path in texts else wish for wish in given], rules)


def _placed(wish: Wish, text: str) -> Wish:
    """The wish with a file that says this: its own, or one in a folder that only this user can write."""
    assert wish.path is not None
    with suppress(OSError, InputError):
        if read_text(wish) == text:  # another machine may have an older copy in the same place
            return wish
    folder = temporary() / f"mechanisms-{digest_of(text)}"
    if not (private(temporary()) and private(folder)):
        raise InputError(f"{wish.shown}: the file is not on this machine as it was taken, and cannot be written to {folder}")
    path = folder / wish.path.name
    if not path.is_file() or path.read_bytes() != text.encode():
        write_whole(path, text)
    return replace(wish, path=real(path))


def _as_loaded(catalogue: Catalogue) -> tuple[Any, ...]:
    """What another process makes the same catalogue of: kernels do not travel, where they came from and what stood there does."""
    texts = {file.path: file.text for file in catalogue.files if file.path is not None}
    alone = {wish.path for wish in catalogue.given if not wish.package}
    rules = tuple(rule.function for rule in catalogue.rules)
    return load_elsewhere, (catalogue.given, rules, {path: text for path, text in texts.items() if path in alone})


copyreg.pickle(Catalogue, _as_loaded)  # type: ignore[arg-type]
