"""The field against independent solvers, exact solutions and the laws that it must keep."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.jit import COMPILED
from tme_abm.marrow.diffusion import advance, allocate_grid, relative_residual, solve_steady

DIFFUSIVITY = 6750.0  # adenosine, 270 um2/s on sites of 12 um [site^2/h]
SHAPES = [(8, 8), (16, 24), (9, 11), (33, 20), (63, 65), (64, 64), (8, 200)]


def problem(height, width, seed=0, spread=(2.0, 12.0)):
    """Scattered sources, and an uptake at random for each site that lets them spread `spread` sites."""
    random = np.random.default_rng(seed)
    n = height * width
    uptake = DIFFUSIVITY / random.uniform(*spread, n) ** 2
    source = 1000.0 * random.random(n) * (random.random(n) < 0.3)
    return source.astype(np.float32), uptake.astype(np.float32)


def operator(height, width, uptake, diffusivity=DIFFUSIVITY):
    """-D lap + u as a sparse matrix, assembled from rings of neighbours."""

    def ring(n):
        shift = sp.csr_matrix(np.roll(np.eye(n), 1, axis=1))
        return 2 * sp.eye(n) - shift - shift.T

    laplacian = sp.kron(ring(height), sp.eye(width)) + sp.kron(sp.eye(height), ring(width))
    return (diffusivity * laplacian + sp.diags(uptake.astype(np.float64))).tocsc()


def solved(source, uptake, grid, tolerance=1e-6, diffusivity=DIFFUSIVITY):
    field = np.zeros_like(source)
    solve_steady(field, source, uptake, diffusivity, grid, tolerance)
    return field


def cosine(height, width, ky, kx):
    """A mode of the torus and the eigenvalue of -lap for it."""
    y, x = np.divmod(np.arange(height * width), width)
    value = 4 * np.sin(np.pi * ky / height) ** 2 + 4 * np.sin(np.pi * kx / width) ** 2
    return np.cos(2 * np.pi * (ky * y / height + kx * x / width)), value


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("spread", [(2.0, 12.0), (1.0, 1.5), (12.0, 12.0)])
def test_agrees_with_a_direct_solve(height, width, spread):
    source, uptake = problem(height, width, spread=spread)
    exact = spsolve(operator(height, width, uptake), source.astype(np.float64))
    assert np.abs(solved(source, uptake, allocate_grid(height, width)) - exact).max() < 1e-4 * exact.max()


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_meets_the_tolerance_within_few_cycles(height, width):
    source, uptake = problem(height, width)
    grid, field = allocate_grid(height, width), np.zeros_like(source)
    cycles = solve_steady(field, source, uptake, DIFFUSIVITY, grid, 1e-4)
    assert 1 <= cycles <= 6
    assert relative_residual(field, source, uptake, DIFFUSIVITY, grid) < 1.1e-4


def test_residual_is_that_of_the_matrix():
    source, uptake = problem(9, 14)
    field = np.random.default_rng(1).random(9 * 14).astype(np.float32)
    rest = source - operator(9, 14, uptake) @ field.astype(np.float64)
    expected = np.linalg.norm(rest) / np.linalg.norm(source.astype(np.float64))
    got = relative_residual(field, source, uptake, DIFFUSIVITY, allocate_grid(9, 14))
    assert got == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (31, 45)])
def test_even_source_gives_source_over_uptake(height, width):
    n = height * width
    field = solved(np.full(n, 30.0, np.float32), np.full(n, 120.0, np.float32), allocate_grid(height, width))
    np.testing.assert_allclose(field, 0.25, rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(48, 32), (35, 27)])
def test_cosine_mode(height, width):
    mode, value = cosine(height, width, 2, 3)
    uptake = np.full(mode.size, 100.0, np.float32)
    field = solved((1 + 0.9 * mode).astype(np.float32), uptake, allocate_grid(height, width))
    exact = 1 / 100.0 + 0.9 * mode / (100.0 + DIFFUSIVITY * value)
    assert np.abs(field - exact).max() < 3e-5 * exact.max()


def test_point_source_gives_the_green_function():
    height, width, uptake = 40, 56, 300.0
    source = np.zeros((height, width))
    source[11, 50] = 1.0e4
    by_row = 2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(height))
    symbol = by_row[:, None] + 2 - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(width))
    exact = np.fft.irfft2(np.fft.rfft2(source) / (DIFFUSIVITY * symbol + uptake), (height, width)).ravel()
    everywhere = np.full(exact.size, uptake, np.float32)
    got = solved(source.ravel().astype(np.float32), everywhere, allocate_grid(height, width))
    assert np.abs(got - exact).max() < 1e-4 * exact.max()


def test_second_order_in_space():
    """One smooth problem on finer and finer lattices: the error falls fourfold with each halving of the spacing.

    On a torus of side 2 pi, c = 2 + cos X cos Y has lap c = -2 cos X cos Y; D = 1, u = 3 + sin X, s = u c - lap c.
    """
    errors = []
    for n in (8, 16, 32, 64):
        step = 2 * np.pi / n
        y, x = np.meshgrid(step * np.arange(n), step * np.arange(n), indexing="ij")
        waves = np.cos(x) * np.cos(y)
        exact, uptake = 2 + waves, 3 + np.sin(x)
        source = uptake * exact + 2 * waves
        flat = [a.ravel().astype(np.float32) for a in (source, uptake)]
        got = solved(*flat, allocate_grid(n, n), 1e-7, 1 / step**2)
        errors.append(np.abs(got - exact.ravel()).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders == pytest.approx(2.0, abs=0.15)


def test_warm_start_takes_fewer_cycles():
    source, uptake = problem(64, 64)
    grid, field = allocate_grid(64, 64), np.zeros_like(source)
    cold = solve_steady(field, source, uptake, DIFFUSIVITY, grid, 1e-4)
    solve_steady(field, source, uptake, DIFFUSIVITY, grid, 2e-5)
    assert solve_steady(field, source, uptake, DIFFUSIVITY, grid, 1e-4) == 0
    source[::97] += 20.0
    warm = solve_steady(field, source, uptake, DIFFUSIVITY, grid, 1e-4)
    assert 0 < warm < cold


def test_without_sources_the_field_is_zero():
    _, uptake = problem(16, 16)
    field = np.ones(256, np.float32)
    assert solve_steady(field, np.zeros(256, np.float32), uptake, DIFFUSIVITY, allocate_grid(16, 16), 1e-4) == 0
    assert not field.any()


def test_an_invalid_number_stays_visible():
    source, uptake = problem(16, 16)
    source[3] = np.nan
    assert np.isnan(solved(source, uptake, allocate_grid(16, 16))).any()


def test_stops_where_float32_ends():
    source, uptake = problem(32, 32, spread=(40.0, 40.0))
    grid, field = allocate_grid(32, 32), np.zeros_like(source)
    assert solve_steady(field, source, uptake, DIFFUSIVITY, grid, 1e-12) < 20
    assert relative_residual(field, source, uptake, DIFFUSIVITY, grid) < 1e-3


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(8, 40),
    width=st.integers(8, 40),
    seed=st.integers(0, 2**32),
    spread=st.floats(0.3, 12.0),
    density=st.sampled_from([0.002, 0.05, 1.0]),
)
def test_laws(height, width, seed, spread, density):
    """What is secreted is taken up; nothing is negative; more source, nowhere less; a shift moves the field."""
    random = np.random.default_rng(seed)
    n = height * width
    uptake = (DIFFUSIVITY / spread**2 * random.uniform(0.5, 2.0, n)).astype(np.float32)
    source = (100.0 * random.random(n) * (random.random(n) < density)).astype(np.float32)
    source[random.integers(n)] = 50.0
    grid = allocate_grid(height, width)
    field = solved(source, uptake, grid)
    assert field.min() >= 0.0
    assert np.sum(uptake * field, dtype=float) == pytest.approx(np.sum(source, dtype=float), rel=2e-4)
    assert np.all(solved(source + np.float32(1.0), uptake, grid) >= field - 1e-4 * field.max())

    def moved(a):
        return np.roll(a.reshape(height, width), (3, 5), (0, 1)).ravel()

    again = solved(moved(source), moved(uptake), grid)
    np.testing.assert_allclose(again, moved(field), rtol=0, atol=1e-4 * field.max())


@pytest.mark.parametrize(("height", "width"), [(32, 24), (31, 21)])
def test_transient_is_second_order_in_time(height, width):
    """Mean and mode decay at their own exact rates towards their own steady values."""
    mode, value = cosine(height, width, 1, 1)
    diffusivity, rate = 2.0, 0.5
    uptake, source = np.full(mode.size, rate, np.float32), np.full(mode.size, 0.4, np.float32)
    grid, end, errors = allocate_grid(height, width), 2.0, []
    exact = 0.8 + (3.0 - 0.8) * np.exp(-rate * end) + np.exp(-(rate + diffusivity * value) * end) * mode
    for n in (1, 2, 4, 8):
        field = (3.0 + mode).astype(np.float32)
        for _ in range(n):
            advance(field, source, uptake, diffusivity, grid, end / n)
        errors.append(np.abs(field - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders == pytest.approx(2.0, abs=0.25)
    assert errors[-1] < 2e-3


def test_one_step_agrees_with_its_stages_solved_directly():
    height, width, dt = 20, 17, 0.01
    source, uptake = problem(height, width)
    start = 3.0 * np.random.default_rng(5).random(source.size).astype(np.float32)
    gamma = 1 - 1 / np.sqrt(2)
    matrix, one = operator(height, width, uptake), sp.eye(source.size, format="csc")
    implicit = one + gamma * dt * matrix
    first = spsolve(implicit, start + gamma * dt * source)
    slope = source - matrix @ first
    exact = spsolve(implicit, start + (1 - gamma) * dt * slope + gamma * dt * source)
    field = start.copy()
    assert advance(field, source, uptake, DIFFUSIVITY, allocate_grid(height, width), dt) > 0
    np.testing.assert_allclose(field, exact, rtol=0, atol=1e-4 * exact.max())


@pytest.mark.parametrize("dt", [0.02, 6.0, 1000.0])
def test_transient_ends_in_the_steady_field(dt):
    source, uptake = problem(40, 30)
    grid, field = allocate_grid(40, 30), np.full(1200, 5.0, np.float32)
    for _ in range(30):
        advance(field, source, uptake, DIFFUSIVITY, grid, dt)
        assert field.min() >= 0.0
    steady = solved(source, uptake, grid)
    np.testing.assert_allclose(field, steady, rtol=0, atol=3e-4 * steady.max())


def test_sides_shorter_than_eight_are_refused():
    with pytest.raises(InputError, match="8 x 8 sites, got 7 x 64"):
        allocate_grid(7, 64)


@pytest.mark.skipif(not COMPILED, reason="concerns compiled code")
def test_one_compilation_for_all_shapes():
    seen = set()
    for height, width in [(8, 8), (9, 30), (64, 16)]:
        source, uptake = problem(height, width)
        grid = allocate_grid(height, width)
        advance(solved(source, uptake, grid), source, uptake, DIFFUSIVITY, grid, 1.0)
        seen.add((len(solve_steady.signatures), len(advance.signatures)))
    assert len(seen) == 1


SCRIPT = """
import sys
import numpy as np
from tme_abm.marrow.diffusion import advance, allocate_grid, relative_residual, solve_steady
out = []
for height, width in [(16, 8), (9, 11)]:
    n = height * width
    random = np.random.default_rng(4)
    source, uptake = random.random(n).astype("f4"), random.uniform(0.01, 0.2, n).astype("f4")
    grid, field = allocate_grid(height, width), np.zeros(n, "f4")
    cycles = solve_steady(field, source, uptake, 1.0, grid, 1e-4)
    out += [field.copy(), [cycles, relative_residual(field, source, uptake, 1.0, grid)]]
    cycles = advance(field, 2 * source, uptake, 1.0, grid, 0.5)
    out += [field, [cycles]]
np.save(sys.argv[1], np.concatenate(out))
"""


def test_interpreted_equals_compiled(tmp_path):
    results = []
    for disabled in ("0", "1"):
        path = tmp_path / f"{disabled}.npy"
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=True, env=environment)
        results.append(np.load(path))
    np.testing.assert_array_equal(*results)
