"""What numba's compiler is made to remember, and which of its passes are left out: only how long it takes may change."""

import operator
import pickle
from typing import ClassVar

import llvmlite.binding
import numba
import pytest
from llvmlite.binding import ffi
from numba.core import compiler, ir, itanium_mangler, types
from numba.core.registry import cpu_target
from numba.core.types import functions
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.core.untyped_passes import InlineClosureLikes

from tme_abm.foundation import compiler_memory
from tme_abm.foundation.compiler import Compiler
from tme_abm.foundation.jit import COMPILED

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


def plain_variables(value):
    """The variables in a value, as numba looks for them."""
    if isinstance(value, ir.Var):
        return [value]
    if isinstance(value, ir.Inst):
        return value.list_vars()
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [found for member in members for found in plain_variables(member)]


def branching(a, b, c):
    """Statements of many kinds."""
    total = 0.0
    for i, x in enumerate((a, b)):
        total += x[i, 0] if a is not b else max(c, x[0, i])
        b[i, 1:3] = total
    return total, c


def test_the_variables_of_a_statement_are_those_that_numba_finds():
    blocks = compiler.run_frontend(branching).blocks.values()
    statements = [statement for block in blocks for statement in block.body]
    assert any(len(statement.list_vars()) > 2 for statement in statements)
    with compiler_memory.remembering():
        for statement in statements:
            assert statement.list_vars() == plain_variables(statement.__dict__)


def test_a_question_is_asked_once_and_answered_alike(monkeypatch):
    context = cpu_target.typing_context
    context.refresh()
    add = context.resolve_value_type(operator.add)
    args = (types.float64, types.int16)
    asked = []
    plain = functions.utils.order_by_target_specificity
    monkeypatch.setattr(functions.utils, "order_by_target_specificity", lambda *a, **k: asked.append(1) or plain(*a, **k))
    with compiler_memory.remembering():
        first = add.get_call_type(context, args, {})
        assert add.get_call_type(context, args, {}) is first
        assert asked == [1]
    assert first == types.float64(types.float64, types.float64)
    add.get_call_type(context, args, {})
    assert asked == [1, 1]


def test_numba_is_as_it_was_for_others():
    """Within a compilation and within one of a function that it calls, numba remembers; after it, and after one that fails, it does not."""
    own = [types.Type.__hash__, types.Type.__eq__, types.Function.get_call_type, ir.Inst._rec_list_vars]

    def now():
        return [types.Type.__hash__, types.Type.__eq__, types.Function.get_call_type, ir.Inst._rec_list_vars]

    with pytest.raises(ZeroDivisionError), compiler_memory.remembering():
        with compiler_memory.remembering():
            pass
        pair = types.Tuple((types.float32, types.int64))
        assert hash(pair) == hash(pair.key) and not any(a is b for a, b in zip(now(), own, strict=True))
        raise ZeroDivisionError
    assert all(a is b for a, b in zip(now(), own, strict=True))
    assert hash(pair) == hash(pair.key) and set(pickle.loads(pickle.dumps(pair)).__dict__) == set(pair.__dict__)


def answer():
    """Something that numba is told about while it compiles."""


def test_registries_are_looked_through_again_only_where_something_is_new(monkeypatch):
    context, target = cpu_target.typing_context, cpu_target.target_context
    looked = []
    monkeypatch.setattr(type(target), "load_additional_registries", lambda self: looked.append(1))
    target.refresh()
    target.refresh()
    assert looked == [1, 1]
    with compiler_memory.remembering():
        target.refresh()
        target.refresh()
        assert looked == [1, 1, 1]

        @infer_global(answer)
        class Answer(ConcreteTemplate):
            key = answer
            cases: ClassVar = [types.int64()]

        target.refresh()
        assert looked == [1, 1, 1, 1]
        assert context.resolve_value_type(answer).get_call_type(context, (), {}) == types.int64()


def test_sizes_and_symbols_are_those_that_numba_finds():
    target = cpu_target.target_context
    kinds = [target.get_value_type(kind) for kind in (types.int8, types.float64, types.Array(types.float32, 3, "C"), types.voidptr)]
    text = "Array(float64, 1, 'C', mutable, aligned) and \u00e4"
    sizes, symbol = [target.get_abi_sizeof(kind) for kind in kinds], itanium_mangler.mangle(text, (types.Array(types.int8, 1, "A"),))
    with compiler_memory.remembering():
        for _ in range(2):
            assert [target.get_abi_sizeof(kind) for kind in kinds] == sizes
            assert itanium_mangler.mangle(text, (types.Array(types.int8, 1, "A"),)) == symbol


def test_llvm_tells_its_listeners_again_afterwards():
    heard = []
    callbacks = (lambda: heard.append("taken"), lambda: heard.append("given"))
    ffi.register_lock_callback(*callbacks)
    try:
        with compiler_memory.remembering():
            llvmlite.binding.get_process_triple()
            assert heard == []
        llvmlite.binding.get_process_triple()
        assert heard[:2] == ["taken", "given"]
    finally:
        ffi.unregister_lock_callback(*callbacks)


def test_a_kernel_is_compiled_with_what_numba_remembers(monkeypatch):
    begun = []
    plain = compiler_memory._ask
    monkeypatch.setattr(compiler_memory, "_ask", lambda *a: begun.append(1) or plain(*a))
    assert numba.njit(pipeline_class=Compiler)(lambda x: 2.0 * x + 1.0)(3.0) == 7.0
    assert begun


def test_functions_inside_of_a_kernel_are_looked_for_where_there_are_some():
    def outer(x):
        def inner(y):
            return 2.0 * y

        return inner(x) + 1.0

    def plain(x):
        return 2.0 * x + 1.0

    seen = {}

    class Noting(Compiler):
        def define_pipelines(self):
            (made,) = super().define_pipelines()
            seen[self.state.func_id.func_name] = any(p is InlineClosureLikes for p, _ in made.passes)
            return [made]

    for function in (outer, plain):
        assert numba.njit(pipeline_class=Noting)(function)(3.0) == 7.0
    assert seen == {"outer": True, "plain": False}
