"""Numba's translation to LLVM, in fewer instructions where kernels are full of them: members and items of arrays, loops, variables.

Numba writes each struct into memory and reads its members back, ninety instructions for `marrow.cells.kind[i]`, and keeps a variable in
memory that two blocks share. LLVM takes all of it out again, but what is made of an instruction before, in Python, as text and by LLVM,
is most of the time to compile. So this writes a dozen instead, which compute the same, negative indices included. What is not known here
is left to numba.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir as llvm
from numba.core import cgutils, ir, types
from numba.core.analysis import compute_cfg_from_blocks, must_use_alloca
from numba.core.lowering import Lower
from numba.cpython.slicing import fix_index
from numba.np import arrayobj

VIEWED = ("meminfo", "parent", "itemsize")  # what a view has of its array


class Whole:
    """An array as one value of LLVM."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        self._context, self._builder, self._kind, self._value = context, builder, kind, value

    def member(self, name: str, axis: int = -1) -> Any:
        """A member of the array, of its shape and strides that of one axis."""
        place = place_of(self._context, self._kind, name)
        return self._builder.extract_value(self._value, place if axis < 0 else [place, axis])

    def whole(self) -> Any:
        """The value."""
        return self._value


DEFERRED: dict[type, Callable[..., Any]] = {}  # what gives an array that is read where it is needed, by the type of the bundle


def place_of(context: Any, kind: Any, name: str) -> int:
    """Where a member of an array stands in its struct."""
    return int(context.data_model_manager[kind].get_field_position(name))


def count_items(context: Any, builder: Any, shape: list[Any]) -> Any:
    """How many items an array of a shape has."""
    many = shape[0] if shape else context.get_constant(types.intp, 1)
    for n in shape[1:]:
        many = builder.mul(many, n, flags=["nsw"])
    return many


def build_array(context: Any, builder: Any, kind: Any, members: dict[str, Any]) -> Any:
    """An array as one value.

    Args:
        context: Numba's.
        builder: LLVM's.
        kind: Type of the array.
        members: Its data, shape and strides, the latter two as lists; what else is given is taken as it is, and null where it is not.
    """
    made = context.get_value_type(kind)(None)
    for name, value in {**members, "nitems": count_items(context, builder, members["shape"])}.items():
        place = place_of(context, kind, name)
        for path, one in [([place, axis], one) for axis, one in enumerate(value)] if isinstance(value, list) else [([place], value)]:
            made = builder.insert_value(made, one, path)
    return made


def _whole_numbers(array: Any, index: Any) -> "tuple[Any, ...] | None":
    """The types of an index that says one whole number for each of the first axes; None for any other."""
    if type(array) is not types.Array:
        return None
    kinds: Any = tuple(getattr(index, "types", (index,))) if isinstance(index, types.BaseTuple) else (index,)
    is_plain = kinds and len(kinds) <= array.ndim and all(isinstance(kind, types.Integer) for kind in kinds)
    return kinds if is_plain else None


class LeanLower(Lower):
    """Numba's translation, but for what is frequent; for functions that count no references (`_nrt` off)."""

    def _find_singly_assigned_variable(self) -> None:
        """Which variables need no memory: those assigned once, in a block that is passed before every block that uses them."""
        if self.func_ir.func_id.is_generator:  # which goes on in another call than it began in
            super()._find_singly_assigned_variable()
            return
        times: dict[str, int] = {}
        homes: dict[str, int] = {}
        users: dict[str, set[int]] = {}
        for offset, block in self.blocks.items():
            for statement in block.body:
                if isinstance(statement, ir.Assign):
                    name = statement.target.name
                    times[name], homes[name] = times.get(name, 0) + 1, offset
                for variable in statement.list_vars():
                    users.setdefault(variable.name, set()).add(offset)
        passed = compute_cfg_from_blocks(self.blocks).dominators() if len(self.blocks) > 1 else {}
        in_memory = must_use_alloca(self.blocks)
        self._singly_assigned_vars = {
            name
            for name, home in homes.items()
            if times[name] == 1
            and name not in in_memory
            and all(user == home or (user > home and home in passed.get(user, ())) for user in users[name])
        }
        self._blk_local_varmap = {}

    def loadvar(self, name: str) -> Any:
        """The value of a variable."""
        value = self._held(name)
        return value if isinstance(value, llvm.Value) else value.whole()

    def storevar(self, value: Any, name: str, argidx: Any = None) -> None:
        """Give a variable its value."""
        is_held = name in self._singly_assigned_vars and not self._disable_sroa_like_opt
        super().storevar(value if is_held or isinstance(value, llvm.Value) else value.whole(), name, argidx)

    def _held(self, name: str) -> Any:
        """The value of a variable, or an array that is read where it is needed."""
        return self._blk_local_varmap[name] if name in self._blk_local_varmap else super().loadvar(name)

    def _array(self, variable: Any, kind: Any) -> Any:
        """An array as something that has members."""
        value = self._held(variable.name)
        if isinstance(value, llvm.Value) or self.typeof(variable.name) != kind:
            return Whole(self.context, self.builder, kind, self._cast_var(variable, kind))
        return value

    def lower_assign(self, ty: Any, inst: Any) -> Any:
        """Translate what is assigned."""
        if isinstance(inst.value, ir.Var) and self.typeof(inst.value.name) == ty:
            return self._held(inst.value.name)
        return super().lower_assign(ty, inst)

    def lower_expr(self, resty: Any, expr: Any) -> Any:
        """Translate an expression."""
        translate = SOONER.get(expr.op)
        found = None if translate is None else translate(self, expr)
        return super().lower_expr(resty, expr) if found is None else found

    def lower_getitem(self, resty: Any, expr: Any, value: Any, index: Any, signature: Any) -> Any:
        """An item of an array, or a view of what is left of its axes."""
        kind, given = signature.args
        kinds = _whole_numbers(kind, given)
        if kinds is None or (len(kinds) < kind.ndim) != isinstance(signature.return_type, types.Array) or self.context.enable_boundscheck:
            return super().lower_getitem(resty, expr, value, index, signature)
        context, array = self.context, self._array(value, kind)
        place = self._place(kind, array, kinds, self._cast_var(index, given))
        if len(kinds) == kind.ndim:
            found = arrayobj.load_item(context, self.builder, kind, place)
        else:
            left = range(len(kinds), kind.ndim)
            axes = {name: [array.member(name, axis) for axis in left] for name in ("shape", "strides")}
            found = build_array(
                context, self.builder, signature.return_type, {"data": place, **axes, **{name: array.member(name) for name in VIEWED}}
            )
        return context.cast(self.builder, found, signature.return_type, resty)

    def lower_setitem(self, target_var: Any, index_var: Any, value_var: Any, signature: Any) -> None:
        """Write an item of an array."""
        kind, given, written = signature.args
        kinds = _whole_numbers(kind, given)
        is_plain = isinstance(written, types.Number | types.Boolean) and not self.context.enable_boundscheck
        if kinds is None or len(kinds) < kind.ndim or not is_plain:
            super().lower_setitem(target_var, index_var, value_var, signature)
            return
        place = self._place(kind, self._array(target_var, kind), kinds, self._cast_var(index_var, given))
        value = self.context.cast(self.builder, self._cast_var(value_var, written), written, kind.dtype)
        arrayobj.store_item(self.context, self.builder, kind, value, place)

    def _place(self, kind: Any, array: Any, kinds: tuple[Any, ...], index: Any) -> Any:
        """Where an item begins; a negative index counts from the end."""
        context, builder = self.context, self.builder
        given = cgutils.unpack_tuple(builder, index, len(kinds)) if isinstance(index.type, llvm.Aggregate) else [index]
        places = []
        for axis, (of, one) in enumerate(zip(kinds, given, strict=True)):
            place = context.cast(builder, one, of, types.intp if of.signed else types.uintp)
            is_known = isinstance(place, llvm.Constant) and isinstance(place.constant, int) and place.constant >= 0
            places.append(fix_index(builder, place, array.member("shape", axis)) if of.signed and not is_known else place)
        data = array.member("data")
        if kind.layout != "C":
            shape, strides = ([array.member(name, axis) for axis in range(kind.ndim)] for name in ("shape", "strides"))
            return cgutils.get_item_pointer2(context, builder, data, shape, strides, kind.layout, places)
        offset, many = None, None
        for axis in reversed(range(kind.ndim)):
            if axis < len(places):
                here = places[axis] if many is None else builder.mul(places[axis], many)
                offset = here if offset is None else builder.add(here, offset)
            if axis > 0:
                size = array.member("shape", axis)
                many = size if many is None else builder.mul(size, many)
        return builder.gep(data, [offset])

    def _attribute(self, expr: Any) -> Any:
        """A member of a bundle that is an array; shape and size of an array."""
        kind = self.typeof(expr.value.name)
        if type(kind) in DEFERRED:
            return DEFERRED[type(kind)](self.context, self.builder, kind, self.loadvar(expr.value.name), expr.attr)
        if type(kind) is not types.Array or expr.attr not in ("shape", "size"):
            return None
        array = self._array(expr.value, kind)
        if expr.attr == "size":
            return array.member("nitems")
        return cgutils.pack_array(self.builder, [array.member("shape", axis) for axis in range(kind.ndim)]) if kind.ndim else None

    def _range(self, expr: Any) -> Any:
        """A range of steps of 1."""
        signature, kind = self.fndesc.calltypes[expr], self.typeof(expr.func.name)
        is_range = isinstance(kind, types.Function) and kind.typing_key is range
        if not is_range or expr.kws or expr.vararg or len(expr.args) > 2:
            return None
        number = signature.return_type.dtype
        ends = [self.context.cast(self.builder, self._cast_var(a, k), k, number) for a, k in zip(expr.args, signature.args, strict=True)]
        one, zero = self.context.get_constant(number, 1), self.context.get_constant(number, 0)
        made = self._struct(signature.return_type, *(() if len(ends) == 2 else (zero,)), *ends, one)
        made.by_one = [*(() if len(ends) == 2 else (zero,)), *ends, one]
        return made

    def _begin(self, expr: Any) -> Any:
        """The state of a loop over a range of steps of 1: where it is, its end, the step, and how often it still goes on."""
        value = self.loadvar(expr.value.name)
        if not hasattr(value, "by_one"):
            return None
        builder, (start, stop, step) = self.builder, value.by_one
        length = builder.sub(stop, start)
        count = builder.select(builder.icmp_signed(">", length, length.type(0)), length, length.type(0))
        return self._struct(self.fndesc.calltypes[expr].return_type, self._kept(start), stop, step, self._kept(count))

    def _next(self, expr: Any) -> Any:
        """The next number of a range, and whether there is one."""
        if not isinstance(self.typeof(expr.value.name), types.RangeIteratorType):
            return None
        builder, state = self.builder, self.loadvar(expr.value.name)
        place, _, step, left = getattr(state, "members", None) or [builder.extract_value(state, i) for i in range(4)]
        count, now = builder.load(left), builder.load(place)
        builder.store(builder.sub(count, count.type(1), flags=["nsw"]), left)
        builder.store(builder.add(now, step), place)
        return self._struct(self.fndesc.calltypes[expr].return_type, now, builder.icmp_signed(">", count, count.type(0)))

    def _of_pair(self, expr: Any) -> Any:
        """The number that a loop is at, or whether it goes on."""
        pair, place = self.loadvar(expr.value.name), int(expr.op == "pair_second")
        return pair.members[place] if hasattr(pair, "members") else self.builder.extract_value(pair, place)

    def _kept(self, value: Any) -> Any:
        """Memory of the function that holds a value from here on."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def _struct(self, kind: Any, *members: Any) -> Any:
        """A struct as one value, which knows its members."""
        made = self.context.get_value_type(kind)(llvm.Undefined)
        for place, member in enumerate(members):
            made = self.builder.insert_value(made, member, place)
        made.members = members
        return made


SOONER: dict[str, Callable[[LeanLower, Any], Any]] = {
    "getattr": LeanLower._attribute,
    "call": LeanLower._range,
    "getiter": LeanLower._begin,
    "iternext": LeanLower._next,
    "pair_first": LeanLower._of_pair,
    "pair_second": LeanLower._of_pair,
}
