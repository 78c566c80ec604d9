"""Numba's compiler as this package uses it: quicker, and with functions that become machine code only as a part of others.

Compiling the model is most of what a newcomer waits for. What makes it shorter: the options of a compilation are compared by identity,
nobody looks for garbage meanwhile, numba remembers what it worked out (`compiler_memory`), passes that look for what a function does not
have are left out, and a part is translated but not made into machine code by itself.
"""

import functools
import gc
from types import CodeType
from typing import Any, ClassVar

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, Flags
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import InlineOverloads, NativeLowering
from numba.core.untyped_passes import InlineClosureLikes

from tme_abm.foundation.compiler_memory import remembering


class Fixed(Flags):
    """The options of a compilation, which do not change any more.

    Numba copies them for every function and compares them, some fifty one by one, for every operation in it.
    """

    known: ClassVar[dict[Any, "Fixed"]] = {}

    @classmethod
    def of(cls, flags: Flags) -> "Fixed":
        """The one object for options like these."""
        content = tuple(sorted((name, repr(value)) for name, value in flags.values().items()))
        return cls.known.setdefault(content, cls(flags))

    @functools.cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (not isinstance(other, Fixed) and bool(super().__eq__(other)))

    def copy(self) -> "Fixed":
        """What the functions called from here are compiled with; whether Python can call this one is not for them."""
        if self.no_cpython_wrapper:
            return self
        inner: Any = Flags(self)
        inner.no_cpython_wrapper = True
        return Fixed.of(inner)


class Compiler(CompilerBase):
    """Numba's compiler for functions that Python calls, or compiled code by their address."""

    def __init__(self, *args: Any) -> None:
        """As numba's."""
        super().__init__(*args)
        self.state.flags = Fixed.of(self.state.flags)

    def compile_extra(self, func: Any) -> Any:
        """Compile, while nobody looks for garbage among the millions of objects that a compilation makes, and numba remembers."""
        collects = gc.isenabled()
        gc.disable()
        try:
            with remembering():
                return super().compile_extra(func)
        finally:
            if collects:
                gc.enable()

    def define_pipelines(self) -> list[Any]:
        """The passes in their order, without those that look for what the function does not have, or may have and can be called."""
        made = DefaultPassBuilder.define_nopython_pipeline(self.state)
        has_inner = any(isinstance(constant, CodeType) for constant in self.state.func_id.code.co_consts)
        without = (InlineOverloads,) if has_inner else (InlineOverloads, InlineClosureLikes)
        made.passes = [(p, text) for p, text in made.passes if p not in without]
        made.finalize()
        return [made]


class PartLibrary(JITCodeLibrary):
    """The code of a part, to be linked into that of kernels, where all of it is optimised and made into machine code once.

    Numba would do both for each part and again for each caller of a caller, which more than doubles the time to compile the model.
    """

    def _optimize_functions(self, module: Any) -> None:
        """As numba does, but for functions that are only named here and defined elsewhere: each would get optimisers of its own."""
        module.data_layout = self._codegen._data_layout
        for function in module.functions:
            if not function.is_declaration:
                optimisers, builder = self._codegen._function_pass_manager()
                optimisers.run(function, builder)

    def _optimize_final_module(self) -> None:
        """Leave it to the kernel."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """There is none: nobody can call a part by itself."""
        return 0

    @property
    def codegen(self) -> "PartLibrary":
        """Where numba tells machine code about its Python environment (`set_env`), of which a part has none."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Nothing to tell."""


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(NativeLowering):
    """Numba's translation to LLVM, into a `PartLibrary`."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        """Translate."""
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return bool(super().run_pass(state))


class PartCompiler(Compiler):
    """The compiler but for the last stage."""

    def define_pipelines(self) -> list[Any]:
        """The passes in their order."""
        (passes,) = super().define_pipelines()
        passes.passes = [(PartLowering if p is NativeLowering else p, text) for p, text in passes.passes]
        passes.finalize()
        return [passes]
