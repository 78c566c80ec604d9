"""The shorter translation computes what numba's does, and is shorter."""

import os
import subprocess
import sys
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba.core.lowering import Lower

from tme_abm.foundation import compiler
from tme_abm.foundation.jit import COMPILED, kernel, part
from tme_abm.foundation.pinned import pin

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


class Bundle(NamedTuple):
    """Arrays of several types and layouts, and a bundle within."""

    flat: np.ndarray
    cube: np.ndarray
    turned: np.ndarray
    strided: np.ndarray
    flags: np.ndarray
    factor: float
    count: int
    is_on: bool


class Outer(NamedTuple):
    """A bundle that stands behind something else."""

    first: np.ndarray
    inner: Bundle


def example():
    """Numbers that tell every place from every other."""
    cube = np.arange(60.0).reshape(3, 4, 5)
    inner = Bundle(
        flat=np.arange(10, dtype=np.int16),
        cube=cube,
        turned=np.asfortranarray(cube[0] + 100.0),
        strided=np.arange(40, dtype=np.float32).reshape(4, 10)[:, ::3],
        flags=np.array([True, False, True, True]),
        factor=2.5,
        count=3,
        is_on=True,
    )
    return Outer(np.arange(7.0), inner)


def items(bundle, i, out):
    """Items by one and several indices, signed, unsigned and negative; views; shapes; what is a member of a member."""
    inner = bundle.inner
    unsigned = np.uint64(2)
    out[0] = inner.flat[i] + 10.0 * inner.flat[-1] + 100.0 * inner.flat[unsigned]
    out[1] = inner.cube[i, -1, unsigned] + inner.cube[0, 1, 2]
    out[2] = inner.turned[i, -2] + inner.strided[-1, i]
    view = inner.cube[i]
    row = inner.cube[-1, i]
    out[3] = view[i, 2] + row[-1] + row.size + 10 * view.shape[1] + view[1].sum()
    out[4] = inner.cube.size + 1000 * inner.cube.shape[2] + 0.1 * inner.flags.size
    out[5] = 1.0 * inner.flags[i] + 2.0 * inner.flags[-1] + inner.factor * inner.count + inner.is_on
    out[6] = bundle.first[i] + bundle.first[inner.count]
    for x in row:
        out[7] += x
    return len(inner.strided)


def writing(bundle, i, out):
    """Writes by one and several indices, of other types than the array's, and of a whole view."""
    inner = bundle.inner
    inner.flat[-2] = 7.9
    inner.flat[i] = np.uint8(200)
    inner.cube[i, -1, np.uint64(0)] = 5
    inner.turned[-1, 1] = inner.strided[0, 1]
    inner.strided[i, -1] = True
    inner.flags[1] = True
    inner.cube[0][:] = 4.0
    out[0] = inner.flags[1]
    return 0


def loops(bundle, i, out):
    """Ranges that are empty, run backwards or by steps; what a loop leaves behind; names given in one branch or both."""
    n = bundle.inner.count
    last = -1
    for k in range(n):
        last = k
        out[0] += k
    for k in range(-2, n):
        for j in range(k):
            out[1] += 10.0 * k + j
    for k in range(n, -n, -2):
        out[2] = 3.0 * out[2] + k
    for k in range(5, n):
        last = 100 * k
    for k in range(np.int32(2), 9):
        if k > 5:
            break
        if k == 3:
            continue
        best = k * i
        out[3] += best
    else:
        out[3] = -1.0
    both = range(n)
    for k in both:
        for j in both:
            out[4] += k * j
    if n > 2:
        chosen = bundle.inner.flat
    else:
        chosen = bundle.inner.flat[1:]
    out[5] = chosen[i] + last
    total = 0
    while total < 7:
        total += n
        out[6] = total
    for k in range(np.uint64(n)):
        out[7] += k
    return last


@pytest.mark.parametrize("rule", [items, writing, loops])
@pytest.mark.parametrize("i", [0, 1, 2])
@pytest.mark.parametrize("is_pinned", [True, False])
def test_it_computes_what_python_does(rule, i, is_pinned):
    here, there, out, expected = example(), example(), np.zeros(8), np.zeros(8)
    compiled = kernel(rule)(pin(here) if is_pinned else here, i, out)
    assert compiled == rule(there, i, expected)
    np.testing.assert_array_equal(out, expected)
    for a, b in zip((here.first, *here.inner), (there.first, *there.inner), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.any(out)


def given_later(n):
    """A name that only one branch gives is used behind it, where that branch was taken."""
    if n:
        found = 3 * n
    many = n + 1
    return found if n else -many


def test_a_name_that_only_a_branch_gives_is_used_behind_it():
    compiled = kernel(given_later)
    assert [compiled(n) for n in (0, 1, 4)] == [-1, 3, 12]


def test_it_is_shorter(monkeypatch):
    """The same function takes less than half of numba's instructions."""
    lengths = []
    plain = compiler.PartLibrary.add_ir_module
    monkeypatch.setattr(compiler.PartLibrary, "add_ir_module", lambda self, m: lengths.append(str(m).count("\n")) or plain(self, m))

    def reading(bundle, out):
        for k in range(out.size):
            out[k] = bundle.inner.cube[0, 1, k] + bundle.inner.flat[k] + bundle.first[k]

    def compile_it():
        taken = part(reading)

        def ask(bundle, out):
            taken(bundle, out)

        out = np.zeros(5)
        kernel(ask)(pin(example()), out)
        assert out.tolist() == [5.0 + 3 * k for k in range(5)]

    compile_it()
    monkeypatch.setattr(compiler.KernelLowering, "lowering_class", Lower)
    compile_it()
    short, long = lengths
    assert short < 0.5 * long


def test_a_part_is_linked_once_however_many_call_it():
    """Parts of parts reach the kernel, whoever named them first."""

    @part
    def deepest(x):
        return x * x

    @part
    def left(x):
        return deepest(x) + 1.0

    @part
    def right(x):
        return left(x) * deepest(x)

    def whole(x):
        return right(x) + 1.0

    assert kernel(whole)(3.0) == 10.0 * 9.0 + 1.0


def test_a_generator_is_called_from_a_kernel():
    @part
    def squares(n):
        for i in range(n):
            yield i * i

    def add_up(n):
        total = 0
        for x in squares(n):
            total += x
        return total

    assert kernel(add_up)(4) == 14


def test_numbas_check_of_bounds_holds(tmp_path):
    """It is the only guard of who writes a mechanism."""
    script = tmp_path / "beyond.py"
    script.write_text(
        "import numpy as np\n"
        "from tme_abm.foundation.jit import kernel\n"
        "@kernel\n"
        "def read(x, i):\n"
        "    return x[i]\n"
        "try:\n"
        "    print(read(np.arange(4.0), 10))\n"
        "except IndexError as error:\n"
        "    print('IndexError', error)\n"
    )
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    said = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True, env=environment).stdout
    assert said.startswith("IndexError")


def test_functions_that_allocate_are_left_to_numba():
    """Where references are counted, each array has an owner to be told."""

    def doubled(a):
        b = a + a
        return b[1:]

    given = np.arange(4.0)
    assert numba.njit(pipeline_class=compiler.Compiler)(doubled)(given).tolist() == [2.0, 4.0, 6.0]
