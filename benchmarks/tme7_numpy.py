"""TME-7 in vectorised numpy: all cells of a kind act at once, kind after kind in a random order, no loop over cells."""

import time

import numpy as np
from tme7 import KILL, RULES, SECRETE, START_ADENOSINE, SUBSTEPS, SUPPRESS, place

from tme_abm.marrow.cells import N_TYPES, CellType

EMPTY, PLASMA, T, NK, STROMA = (int(CellType[name]) for name in ("EMPTY", "PLASMA", "T", "NK", "STROMA"))
WALL = N_TYPES
TURNS = (CellType.PLASMA, *KILL, *SUPPRESS)


class Vectorised:
    """TME-7 as arrays by site, with a wall round the tissue."""

    def __init__(self, cells: int, seed: int) -> None:
        """Make the tissue."""
        self.random = np.random.default_rng(seed)
        kind = np.pad(place(cells, self.random), 1, constant_values=WALL)
        w = self.width = kind.shape[0]
        self.kind = kind.ravel()
        self.offsets = np.array([-w - 1, -w, -w + 1, -1, 1, w - 1, w, w + 1])
        self.stroma = np.flatnonzero(self.kind == STROMA)
        self.is_held = np.zeros(self.kind.size, bool)
        self.is_held[(self.stroma[:, None] + self.offsets).ravel()] = True
        self.suppression = np.zeros(self.kind.size)
        self.kills = np.zeros(self.kind.size, int)
        self.adenosine = np.full(self.kind.size, START_ADENOSINE)
        self.updates = 0
        self.field_seconds = 0.0

    def advance(self, n_steps: int) -> None:
        """Let steps pass."""
        for _ in range(n_steps):
            self.updates += int(((self.kind != EMPTY) & (self.kind != WALL)).sum())
            self.adenosine[self.stroma] += SECRETE[CellType.STROMA]
            for i in self.random.permutation(len(TURNS)):
                which = TURNS[i]
                sites = np.flatnonzero(self.kind == which)
                if which is CellType.PLASMA:
                    self.plasma(sites)
                elif which in KILL:
                    self.effectors(sites, *KILL[which])
                else:
                    self.suppressors(sites, which)
            start = time.process_time()
            self.diffuse()
            self.field_seconds += time.process_time() - start

    def plasma(self, sites: np.ndarray) -> None:
        """Plasma cells die, divide and move."""
        self.adenosine[sites] += SECRETE[CellType.PLASMA]
        draw, held = self.random.random(sites.size), self.is_held[sites]
        death = np.where(held, 0.5 * RULES.death, RULES.death)
        self.kind[sites[draw < death]] = EMPTY
        divides = (draw >= death) & (draw < death + RULES.divide)
        moves = (draw >= death + RULES.divide) & ~held
        moves[moves] = self.random.random(int(moves.sum())) < RULES.move_plasma
        acts = divides | moves
        self.settle(sites[acts], moves[acts])

    def effectors(self, sites: np.ndarray, kill: float, half: float) -> None:
        """T or NK cells kill or move; where two choose the same target, one kills it."""
        is_target = self.kind[sites[:, None] + self.offsets] == PLASMA
        sees = is_target.any(1)
        at, targets = sites[sees], is_target[sees]
        chance = kill * (1.0 - self.suppression[at]) / (1.0 + self.adenosine[at] / half)
        hits = self.random.random(at.size) < chance
        at = at[hits]
        victims, first = np.unique(at + self.offsets[self.one_of(targets[hits])], return_index=True)
        self.kind[victims] = EMPTY
        self.kills[at[first]] += 1
        self.suppression[sites] *= 0.5
        self.settle(sites[~sees & (self.random.random(sites.size) < RULES.move_effector)])

    def suppressors(self, sites: np.ndarray, which: CellType) -> None:
        """Suppressors secrete, suppress and move."""
        self.adenosine[sites] += SECRETE[which]
        around = np.bincount((sites[:, None] + self.offsets).ravel(), minlength=self.kind.size)
        effector = np.flatnonzero(((self.kind == T) | (self.kind == NK)) & (around > 0))
        self.suppression[effector] = np.minimum(1.0, self.suppression[effector] + SUPPRESS[which] * around[effector])
        self.settle(sites[self.random.random(sites.size) < RULES.move_suppressor])

    def one_of(self, choices: np.ndarray) -> np.ndarray:
        """Column of a random true entry in each row."""
        rank = (self.random.random(choices.shape[0]) * choices.sum(1)).astype(int)
        return np.argmax(choices.cumsum(1) > rank[:, None], axis=1)

    def settle(self, sites: np.ndarray, is_move: np.ndarray | None = None) -> None:
        """Send cells, or their daughters where `is_move` is false, to random empty neighbours; the losers of a site try again."""
        is_move = np.ones(sites.size, bool) if is_move is None else is_move
        while sites.size:
            free = self.kind[sites[:, None] + self.offsets] == EMPTY
            has_room = free.any(1)
            sites, is_move, free = sites[has_room], is_move[has_room], free[has_room]
            order = self.random.permutation(sites.size)
            sites, is_move = sites[order], is_move[order]
            targets, first = np.unique(sites + self.offsets[self.one_of(free[order])], return_index=True)
            at, moved = sites[first], is_move[first]
            self.kind[targets] = self.kind[at]
            self.suppression[targets], self.kills[targets] = self.suppression[at], self.kills[at]
            self.kills[at[moved]] = 0
            self.kind[at[moved]] = EMPTY
            waiting = np.ones(sites.size, bool)
            waiting[first] = False
            sites, is_move = sites[waiting], is_move[waiting]

    def diffuse(self) -> None:
        """The substeps of the field."""
        p = self.adenosine.reshape(self.width, self.width)
        a = p[1:-1, 1:-1]
        for _ in range(SUBSTEPS):
            p[0], p[-1] = p[1], p[-2]
            p[:, 0], p[:, -1] = p[:, 1], p[:, -2]
            a += RULES.diffusion * (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * a) - RULES.decay * a

    def census(self) -> dict[str, float]:
        """Counts and means."""
        effector = (self.kind == T) | (self.kind == NK)
        plasma = np.flatnonzero(self.kind == PLASMA)
        return {
            "plasma": float(plasma.size),
            "kills": float(self.kills[effector].sum()),
            "suppression": float(self.suppression[effector].mean()),
            "adenosine": float(self.adenosine[self.kind != WALL].mean()),
            "plasma pairs": float((self.kind[plasma[:, None] + self.offsets] == PLASMA).sum(1).mean()),
        }
