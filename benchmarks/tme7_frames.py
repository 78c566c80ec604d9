"""TME-7 in mesa-frames, as far as it can express it: agent sets of data frames on a grid of capacity one.

What it cannot say: turns one at a time (its agents act as columns); the neighbours of each agent apart (`get_neighbors` gives those of
all together, so neighbourhoods are joined with the grid's own table here); a step to a random empty neighbour (`move_to_empty` goes
anywhere on the grid, and `move_agents` puts two agents on one site without a word, so conflicts are settled here as in `tme7_numpy`);
a field (numpy, as in `tme7_mesa`).
"""

import time

import numpy as np
import polars as pl
from mesa_frames import AgentSetPolars, GridPolars, ModelDF
from tme7 import KILL, RULES, SECRETE, START_ADENOSINE, SUBSTEPS, SUPPRESS, place

from tme_abm.marrow.cells import CellType

SITE, CENTRE = ["dim_0", "dim_1"], ["dim_0_center", "dim_1_center"]


def blank(ids: np.ndarray) -> pl.DataFrame:
    """Rows of new cells."""
    return pl.DataFrame({"unique_id": ids, "suppression": np.zeros(ids.size), "kills": np.zeros(ids.size, np.int64)})


class CellSet(AgentSetPolars):
    """All cells of one kind."""

    def __init__(self, model: "Frames", kind: CellType, ids: np.ndarray) -> None:
        super().__init__(model)
        self.kind = kind
        self.add(blank(ids))

    def places(self) -> pl.DataFrame:
        """Identity, what a cell carries, and its site."""
        return self.agents.join(self.model.space.agents, left_on="unique_id", right_on="agent_id", how="inner")

    def step(self) -> None:
        here = self.places()
        at = tuple(here[SITE].to_numpy().T)
        self.model.adenosine[at] += SECRETE.get(self.kind, 0.0)
        if self.kind is CellType.PLASMA:
            self.plasma(here)
        elif self.kind in KILL:
            self.effectors(here, *KILL[self.kind])
        elif self.kind in SUPPRESS:
            self.suppressors(here)

    def plasma(self, here: pl.DataFrame) -> None:
        random = self.model.random
        near = self.model.around(here).filter(pl.col("kind") == int(CellType.STROMA))["unique_id"].unique()
        held = here["unique_id"].is_in(near.implode()).to_numpy()
        draw = random.random(len(here))
        death = np.where(held, 0.5 * RULES.death, RULES.death)
        dies, divides = draw < death, (draw >= death) & (draw < death + RULES.divide)
        moves = ~held & (draw >= death + RULES.divide) & (random.random(len(here)) < RULES.move_plasma)
        self.model.remove(here.filter(dies)["unique_id"])
        self.model.settle(self, here.filter(divides), is_move=False)
        self.model.settle(self, here.filter(moves))

    def effectors(self, here: pl.DataFrame, kill: float, half: float) -> None:
        random = self.model.random
        targets = self.model.around(here).filter(pl.col("kind") == int(CellType.PLASMA))
        choice = targets.sample(fraction=1.0, shuffle=True, seed=self.model.seed()).unique("unique_id", keep="first")
        pairs = choice.select("unique_id", "agent_id").join(here, on="unique_id", how="inner")
        adenosine = self.model.adenosine[tuple(pairs[SITE].to_numpy().T)]
        chance = kill * (1.0 - pairs["suppression"].to_numpy()) / (1.0 + adenosine / half)
        kills = pairs.filter(random.random(len(pairs)) < chance).unique("agent_id", keep="any")
        self.model.remove(kills["agent_id"])
        killed = pl.col("unique_id").is_in(kills["unique_id"].implode()).cast(pl.Int64)
        self.agents = self.agents.with_columns(kills=pl.col("kills") + killed, suppression=pl.col("suppression") * 0.5)
        free = here.filter(~here["unique_id"].is_in(pairs["unique_id"].implode()))
        self.model.settle(self, free.filter(random.random(len(free)) < RULES.move_effector))

    def suppressors(self, here: pl.DataFrame) -> None:
        around = self.model.around(here).group_by("agent_id").len()
        for kind in KILL:
            cells = self.model.sets[kind]
            raised = cells.agents.join(around, left_on="unique_id", right_on="agent_id", how="left")
            more = (pl.col("suppression") + SUPPRESS[self.kind] * pl.col("len").fill_null(0)).clip(0.0, 1.0)
            cells.agents = raised.with_columns(suppression=more).drop("len")
        self.model.settle(self, here.filter(self.model.random.random(len(here)) < RULES.move_suppressor))


class Frames(ModelDF):
    """TME-7 in mesa-frames."""

    def __init__(self, cells: int, seed: int) -> None:
        super().__init__(seed=seed)
        kinds = place(cells, self.random)
        self.space = GridPolars(self, list(kinds.shape), torus=False, capacity=1, neighborhood_type="moore")
        self.adenosine = np.full(kinds.shape, START_ADENOSINE)
        self.sets, self.kind_of, self.next_id = {}, np.zeros(0, np.uint8), 0
        for kind in (*KILL, CellType.PLASMA, *SUPPRESS, CellType.STROMA):
            sites = np.argwhere(kinds == kind)
            self.sets[kind] = CellSet(self, kind, self.new_ids(kind, len(sites)))
            self.agents += self.sets[kind]
            self.space.place_agents(self.sets[kind], pl.DataFrame(sites, schema=SITE))
        self.updates = 0
        self.field_seconds = 0.0

    def seed(self) -> int:
        return int(self.random.integers(2**31))

    def new_ids(self, kind: CellType, n: int) -> np.ndarray:
        ids = np.arange(self.next_id, self.next_id + n)
        self.next_id += n
        self.kind_of = np.concatenate([self.kind_of, np.full(n, kind, np.uint8)])
        return ids

    def neighbourhood(self, here: pl.DataFrame) -> pl.DataFrame:
        """The sites around each cell: unique_id, site."""
        if here.is_empty():
            return pl.DataFrame(schema={"unique_id": pl.Int64, "dim_0": pl.Int64, "dim_1": pl.Int64})
        sites = self.space.get_neighborhood(radius=1, pos=here.select(SITE))
        return sites.join(here.select("unique_id", *SITE), left_on=CENTRE, right_on=SITE, how="inner").select("unique_id", *SITE)

    def around(self, here: pl.DataFrame) -> pl.DataFrame:
        """The cells around each cell: unique_id, agent_id and kind of the neighbour."""
        pairs = self.neighbourhood(here).join(self.space.agents, on=SITE, how="inner")
        return pairs.with_columns(kind=pl.Series(self.kind_of[pairs["agent_id"].to_numpy()]))

    def remove(self, ids: pl.Series) -> None:
        if len(ids):
            self.agents.remove(ids)

    def settle(self, cells: CellSet, waiting: pl.DataFrame, is_move: bool = True) -> None:
        """Send cells or their daughters to random empty neighbours; the losers of a site try again."""
        while len(waiting):
            free = self.neighbourhood(waiting).join(self.space.agents, on=SITE, how="anti")
            choice = free.sample(fraction=1.0, shuffle=True, seed=self.seed()).unique("unique_id", keep="first", maintain_order=True)
            winners = choice.unique(SITE, keep="first", maintain_order=True)
            if winners.is_empty():
                return
            if is_move:
                self.space.move_agents(winners["unique_id"], winners.select(SITE))
            else:
                ids = self.new_ids(cells.kind, len(winners))
                cells.add(blank(ids))
                self.agents._ids = pl.concat([self.agents._ids, pl.Series(ids)])  # `add` of a set does not tell the model
                self.space.place_agents(pl.Series(ids), winners.select(SITE))
            losers = choice.join(winners, on="unique_id", how="anti")
            waiting = waiting.join(losers.select("unique_id"), on="unique_id", how="semi")

    def advance(self, n_steps: int) -> None:
        for _ in range(n_steps):
            self.updates += len(self.space.agents)
            kinds = list(self.sets)
            for i in self.random.permutation(len(kinds)):
                self.sets[kinds[i]].step()
            start = time.process_time()
            self.diffuse()
            self.field_seconds += time.process_time() - start

    def diffuse(self) -> None:
        a = self.adenosine
        for _ in range(SUBSTEPS):
            p = np.pad(a, 1, mode="edge")
            a += RULES.diffusion * (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * a) - RULES.decay * a

    def census(self) -> dict[str, float]:
        effectors = pl.concat([self.sets[kind].agents.select("suppression", "kills") for kind in KILL])
        plasma = self.sets[CellType.PLASMA].places()
        pairs = self.around(plasma).filter(pl.col("kind") == int(CellType.PLASMA))
        return {
            "plasma": float(len(plasma)),
            "kills": float(effectors["kills"].sum()),
            "suppression": float(effectors["suppression"].mean()),
            "adenosine": float(self.adenosine.mean()),
            "plasma pairs": len(pairs) / max(len(plasma), 1),
        }
