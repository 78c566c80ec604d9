"""The posterior: sets of numbers with weights, drawn, stored, and read again."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tme_abm.analysis.calibration.fit import Fit
from tme_abm.analysis.calibration.plan import FARTHEST, Floats
from tme_abm.analysis.numbers import parse
from tme_abm.batch.stopping import Stop
from tme_abm.foundation.errors import InputError

SETS = "posterior.parquet"
OWN = Path("results") / "calibration"  # where `tme calibrate` puts a posterior, if it is not told otherwise
PACKAGED = Path(__file__).with_name(SETS)  # that from which the best set in the files of the model comes
WALKERS_FOR_EACH = 3  # walkers for each free number; two are the least that the sampler takes
SPREAD_AT_START = 0.3  # standard deviations of the prior in which the walkers begin
BURN = 0.4  # share of the steps that is left out
PIECE = 25  # steps between two looks at whether to stop


@dataclass(frozen=True)
class Posterior:
    """Sets of numbers with weights.

    Attributes:
        names: Paths of the numbers (p,).
        sets: Values (s, p).
        weights: Of the sets, which make 1 (s,).
        log_posterior: Up to a constant (s,).
    """

    names: tuple[str, ...]
    sets: Floats
    weights: Floats
    log_posterior: Floats

    @property
    def best(self) -> int:
        """The set with the highest posterior."""
        return int(np.argmax(self.log_posterior))

    def values(self, number: int) -> dict[str, float]:
        """Path -> value of a set."""
        return {name: float(value) for name, value in zip(self.names, self.sets[number], strict=True)}

    def quantile(self, share: float) -> Floats:
        """Of each number by itself (p,)."""
        return np.array([weighted_quantile(column, self.weights, share) for column in self.sets.T])

    def thinned(self, n: int) -> "Posterior":
        """At most n of the sets, evenly spread over the weights, all of which then count alike."""
        if n >= len(self.sets):
            return self
        edges = np.cumsum(self.weights)
        chosen = np.minimum(np.searchsorted(edges, (np.arange(n) + 0.5) / n), len(self.sets) - 1)
        return Posterior(self.names, self.sets[chosen], np.full(n, 1.0 / n), self.log_posterior[chosen])


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """The value below which a share of the weight lies."""
    order = np.argsort(values, kind="stable")
    edges = np.cumsum(weights[order]) - weights[order] / 2.0
    return float(np.interp(share * weights.sum(), edges, values[order]))


class Chain:
    """What the sampler has walked through.

    Attributes:
        places: Draws as places in the priors (s, p), after the burn-in.
        log_posterior: Of each (s,).
        acceptance: Mean share of accepted steps.
        autocorrelation: Longest integrated autocorrelation time of a number, in steps; NaN where the chain is too short to tell.
        steps: Steps of each walker.
    """

    def __init__(self, places: Floats, log_posterior: Floats, acceptance: float, autocorrelation: float, steps: int) -> None:
        """Take what was found."""
        self.places, self.log_posterior = places, log_posterior
        self.acceptance, self.autocorrelation, self.steps = acceptance, autocorrelation, steps


def need_emcee() -> None:
    """Say in one line that emcee is missing.

    Raises:
        InputError: Where it is.
    """
    try:
        import emcee  # noqa: F401
    except ImportError:
        raise InputError("a calibration needs emcee, which is not installed: pip install 'emcee>=3.1'") from None


def sample(fit: Fit, steps: int, stop: Stop | None = None, tell: Callable[[int], None] = lambda n: None, seed: int | None = None) -> Chain:
    """Draw from the posterior.

    Args:
        fit: Which.
        steps: Of each walker.
        stop: When set, the drawing ends.
        tell: Is told how many steps are done.
        seed: Of the chance of the sampler; that of the plan where it is left out.

    Raises:
        InputError: Where the posterior is nowhere above zero, or emcee is missing.
        Stopped: Where that was asked for.
    """
    need_emcee()
    import emcee

    p = len(fit.plan.free)
    walkers = max(2 * WALKERS_FOR_EACH * math.ceil(p / 2), 2 * p + 2)
    own = fit.plan.seed if seed is None else seed
    chance = np.random.default_rng(own)
    start = np.clip(chance.normal(0.0, SPREAD_AT_START, (walkers, p)), -FARTHEST, FARTHEST)
    moves = [(emcee.moves.DEMove(), 0.7), (emcee.moves.StretchMove(), 0.2), (emcee.moves.DESnookerMove(), 0.1)]
    sampler = emcee.EnsembleSampler(walkers, p, fit.log_posterior, moves=moves)
    sampler.random_state = np.random.RandomState(own % 2**32).get_state()
    state: Any = start
    if not any(math.isfinite(fit.log_posterior(at)) for at in start[:8]):
        raise InputError("the published figures are impossible near the middle of the priors: the bank is too small, or of other patients")
    done = 0
    while done < steps:
        n = min(PIECE, steps - done)
        state = sampler.run_mcmc(state, n, skip_initial_state_check=True)
        done += n
        tell(n)
        if stop is not None:
            stop.check()
    burn = int(BURN * steps)
    times = sampler.get_autocorr_time(discard=burn, quiet=True, tol=0)
    longest = float(np.max(times)) if np.all(np.isfinite(times)) else math.nan
    places = sampler.get_chain(discard=burn, flat=True)
    return Chain(places, sampler.get_log_prob(discard=burn, flat=True), float(np.mean(sampler.acceptance_fraction)), longest, steps)


def keep(fit: Fit, chain: Chain, n: int) -> tuple[Posterior, Floats]:
    """Some sets of a chain, its best among them.

    Returns:
        The posterior, and the places of its sets in the priors (s, p).
    """
    m = len(chain.places)
    chosen = np.unique(np.linspace(0, m - 1, min(n, m)).round().astype(int))
    best = int(np.argmax(chain.log_posterior))
    if best not in chosen:
        chosen[0] = best
    places = chain.places[chosen]
    columns = [fit.values(at) for at in places]
    names = tuple(path for free in fit.plan.free for path in free.paths)
    sets = np.array([[value for value, free in zip(row, fit.plan.free, strict=True) for _ in free.paths] for row in columns])
    return Posterior(names, sets, np.full(len(chosen), 1.0 / len(chosen)), chain.log_posterior[chosen]), places


def write(posterior: Posterior, path: Path, facts: Mapping[str, Any]) -> None:
    """Write the sets: a row for each, with `weight`, `log_posterior` and a column for each path.

    Args:
        posterior: The sets.
        path: The file.
        facts: What they were drawn from; stands in the metadata of the file.
    """
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"weight": posterior.weights, "log_posterior": posterior.log_posterior}
    columns |= {name: posterior.sets[:, i] for i, name in enumerate(posterior.names)}
    table = pa.table(columns).replace_schema_metadata({"tme_abm": json.dumps(facts, default=str)})
    pq.write_table(table, path)


def read(path: Path) -> Posterior:
    """Read sets that `write` has written; of a folder, its `posterior.parquet`; of `OWN`, where it is not there, that of the package.

    Raises:
        InputError: Where there are none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = path / SETS if path.is_dir() else PACKAGED if path == OWN and not path.exists() else path
    if not file.is_file():
        raise InputError(f"there is no file '{file}'; `tme calibrate` writes one")
    try:
        table = pq.read_table(file.absolute())
        names = tuple(name for name in table.column_names if name not in ("weight", "log_posterior"))
        weights, sets = _numbers(table, ("weight",))[:, 0], _numbers(table, names)
        if not names or not len(sets) or weights.min() < 0.0 or not weights.sum() > 0.0:
            raise ValueError
        found = Posterior(names, sets, weights / weights.sum(), _numbers(table, ("log_posterior",))[:, 0])
    except MemoryError:
        raise
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException):
        raise InputError(f"{file} holds no sets of a posterior; `tme calibrate` writes them") from None
    for name in names:
        try:
            parse(name)
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
    return found


def _numbers(table: Any, names: Sequence[str]) -> Floats:
    """Columns of a table (n, k), all of them finite numbers.

    Raises:
        ValueError: Where they are not.
    """
    found = np.column_stack([np.asarray(table[name].to_numpy(), np.float64) for name in names])
    if not np.isfinite(found).all():
        raise ValueError
    return found
