"""TME-7 as a user of Mesa would write it: an object a cell, a grid of capacity one, a property layer, `shuffle_do`."""

import time

import mesa
import numpy as np
from mesa.discrete_space import CellAgent, FixedAgent, OrthogonalMooreGrid
from tme7 import KILL, RULES, SECRETE, START_ADENOSINE, SUBSTEPS, SUPPRESS, numbers, side_of

from tme_abm.marrow.cells import CellType

IS_RNG = tuple(int(part) for part in mesa.__version__.split(".")[:2]) >= (3, 5)


class Member:
    """What all cells do."""

    secretion = 0.0

    def deposit(self) -> None:
        self.cell.adenosine += self.secretion

    def go(self) -> None:
        if (site := self.free_site()) is not None:
            self.cell = site

    def free_site(self):
        free = [cell for cell in self.cell.neighborhood if cell.is_empty]
        return self.random.choice(free) if free else None

    def neighbours(self, kind: type) -> list:
        return [agent for agent in self.cell.neighborhood.agents if isinstance(agent, kind)]


class Plasma(Member, CellAgent):
    secretion = SECRETE[CellType.PLASMA]

    def step(self) -> None:
        self.deposit()
        held = any(isinstance(agent, Stroma) for agent in self.cell.neighborhood.agents)
        draw = self.random.random()
        death = RULES.death * (0.5 if held else 1.0)
        if draw < death:
            self.remove()
        elif draw < death + RULES.divide:
            if (site := self.free_site()) is not None:
                Plasma(self.model).cell = site
        elif not held and self.random.random() < RULES.move_plasma:
            self.go()


class Effector(Member, CellAgent):
    kill = half = 1.0

    def __init__(self, model) -> None:
        super().__init__(model)
        self.suppression = 0.0
        self.kills = 0

    def step(self) -> None:
        self.deposit()
        if targets := self.neighbours(Plasma):
            target = self.random.choice(targets)
            if self.random.random() < self.kill * (1.0 - self.suppression) / (1.0 + self.cell.adenosine / self.half):
                target.remove()
                self.kills += 1
        elif self.random.random() < RULES.move_effector:
            self.go()
        self.suppression *= 0.5


class TCell(Effector):
    kill, half = KILL[CellType.T]


class NKCell(Effector):
    kill, half = KILL[CellType.NK]


class Suppressor(Member, CellAgent):
    strength = 0.0

    def step(self) -> None:
        self.deposit()
        for agent in self.neighbours(Effector):
            agent.suppression = min(1.0, agent.suppression + self.strength)
        if self.random.random() < RULES.move_suppressor:
            self.go()


class Treg(Suppressor):
    secretion, strength = SECRETE[CellType.TREG], SUPPRESS[CellType.TREG]


class Breg(Suppressor):
    secretion, strength = SECRETE[CellType.BREG], SUPPRESS[CellType.BREG]


class MDSC(Suppressor):
    secretion, strength = SECRETE[CellType.MDSC], SUPPRESS[CellType.MDSC]


class Stroma(Member, FixedAgent):
    secretion = SECRETE[CellType.STROMA]

    def step(self) -> None:
        self.deposit()


CLASSES = {
    CellType.PLASMA: Plasma,
    CellType.T: TCell,
    CellType.NK: NKCell,
    CellType.TREG: Treg,
    CellType.BREG: Breg,
    CellType.MDSC: MDSC,
    CellType.STROMA: Stroma,
}


class PlainMesa(mesa.Model):
    """TME-7 in plain Mesa."""

    def __init__(self, cells: int, seed: int) -> None:
        super().__init__(**({"rng": seed} if IS_RNG else {"seed": seed}))
        side = side_of(cells)
        self.grid = OrthogonalMooreGrid((side, side), torus=False, capacity=1, random=self.random)
        self.grid.create_property_layer("adenosine", default_value=START_ADENOSINE, dtype=float)
        sites = self.random.sample(list(self.grid.all_cells), cells)
        for kind, n in numbers(cells).items():
            for _ in range(n):
                CLASSES[kind](self).cell = sites.pop()
        self.updates = 0
        self.field_seconds = 0.0

    @property
    def field(self) -> np.ndarray:
        """The layer's numbers, which Mesa keeps in different places."""
        layer = self.grid.adenosine
        return layer.data if isinstance(getattr(layer, "data", None), np.ndarray) else layer

    def diffuse(self) -> None:
        a = self.field
        for _ in range(SUBSTEPS):
            p = np.pad(a, 1, mode="edge")
            a += RULES.diffusion * (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * a) - RULES.decay * a

    def step(self) -> None:
        self.updates += len(self.agents)
        self.agents.shuffle_do("step")
        start = time.process_time()
        self.diffuse()
        self.field_seconds += time.process_time() - start

    def advance(self, n_steps: int) -> None:
        for _ in range(n_steps):
            self.step()

    def census(self) -> dict[str, float]:
        plasma = list(self.agents_by_type.get(Plasma, ()))
        effectors = [agent for kind in (TCell, NKCell) for agent in self.agents_by_type.get(kind, ())]
        return {
            "plasma": float(len(plasma)),
            "kills": float(sum(agent.kills for agent in effectors)),
            "suppression": float(np.mean([agent.suppression for agent in effectors])),
            "adenosine": float(self.field.mean()),
            "plasma pairs": float(np.mean([len(agent.neighbours(Plasma)) for agent in plasma])),
        }
