"""What numba's compiler works out again and again, remembered while it compiles a kernel of this package.

Most of the time to compile the model is not spent on machine code but in numba's own Python: what type `a + b` has is found by asking
dozens of candidates, of which all but one fail with a message written out in full; types are told apart by tuples of tuples; the
variables of a statement are looked for by walking through it, some ten times a function. All of it depends on what it is asked alone, so
only the time that it takes changes. Numba is as it was before and after: others who compile in this process have it to themselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import errors, ir, types

Type: Any = types.Type
Function: Any = types.Function
Statement: Any = ir.Inst
COLOURS: Any = getattr(errors, "HighlightColorScheme", None)  # there is none where colorama is not installed
NOTHING, VARIABLE, STATEMENT, SEVERAL, NAMED = range(5)  # kinds of members of a statement

_hashes: dict[int, tuple[Any, int]] = {}  # of types, by their address; the type is held, so that no other one comes to lie there
_answers: dict[int, tuple[Any, dict[Any, Any]]] = {}  # of functions, by their address, for arguments of some types
_kinds: dict[type, int] = {}
_depth = [0]  # of compilations within each other; numba lets one thread compile at a time


@contextmanager
def remembering() -> Iterator[None]:
    """Numba remembers; compilations begun within, of functions that are called, know what the first one does."""
    before: list[tuple[Any, str, Any]] = []
    if _depth[0] == 0:
        changed = [(Type, "__hash__", _hash), (Type, "__eq__", _is_equal), (Function, "get_call_type", _answer)]
        changed += [(Statement, "_rec_list_vars", _list_variables), (COLOURS, "_markup", _write)]
        changed = [one for one in changed if hasattr(one[0], one[1])]  # what a numba has no more, it works out as it likes
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in changed]
        for owner, name, function in changed:
            setattr(owner, name, function)
    _depth[0] += 1
    try:
        yield
    finally:
        _depth[0] -= 1
        for owner, name, function in before:
            setattr(owner, name, function)
        if _depth[0] == 0:
            _hashes.clear()
            _answers.clear()


def _hash(self: Any) -> int:
    """The hash of a type is that of its content, which does not change."""
    known = _hashes.get(id(self))
    if known is None:
        known = _hashes[id(self)] = self, hash(self.key)
    return known[1]


def _is_equal(self: Any, other: Any) -> bool:
    return self is other or (self.__class__ is other.__class__ and bool(self.key == other.key))


_ask: Any = getattr(Function, "get_call_type", None)


def _answer(self: Any, context: Any, args: Any, kws: Any) -> Any:
    """What a function of numba's gives for arguments of some types, it gives them again; one that fails is asked again."""
    if kws:
        return _ask(self, context, args, kws)
    _, known = _answers.setdefault(id(self), (self, {}))
    if args not in known:
        known[args] = _ask(self, context, args, kws)
    return known[args]


def _kind_of(what: type) -> int:
    for kind, known in ((VARIABLE, ir.Var), (STATEMENT, ir.Inst), (SEVERAL, (list, tuple)), (NAMED, dict)):
        if issubclass(what, known):
            return kind
    return NOTHING


def _list_variables(self: Any, value: Any) -> list[Any]:
    """The variables of a statement are found by the types of its members, of which each is looked at once."""
    found: list[Any] = []
    _collect(value, found)
    return found


def _collect(value: Any, found: list[Any]) -> None:
    what = type(value)
    kind = _kinds.get(what)
    if kind is None:
        kind = _kinds[what] = _kind_of(what)
    if kind == VARIABLE:
        found.append(value)
    elif kind == STATEMENT:
        found.extend(value.list_vars())
    elif kind in (SEVERAL, NAMED):
        for member in value if kind == SEVERAL else value.values():
            _collect(member, found)


_mark: Any = getattr(COLOURS, "_markup", None)


def _write(self: Any, message: str, color: Any = None, *style: Any) -> str:
    """Messages of failures, most of which nobody reads, are made bold only where colours are asked for (`NUMBA_COLOR_SCHEME`)."""
    return str(_mark(self, message, color, *style)) if color else message
