"""Numba's compiler as this package uses it: quicker, and with functions that become machine code only as a part of others.

Compiling the model is most of what a newcomer waits for. What makes it shorter: the options of a compilation are compared by identity,
nobody looks for garbage meanwhile, numba remembers what it worked out (`compiler_memory`), passes that look for what a function does not
have are left out, the translation to LLVM is a short one (`lowering`), and a part is translated but not made into machine code by itself.
"""

import functools
import gc
from types import CodeType
from typing import Any, ClassVar

from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, Flags
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import InlineOverloads, IRLegalization, NativeLowering, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes

from tme_abm.foundation.compiler_memory import remembering
from tme_abm.foundation.lowering import LeanLower


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
        without: set[Any] = {InlineOverloads} if has_inner else {InlineOverloads, InlineClosureLikes}
        instead: dict[Any, Any] = {}
        if not self.state.flags.nrt:
            # nothing is allocated: no expression of arrays becomes a loop, and there are no references to give back
            without |= {NopythonRewrites, IRLegalization}
            instead = {NativeLowering: KernelLowering}
        made.passes = [(instead.get(p, p), text) for p, text in made.passes if p not in without]
        made.finalize()
        return [made]


class KernelLibrary(JITCodeLibrary):
    """The code of a kernel, into which that of all its parts is linked at once."""

    def finalize(self) -> None:
        """Link the parts, and theirs, and make machine code."""
        found: dict[Any, None] = {}
        _gather(self._linking_libraries, found)
        self._linking_libraries = [*reversed(found)]  # callers first: LLVM leaves out what nobody has asked for yet
        super().finalize()

    def _optimize_functions(self, module: Any) -> None:
        """As numba does, but for functions that are only named here and defined elsewhere: each would get optimisers of its own."""
        module.data_layout = self._codegen._data_layout
        for function in module.functions:
            if not function.is_declaration:
                optimisers, builder = self._codegen._function_pass_manager()
                optimisers.run(function, builder)


def _gather(libraries: Any, found: dict[Any, None]) -> None:
    """Add libraries to those `found`, after those that they need."""
    for library in libraries:
        if library not in found:
            if isinstance(library, PartLibrary):
                _gather(library._linking_libraries, found)
            found[library] = None


class PartLibrary(KernelLibrary):
    """The code of a part, to be linked into that of kernels, where all of it is optimised and made into machine code once.

    Numba would do both for each part and again for each caller of a caller, and copy each part into all of them, which more than doubles
    the time to compile the model.
    """

    def add_llvm_module(self, ll_module: Any) -> None:
        """Take the only module of a part as it is; where several kernels get it, the code is the same."""
        self._optimize_functions(ll_module)
        for function in ll_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"
        self._final_module = ll_module

    def finalize(self) -> None:
        """Leave all else to the kernel."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        return self._final_module

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
class KernelLowering(NativeLowering):
    """The translation to LLVM."""

    _name = "kernel_lowering"

    @property
    def lowering_class(self) -> Any:
        """Who translates."""
        return LeanLower

    def run_pass(self, state: Any) -> bool:
        """Translate, into a library of the right kind."""
        if state.library is None:
            state.library = self._library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()  # whether it is kept is said later
        return bool(super().run_pass(state))

    _library: Any = KernelLibrary


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(KernelLowering):
    """The translation to LLVM, into a `PartLibrary`."""

    _name = "part_lowering"
    _library = PartLibrary


class PartCompiler(Compiler):
    """The compiler but for the last stage."""

    def define_pipelines(self) -> list[Any]:
        """The passes in their order."""
        (passes,) = super().define_pipelines()
        passes.passes = [(PartLowering if p is KernelLowering else p, text) for p, text in passes.passes]
        passes.finalize()
        return [passes]
