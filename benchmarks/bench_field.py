"""What a solve of the field costs, and what other ways to solve it cost.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_field.py [--sizes 64 128 256 512] [--rounds 15] [--json field.json]

The task: a periodic lattice on which 30 % of the sites secrete and every site takes up at its own rate (spread 2 to 12
sites). "cold" starts from zero, "warm" from the field before 1 % of the sites were given another source.

What the rivals leave out: the Fourier and cosine transforms alone solve exactly and from nothing, but only with one
uptake for all sites (so they get an easier problem; the cosine transform has closed borders instead of a torus). With
conjugate gradients around it the Fourier transform solves the same problem as this package does. The sparse LU and
pyamg solve it in double precision; their set-up, needed whenever the uptake changes, is listed apart. py-pde, where
installed, steps explicitly towards the steady state: 100 steps are timed, and the number needed is stated.

Times are processor time of the process, all threads together. Every round times each contestant once, in turn, so that
a slow moment of the machine meets all alike; a time is the median over rounds, a ratio is taken within a round and
given with its quartiles.
"""

import argparse
import importlib
import importlib.metadata
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from tme_abm.marrow.diffusion import advance, allocate_grid, relative_residual, solve_steady

DIFFUSIVITY = 6750.0
OURS = "warm, to 1e-4"
LARGEST_LU = 256
LARGEST_STEPPED = 128

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

    def run() -> np.ndarray:
        return solver.solve(changed, x0=before, tol=1e-4, accel="cg")  # relative to the source, as ours

    name = "pyamg, warm, to 1e-4"
    return {name: run}, {name: f"set-up {1e3 * setup:.0f} ms not counted"}


def stepped(n: int) -> tuple[Contest, dict[str, str]]:
    """Explicit steps, if py-pde is installed."""
    if n > LARGEST_STEPPED:
        return {}, {}
    try:
        pde = importlib.import_module("pde")
    except ImportError:
        return {}, {}
    source, _, uptake = (a.reshape(n, n).astype(float) for a in problem(n))
    lattice = pde.CartesianGrid([[0, n], [0, n]], [n, n], periodic=True)
    constants = {"s": pde.ScalarField(lattice, source), "u": pde.ScalarField(lattice, uptake)}
    equation = pde.PDE({"c": f"{DIFFUSIVITY} * laplace(c) - u * c + s"}, consts=constants, bc="periodic")
    state, steps = pde.ScalarField(lattice, 0.0), 100
    dt = 0.9 / (4 * DIFFUSIVITY + 0.5 * float(uptake.max()))
    rate = equation.make_pde_rhs(state, backend="numba")
    values = state.data.copy()
    rate(values, 0.0)

    def run() -> None:
        for _ in range(steps):
            np.add(values, dt * rate(values, 0.0), out=values)

    needed = np.log(1e4) / (float(uptake.mean()) * dt)
    name = f"py-pde, {steps} explicit steps"
    return {name: run}, {name: f"about {needed:.0f} steps to the steady state from zero"}


def measure(contest: Contest, rounds: int) -> dict[str, list[float]]:
    """Processor seconds a run, for each contestant and round; a short run is repeated within the round."""
    repeats = {}
    for name, run in contest.items():
        run()
        start = time.process_time()
        run()
        repeats[name] = max(1, min(50, int(0.004 / max(time.process_time() - start, 1e-6))))
    seconds: dict[str, list[float]] = {name: [] for name in contest}
    for _ in range(rounds):
        for name, run in contest.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                run()
            seconds[name].append((time.process_time() - start) / repeats[name])
    return seconds


def machine() -> dict[str, str]:
    """Processor and versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    found = {"processor": model, "system": platform.system(), "python": platform.python_version()}
    for package in ("numpy", "scipy", "numba", "pyamg", "py-pde"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Run the contest and print a table for each size."""
    parser = argparse.ArgumentParser(description="Time the solver of the field against others.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512], help="sites along a side")
    parser.add_argument("--rounds", type=int, default=15, help="paired measurements")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    options = parser.parse_args()
    start = time.perf_counter()
    n = min(options.sizes)
    own(n)
    compiled = time.perf_counter() - start
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(f"compiled or loaded from the cache in {compiled:.1f} s")
    rows = []
    for n in options.sizes:
        contest: Contest = {}
        remarks: dict[str, str] = {}
        for entrants in (own, transforms, preconditioned, direct, algebraic, stepped):
            runs, notes = entrants(n)
            contest |= runs
            remarks |= notes
        seconds = measure(contest, options.rounds)
        ours = np.array(seconds[OURS])
        print(f"\n{n} x {n} sites{'':19} {'us':>9} {'ns a site':>10}   times ours, {OURS} (quartiles)")
        for name, taken in seconds.items():
            median = float(np.median(taken))
            low, ratio, high = np.quantile(np.array(taken) / ours, [0.25, 0.5, 0.75])
            spread = f"{ratio:8.2f} ({low:.2f} to {high:.2f})"
            print(f"  {name:30} {1e6 * median:9.1f} {1e9 * median / n**2:10.2f}   {spread}  {remarks[name]}")
            rows.append(
                {
                    "side": n,
                    "solver": name,
                    "us": 1e6 * median,
                    "us_best": 1e6 * min(taken),
                    "ns_per_site": 1e9 * median / n**2,
                    "ratio_to_ours": ratio,
                    "ratio_lower_quartile": low,
                    "ratio_upper_quartile": high,
                    "remark": remarks[name],
                }
            )
    if options.json:
        result = {"machine": machine(), "ours": OURS, "rounds": options.rounds, "load_s": compiled, "rows": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
