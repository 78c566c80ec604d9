"""What numba's compiler works out again and again, remembered while it compiles a kernel of this package.

Most of the time to compile the model is not spent on machine code but in numba's own Python: what type `a + b` has is found by asking
dozens of candidates, of which all but one fail with a message written out in full; types are told apart by tuples of tuples; the
variables of a statement are looked for by walking through it, some ten times a function; the size of a type is asked of LLVM by way of a
module of its own; all registries are looked through for something new at every function. All of it depends on what it is asked alone, so
only the time that it takes changes. Numba is as it was before and after: others who compile in this process have it to themselves.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir as llvm
from llvmlite.binding import ffi
from numba.core import base, errors, imputils, ir, itanium_mangler, types
from numba.core.typing import context as typing_context
from numba.core.typing import templates

Type: Any = types.Type
Function: Any = types.Function
Statement: Any = ir.Inst
COLOURS: Any = getattr(errors, "HighlightColorScheme", None)  # there is none where colorama is not installed
LOCK: Any = getattr(ffi.lib, "_lock", None)  # of LLVM, which tells listeners that it was taken and given back, at every call
REGISTRIES: tuple[Any, ...] = (imputils.builtin_registry, templates.builtin_registry)
NOTHING, VARIABLE, STATEMENT, SEVERAL, NAMED = range(5)  # kinds of members of a statement

_hashes: dict[int, tuple[Any, int]] = {}  # of types, by their address; the type is held, so that no other one comes to lie there
_answers: dict[int, tuple[Any, dict[Any, Any]]] = {}  # of functions, by their address, for arguments of some types
_seen: dict[int, tuple[Any, int]] = {}  # of contexts, by their address, how much was registered when they looked
_texts: dict[str, str] = {}  # names as symbols
_sizes: dict[str, int] = {}  # of LLVM's types
_places: dict[int, tuple[Any, bool]] = {}  # of functions, by their address, whether they want to know the place in the source
_kinds: dict[type, int] = {}
_depth = [0]  # of compilations within each other; numba lets one thread compile at a time


@contextmanager
def remembering() -> Iterator[None]:
    """Numba remembers; compilations begun within, of functions that are called, know what the first one does."""
    before: list[tuple[Any, str, Any]] = []
    if _depth[0] == 0:
        changed: list[tuple[Any, str, Any]] = [(Type, "__hash__", _hash), (Type, "__eq__", _is_equal), (Function, "get_call_type", _answer)]
        changed += [(Statement, "_rec_list_vars", _list_variables), (COLOURS, "_markup", _write)]
        changed += [(base.BaseContext, "refresh", _look), (typing_context.BaseContext, "refresh", _look_for_types)]
        changed += [(base, "_has_loc", _wants_place), (itanium_mangler, "_escape_string", _escape)]
        changed += [(llvm.Type, "get_abi_size", _size), (LOCK, "_cblist", [])]
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
            for memory in (_hashes, _answers, _seen, _texts, _sizes, _places):
                memory.clear()


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


_refresh: Any = getattr(base.BaseContext, "refresh", None)
_refresh_types: Any = getattr(typing_context.BaseContext, "refresh", None)


def _look(self: Any) -> None:
    """A context looks for what is new where anything is: something was registered, or imported."""
    if _is_new(self):
        _refresh(self)
        _note(self)


def _look_for_types(self: Any) -> None:
    if _is_new(self):
        _refresh_types(self)
        _note(self)


def _registered() -> int:
    return len(sys.modules) + sum(len(held) for registry in REGISTRIES for held in vars(registry).values())


def _is_new(context: Any) -> bool:
    return id(context) not in _seen or _seen[id(context)][1] != _registered()


def _note(context: Any) -> None:
    _seen[id(context)] = context, _registered()


_find_place: Any = getattr(base, "_has_loc", None)


def _wants_place(function: Any) -> bool:
    known = _places.get(id(function))
    if known is None:
        known = _places[id(function)] = function, bool(_find_place(function))
    return known[1]


_spell: Any = getattr(itanium_mangler, "_escape_string", None)


def _escape(text: str) -> str:
    known = _texts.get(text)
    if known is None:
        known = _texts[text] = str(_spell(text))
    return known


_weigh: Any = getattr(llvm.Type, "get_abi_size", None)


def _size(self: Any, target_data: Any, context: Any = None) -> int:
    """The size of a type, where its text spells it out; all that is compiled here is for one processor."""
    if isinstance(self, llvm.IdentifiedStructType):
        return int(_weigh(self, target_data, context))
    text = str(self)
    known = _sizes.get(text)
    if known is None:
        known = _sizes[text] = int(_weigh(self, target_data, context))
    return known
