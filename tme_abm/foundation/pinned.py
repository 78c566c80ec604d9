"""Bundles by address: a NamedTuple that kernels get as one pointer instead of as hundreds of values.

Numba hands a NamedTuple to a compiled function member by member, seven values for an array. A bundle of 80 arrays so makes each
call of each kernel a call with 600 arguments, which takes longest of all in compilation and some 10 us of every passage from Python.
`pin` writes the members down once, as words of 64 bits, and kernels get the address. To a kernel nothing changes:
`marrow.cells.kind` reads the same, interpreted or compiled. A bundle inside of a bundle is a pointer too.

The memory of a pinned bundle is not written again, and the compiler is told so (`invariant.load`): what it loads from there it may
keep, as it keeps the members of a tuple. The arrays themselves are as writable as before. What is pinned cannot be changed:
another tuple is another bundle to pin.
"""

import hashlib
import struct
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel.models import OpaqueModel
from numba.core.typing.templates import AttributeTemplate
from numba.extending import NativeValue, infer_getattr, lower_getattr_generic, register_model, typeof_impl, unbox
from numba.np.numpy_support import as_dtype

from tme_abm.foundation.jit import COMPILED
from tme_abm.foundation.lowering import DEFERRED, build_array, count_items

WORD = ir.IntType(64)


class PinnedType(types.Type):
    """The type of a pinned bundle, for numba."""

    def __init__(self, bundle: Any) -> None:
        self.bundle = bundle
        super().__init__(name=f"Pinned({bundle.name})")

    @property
    def key(self) -> Any:
        """What tells two types apart: the class of the tuple as well, which the name leaves out."""
        return self.bundle.key

    @property
    def mangling_args(self) -> tuple[str, tuple[str, ...]]:
        """What symbols call it: its name would be thousands of characters, in every symbol of every function that gets one."""
        return "Pinned", (hashlib.sha256(self.name.encode()).hexdigest()[:16],)


_KINDS: dict[Any, PinnedType] = {}  # by the form of a bundle: numba takes milliseconds to say the type of a hundred arrays


def form_of(value: Any) -> Any:
    """All that the type of a member depends on, for numba."""
    if isinstance(value, tuple):
        return type(value), *map(form_of, value)
    if isinstance(value, np.ndarray):
        flags = value.flags
        return type(value), value.dtype, value.ndim, flags.c_contiguous, flags.f_contiguous, flags.writeable
    return type(value)


def kind_of(value: Any) -> Any:
    """The type of a bundle or a member, as `numba.typeof` says it, but that it goes through the ancestors of every NamedTuple."""
    if isinstance(value, tuple):
        return types.BaseTuple.from_types([kind_of(member) for member in value], type(value))
    return numba.typeof(value)


class Pinned:
    """A NamedTuple and the place where its members are written down; holds the arrays alive."""

    def __init__(self, bundle: Any) -> None:
        """Write down the members of `bundle`; see `pin`."""
        self.bundle = bundle
        form = form_of(bundle)
        known = _KINDS.get(form)
        if known is None:
            known = _KINDS[form] = PinnedType(kind_of(bundle))
        self._numba_type_ = known
        self._memory = np.array(words(bundle), np.int64)
        self.address = self._memory.ctypes.data

    def __getattr__(self, name: str) -> Any:
        """A member, as the NamedTuple has it."""
        if name == "bundle":
            raise AttributeError(name)
        return getattr(self.bundle, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is written down anew."""
        return pin, (self.bundle,)


def pin(bundle: Any) -> Any:
    """`bundle` as kernels are to get it: pinned, or as it is where kernels are interpreted.

    Args:
        bundle: A NamedTuple of arrays, float, int, bool and such tuples.

    Raises:
        TypeError: For a member of another type.
    """
    return Pinned(bundle) if COMPILED else bundle


def words(value: Any) -> list[int]:
    """A member as 64-bit words: of an array the address, the shape and the strides."""
    if isinstance(value, np.ndarray):
        return [value.ctypes.data, *value.shape, *value.strides]
    if isinstance(value, tuple):
        return [word for member in value for word in words(member)]
    if isinstance(value, bool | int):
        return [int(value)]
    if isinstance(value, float):
        return list(struct.unpack("q", struct.pack("d", value)))
    raise TypeError(f"a pinned bundle cannot hold {value!r}")


def n_words(member: Any) -> int:
    """How many words a member of a type takes."""
    if isinstance(member, types.Array):
        return 1 + 2 * int(member.ndim)
    if isinstance(member, types.BaseTuple):
        members: Any = member.types  # type: ignore[attr-defined]
        return sum(n_words(m) for m in members)
    return 1


register_model(PinnedType)(OpaqueModel)


@typeof_impl.register(Pinned)
def _type_of(pinned: Pinned, context: Any) -> PinnedType:
    return pinned._numba_type_


@unbox(PinnedType)
def _from_python(kind: Any, pinned: Any, c: Any) -> NativeValue:
    held = c.pyapi.object_getattr_string(pinned, "address")
    address = c.pyapi.long_as_voidptr(held)
    c.pyapi.decref(held)
    return NativeValue(address, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


@infer_getattr
class _Members(AttributeTemplate):
    key = PinnedType

    def generic_resolve(self, kind: PinnedType, name: str) -> Any:  # type: ignore[override]
        if name not in kind.bundle.fields:
            return None
        member = kind.bundle.types[kind.bundle.fields.index(name)]
        return PinnedType(member) if isinstance(member, types.BaseNamedTuple) else member


class Deferred:
    """An array of a pinned bundle, of which compiled code reads what it needs where it needs it, as all of it stays what it is."""

    def __init__(self, context: Any, builder: Any, kind: Any, place: Any) -> None:
        """Note where the array is written down."""
        self._context, self._builder, self._kind, self._place = context, builder, kind, place

    def member(self, name: str, axis: int = -1) -> Any:
        """A member of the array, of its shape and strides that of one axis."""
        context, kind = self._context, self._kind
        if name == "data":
            return _load(self._builder, self._place(0), context.get_data_type(kind.dtype).as_pointer())
        if name in ("shape", "strides"):
            return _load(self._builder, self._place(1 + axis + (kind.ndim if name == "strides" else 0)))
        if name == "nitems":
            return count_items(context, self._builder, [self.member("shape", axis) for axis in range(kind.ndim)])
        if name == "itemsize":  # from numpy: LLVM would parse a module of its own to say how large a number is
            return context.get_constant(types.intp, as_dtype(kind.dtype).itemsize)
        return context.get_value_type(context.data_model_manager[kind].get_type(name))(None)

    def whole(self) -> Any:
        """The array as one value."""
        members = {name: [self.member(name, axis) for axis in range(self._kind.ndim)] for name in ("shape", "strides")}
        members |= {name: self.member(name) for name in ("data", "itemsize")}
        return build_array(self._context, self._builder, self._kind, members)


def _load(builder: Any, place: Any, kind: Any = WORD) -> Any:
    word = builder.load(builder.bitcast(place, kind.as_pointer()))
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


def _read(context: Any, builder: Any, kind: PinnedType, value: Any, name: str) -> Any:
    """A member of a bundle; an array is read later."""
    position = kind.bundle.fields.index(name)
    member = kind.bundle.types[position]
    first = sum(n_words(m) for m in kind.bundle.types[:position])

    def place(n: int) -> Any:
        return builder.gep(value, [WORD(8 * (first + n))], inbounds=True) if first + n else value

    if isinstance(member, types.BaseNamedTuple):
        return place(0)
    if isinstance(member, types.Array):
        return Deferred(context, builder, member, place)
    if member == types.float64:
        return _load(builder, place(0), ir.DoubleType())
    if member == types.int64:
        return _load(builder, place(0))
    if member == types.boolean:
        return builder.icmp_signed("!=", _load(builder, place(0)), WORD(0))
    raise TypeError(f"a pinned bundle cannot hold {member}")


DEFERRED[PinnedType] = _read


@lower_getattr_generic(PinnedType)
def _member(context: Any, builder: Any, kind: PinnedType, value: Any, name: str) -> Any:
    found = _read(context, builder, kind, value, name)
    return found.whole() if isinstance(found, Deferred) else found
