"""What numba's compiler works out again and again, remembered: which changes no result of it, only how long it takes.

Most of the time to compile the model is not spent on machine code but in numba's own Python: what type `a + b` has is found by asking
dozens of candidates, of which all but one fail with a message written out in full; types are told apart by tuples of tuples; the
variables of a statement are looked for by walking through it, some ten times a function. All of it depends on what it is asked alone.
"""

from typing import Any

from numba.core import errors, ir, types

Type: Any = types.Type
Function: Any = types.Function
Statement: Any = ir.Inst
HASH, ANSWERS = "_remembered_hash", "_remembered_answers"  # in the `__dict__` of a type


def remember() -> None:
    """Have numba remember, in this process."""
    if getattr(Type, "remembers", False):
        return
    Type.remembers = True
    _remember_hashes()
    _remember_calls()
    _find_variables_at_once()
    _write_no_colours()


def _remember_hashes() -> None:
    """The hash of a type is that of its content, which does not change."""
    plain_reduce: Any = Type.__reduce__

    def of(self: Any) -> int:
        known: int | None = self.__dict__.get(HASH)
        if known is None:
            known = self.__dict__[HASH] = hash(self.key)
        return known

    def is_equal(self: Any, other: Any) -> bool:
        return self is other or (self.__class__ is other.__class__ and bool(self.key == other.key))

    def reduce(self: Any) -> Any:
        """Without what is remembered: hashes of words differ between processes."""
        make, (constructor, given, state) = plain_reduce(self)
        return make, (constructor, given, {k: v for k, v in state.items() if k not in (HASH, ANSWERS)} if state else state)

    Type.__hash__ = of
    Type.__eq__ = is_equal
    Type.__reduce__ = reduce


def _remember_calls() -> None:
    """What a function of numba's gives for arguments of some types, it gives them again; one that fails is asked again."""
    ask: Any = Function.get_call_type

    def answer(self: Any, context: Any, args: Any, kws: Any) -> Any:
        if kws:
            return ask(self, context, args, kws)
        known = self.__dict__.setdefault(ANSWERS, {})
        if args not in known:
            known[args] = ask(self, context, args, kws)
        return known[args]

    Function.get_call_type = answer


def _find_variables_at_once() -> None:
    """The variables of a statement are found by the types of its members, of which each is looked at once."""
    nothing, variable, statement, several, named = range(5)
    kinds: dict[type, int] = {}

    def kind_of(what: type) -> int:
        for kind, known in ((variable, ir.Var), (statement, ir.Inst), (several, (list, tuple)), (named, dict)):
            if issubclass(what, known):
                return kind
        return nothing

    def collect(value: Any, found: list[Any]) -> None:
        what = type(value)
        if what not in kinds:
            kinds[what] = kind_of(what)
        kind = kinds[what]
        if kind == variable:
            found.append(value)
        elif kind == statement:
            found.extend(value.list_vars())
        elif kind == several or kind == named:
            for member in value if kind == several else value.values():
                collect(member, found)

    def list_variables(self: Any, value: Any) -> list[Any]:
        found: list[Any] = []
        collect(value, found)
        return found

    Statement._rec_list_vars = list_variables


def _write_no_colours() -> None:
    """Messages of failures, most of which nobody reads, are made bold only where colours are asked for (`NUMBA_COLOR_SCHEME`)."""
    scheme: Any = getattr(errors, "HighlightColorScheme", None)  # there is none where colorama is not installed
    if scheme is None:
        return
    mark: Any = scheme._markup

    def write(self: Any, message: str, color: Any = None, *style: Any) -> str:
        return str(mark(self, message, color, *style)) if color else message

    scheme._markup = write
