"""What a solve of the field costs, and what other ways to solve it cost.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_field.py [--sizes 64 128 256 512] [--rounds 15] [--json field.json]

The task: a periodic lattice on which 30 % of the sites secrete and every site takes up at its own rate (spread 2 to 12
sites). "cold" starts from zero, "warm" from the field before 1 % of the sites were given another source.

What the rivals leave out: the Fourier and cosine transforms alone solve exactly and from nothing, but only with one
uptake for all sites (so they get an easier problem; the cosine transform has closed borders instead of a torus). With
conjugate gradients around it the Fourier transform solves the same problem as this package does. The sparse LU and
pyamg solve it in double precision; their set-up, needed whenever the uptake changes, is listed apart. py-pde steps
explicitly towards the steady state: how many steps that takes to the same residual is counted once, some of them are timed,
and the time of all follows. pyamg and py-pde take part where they are installed (`pip install '.[bench]'`).

Times and ratios are taken as `machine.py` says.
"""

import argparse
import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.fft
import scipy.sparse as sp
from machine import add_json, headline, machine, measure, ratio, write
from scipy.sparse.linalg import splu

from tme_abm.marrow.diffusion import advance, allocate_grid, relative_residual, solve_steady

DIFFUSIVITY = 6750.0
OURS = "warm, to 1e-4"
LARGEST_LU = 256
LARGEST_STEPPED = 128
TIMED_STEPS = 100
TOLERANCE = 1e-4
REFERENCE = "scipy dctn float32"

__all__ = ["machine"]  # bench_step.py takes it from here

Contest = dict[str, Callable[[], Any]]


def problem(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, changed sources and uptake, each (n * n,) float32."""
    random = np.random.default_rng(n)
    sites = n * n
    uptake = DIFFUSIVITY / random.uniform(2.0, 12.0, sites) ** 2
    source = 1000.0 * random.random(sites) * (random.random(sites) < 0.3)
    other = 1000.0 * random.random(sites) * (random.random(sites) < 0.3)
    changed = np.where(random.random(sites) < 0.01, other, source)
    return source.astype(np.float32), changed.astype(np.float32), uptake.astype(np.float32)


def own(n: int) -> tuple[Contest, dict[str, str]]:
    """This package: steady solves and one step of time."""
    source, changed, uptake = problem(n)
    grid, before, field = allocate_grid(n, n), np.zeros(n * n, np.float32), np.zeros(n * n, np.float32)
    zero = np.zeros_like(before)
    solve_steady(before, source, uptake, DIFFUSIVITY, grid, 2e-5)

    def steady(start: np.ndarray, sources: np.ndarray, tolerance: float) -> Callable[[], int]:
        def run() -> int:
            field[:] = start
            return solve_steady(field, sources, uptake, DIFFUSIVITY, grid, tolerance)

        return run

    def step() -> int:
        field[:] = before
        return advance(field, changed, uptake, DIFFUSIVITY, grid, 1.0)

    contest: Contest = {
        OURS: steady(before, changed, 1e-4),
        "warm, to 1e-3": steady(before, changed, 1e-3),
        "cold, to 1e-4": steady(zero, changed, 1e-4),
        "one step of 1 h": step,
    }
    remarks = {}
    for name, run in contest.items():
        cycles = run()
        remarks[name] = f"{cycles} cycles"
        if "to" in name:
            remarks[name] += f", residual {relative_residual(field, changed, uptake, DIFFUSIVITY, grid):.0e}"
    return contest, remarks


def transforms(n: int) -> tuple[Contest, dict[str, str]]:
    """Exact solves with one uptake everywhere, by fast transforms."""
    contest: Contest = {}
    for dtype in (np.float32, np.float64):
        source = problem(n)[1].reshape(n, n).astype(dtype)
        uptake = DIFFUSIVITY / 36.0
        rows = 2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(n))
        half = 2 - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(n))
        torus = (1 / (DIFFUSIVITY * (rows[:, None] + half) + uptake)).astype(dtype)
        waves = 2 - 2 * np.cos(np.pi * np.arange(n) / n)
        closed = (1 / (DIFFUSIVITY * (waves[:, None] + waves) + uptake)).astype(dtype)

        def fourier(source: np.ndarray = source, factor: np.ndarray = torus) -> np.ndarray:
            return scipy.fft.irfft2(scipy.fft.rfft2(source) * factor, source.shape, overwrite_x=True)

        def cosine(source: np.ndarray = source, factor: np.ndarray = closed) -> np.ndarray:
            return scipy.fft.idctn(scipy.fft.dctn(source) * factor, overwrite_x=True)

        contest[f"scipy rfft2 {dtype.__name__}"] = fourier
        contest[f"scipy dctn {dtype.__name__}"] = cosine
    return contest, dict.fromkeys(contest, "exact; one uptake for all sites")


def preconditioned(n: int) -> tuple[Contest, dict[str, str]]:
    """Conjugate gradients in float32, preconditioned by the exact solve for the geometric mean of the uptake."""
    source, changed, uptake = (a.reshape(n, n) for a in problem(n))
    rows = 2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(n))
    half = 2 - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(n))
    middle = float(np.exp(np.log(uptake).mean()))
    factor = (1 / (DIFFUSIVITY * (rows[:, None] + half) + middle)).astype(np.float32)
    diffusivity, diagonal = np.float32(DIFFUSIVITY), np.float32(4 * DIFFUSIVITY) + uptake

    def apply(a: np.ndarray) -> np.ndarray:
        around = np.empty_like(a)
        np.add(a[:-2], a[2:], out=around[1:-1])
        around[0], around[-1] = a[-1] + a[1], a[-2] + a[0]
        around[:, 1:-1] += a[:, :-2]
        around[:, 1:-1] += a[:, 2:]
        around[:, 0] += a[:, -1] + a[:, 1]
        around[:, -1] += a[:, -2] + a[:, 0]
        return diagonal * a - diffusivity * around

    def solve(right: np.ndarray, start: np.ndarray, tolerance: float) -> tuple[np.ndarray, int]:
        a, rest = start.copy(), right - apply(start)
        direction, before = np.zeros_like(start), np.float32(np.inf)
        target, steps = tolerance * np.linalg.norm(right), 0
        while np.linalg.norm(rest) > target:
            better = scipy.fft.irfft2(scipy.fft.rfft2(rest) * factor, rest.shape, overwrite_x=True)
            now = np.vdot(rest, better)
            direction = better + now / before * direction
            image = apply(direction)
            step = now / np.vdot(direction, image)
            a += step * direction
            rest -= step * image
            before, steps = now, steps + 1
        return a, steps

    field, _ = solve(source, np.zeros_like(source), 2e-5)
    name = "scipy rfft2 float32 + CG, 1e-4"
    steps = solve(changed, field, 1e-4)[1]
    return {name: lambda: solve(changed, field, 1e-4)}, {name: f"{steps} steps, warm; same problem"}


def matrix(n: int) -> sp.csc_matrix:
    """-D lap + u, assembled."""
    sites = np.arange(n * n).reshape(n, n)
    here = np.tile(sites.ravel(), 4)
    there = np.concatenate([np.roll(sites, shift, axis).ravel() for shift in (1, -1) for axis in (0, 1)])
    around = sp.coo_matrix((np.full(here.size, -DIFFUSIVITY), (here, there)), (n * n, n * n))
    return (around + sp.diags(4 * DIFFUSIVITY + problem(n)[2].astype(float))).tocsc()


def direct(n: int) -> tuple[Contest, dict[str, str]]:
    """Sparse LU decomposition."""
    if n > LARGEST_LU:
        return {}, {}
    start = time.process_time()
    solve = splu(matrix(n)).solve
    setup = time.process_time() - start
    right = problem(n)[1].astype(float)
    name = "scipy sparse LU"
    return {name: lambda: solve(right)}, {name: f"exact; set-up {1e3 * setup:.0f} ms not counted"}


def algebraic(n: int) -> tuple[Contest, dict[str, str]]:
    """Algebraic multigrid with conjugate gradients, if pyamg is installed."""
    try:
        pyamg = importlib.import_module("pyamg")
    except ImportError:
        return {}, {}
    operator = matrix(n).tocsr()
    start = time.process_time()
    solver = pyamg.ruge_stuben_solver(operator)
    setup = time.process_time() - start
    source, changed, _ = (a.astype(float) for a in problem(n))
    before = solver.solve(source, tol=1e-8, accel="cg")

    def solve(guess: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: solver.solve(changed, x0=guess, tol=TOLERANCE, accel="cg")  # relative to the source, as ours

    contest: Contest = {"pyamg, warm, to 1e-4": solve(before), "pyamg, cold, to 1e-4": solve(np.zeros_like(before))}
    return contest, dict.fromkeys(contest, f"set-up {1e3 * setup:.0f} ms not counted")


def stepped(n: int) -> tuple[Contest, dict[str, str]]:
    """Explicit steps, if py-pde is installed."""
    if n > LARGEST_STEPPED:
        return {}, {}
    try:
        pde = importlib.import_module("pde")
    except ImportError:
        return {}, {}
    source, changed, uptake = (a.reshape(n, n).astype(float) for a in problem(n))
    lattice = pde.CartesianGrid([[0, n], [0, n]], [n, n], periodic=True)
    constants = {"s": pde.ScalarField(lattice, changed), "u": pde.ScalarField(lattice, uptake)}
    equation = pde.PDE({"c": f"{DIFFUSIVITY} * laplace(c) - u * c + s"}, consts=constants, bc="periodic")
    dt = 0.9 / (4 * DIFFUSIVITY + 0.5 * float(uptake.max()))
    rate = equation.make_pde_rhs(pde.ScalarField(lattice, 0.0), backend="numba")
    target = TOLERANCE * np.linalg.norm(changed)

    def step(values: np.ndarray, steps: int) -> None:
        for _ in range(steps):
            np.add(values, dt * rate(values, 0.0), out=values)

    def count(values: np.ndarray) -> int:
        steps = 0
        while np.linalg.norm(rate(values, 0.0)) > target:
            step(values, TIMED_STEPS)
            steps += TIMED_STEPS
        return steps

    before = splu(matrix(n)).solve(source.ravel()).reshape(n, n)
    contest: Contest = {}
    remarks = {}
    for start, values in (("warm", before), ("cold", np.zeros_like(before))):
        name = f"py-pde, {start}, to 1e-4"
        needed = count(values.copy())
        contest[name] = partial(step, values, TIMED_STEPS)
        remarks[name] = f"{needed} explicit steps"
        SHARE[name] = needed / TIMED_STEPS
    return contest, remarks


SHARE: dict[str, float] = {}  # how many times the timed run a whole one is


def main() -> None:
    """Run the contest and print a table for each size."""
    parser = argparse.ArgumentParser(description="Time the solver of the field against others.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512], help="sites along a side")
    parser.add_argument("--rounds", type=int, default=15, help="paired measurements")
    add_json(parser)
    options = parser.parse_args()
    start = time.perf_counter()
    n = min(options.sizes)
    own(n)
    compiled = time.perf_counter() - start
    print(headline())
    print(f"compiled or loaded from the cache in {compiled:.1f} s")
    rows = []
    for n in options.sizes:
        contest: Contest = {}
        remarks: dict[str, str] = {}
        for entrants in (own, transforms, preconditioned, direct, algebraic, stepped):
            runs, notes = entrants(n)
            contest |= runs
            remarks |= notes
        seconds = {name: [SHARE.get(name, 1.0) * s for s in taken] for name, taken in measure(contest, options.rounds).items()}
        ours, dct = seconds[OURS], seconds[REFERENCE]
        print(f"\n{n} x {n} sites{'':19} {'us':>9} {'ns a site':>10}   times ours, {OURS} (quartiles)")
        for name, taken in seconds.items():
            median = float(np.median(taken))
            times = ratio(taken, ours)
            spread = f"{times.median:8.2f} ({times.low:.2f} to {times.high:.2f})"
            print(f"  {name:30} {1e6 * median:9.1f} {1e9 * median / n**2:10.2f}   {spread}  {remarks[name]}")
            rows.append(
                {
                    "side": n,
                    "solver": name,
                    "us": 1e6 * median,
                    "us_best": 1e6 * min(taken),
                    "ns_per_site": 1e9 * median / n**2,
                    "times_ours": times.median,
                    "times_low": times.low,
                    "times_high": times.high,
                    "times_reference": ratio(taken, dct).median,
                    "remark": remarks[name],
                }
            )
    write(options.json, "field", {"solves": rows}, ours=OURS, reference=REFERENCE, rounds=options.rounds, load_s=compiled)


if __name__ == "__main__":
    main()
