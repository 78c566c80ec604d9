"""Kernels that are called by their address: what was compiled long ago calls what is compiled now.

Numba links a kernel into those that call it, so another kernel in the step of the model would mean to compile the whole step anew. A
call by address leaves the step as it is: it finds at run time where to go on. Numba's own calling convention is kept, so an error that
is raised on the other side arrives here as if it had been raised here.

Where kernels are interpreted, an "address" is the Python function itself.
"""

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError, TypingError
from numba.extending import intrinsic

from tme_abm.foundation.jit import COMPILED, entry
from tme_abm.foundation.pinned import PinnedType

ADDRESS = np.int64 if COMPILED else np.object_  # of an array that holds addresses


if COMPILED:

    @intrinsic
    def call(typing: Any, act: Any, marrow: Any, rules: Any, tick: Any) -> Any:
        """Call the kernel (marrow, rules, tick) at an address, with a pinned bundle or the one at an address as its rules."""
        if not isinstance(marrow, PinnedType):
            raise TypingError("what is called by its address takes pinned bundles")

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            act, marrow, rules, tick = args
            kinds = (signature.args[1], types.voidptr, signature.args[3])
            form = context.call_conv.get_function_type(types.none, kinds)
            callee = builder.inttoptr(act, form.as_pointer())
            pointer = rules if isinstance(signature.args[2], PinnedType) else builder.inttoptr(rules, context.get_value_type(types.voidptr))
            given = (marrow, pointer, tick)
            status, _ = context.call_conv.call_function(builder, callee, types.none, kinds, given)
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return context.get_dummy_value()

        return types.none(act, marrow, rules, tick), generate

else:

    def call(act: Any, marrow: Any, rules: Any, tick: Any) -> None:  # type: ignore[misc]
        """Call a kernel (marrow, rules, tick)."""
        act(marrow, rules, tick)


def address(act: Any, *given: Any) -> Any:
    """Where a kernel begins that is compiled for arguments like those given.

    Args:
        act: A kernel or a part that returns nothing.
        given: Arguments as it will be called with; bundles pinned.

    Raises:
        NumbaError: Where it does not compile, or returns something.
    """
    if not COMPILED:
        return act
    made = compile_for(entry(act), *given)
    if made.signature.return_type != types.none:
        raise NumbaError(f"it returns {made.signature.return_type}, where nothing is expected")
    return made.library.get_pointer_to_function(made.fndesc.llvm_func_name)


def compile_for(compiled: Any, *given: Any) -> Any:
    """Compile a kernel for arguments like those given, without calling it.

    Returns:
        What numba made of it; None where kernels are interpreted.
    """
    if not COMPILED:
        return None
    kinds = tuple(compiled.typeof_pyval(value) for value in given)
    compiled.compile(kinds)
    return compiled.overloads[kinds]


def is_kernel(value: Any) -> bool:
    """Whether something can be called from kernels."""
    return isinstance(value, Dispatcher) if COMPILED else callable(value)
