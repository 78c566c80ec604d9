"""TME-7 on what this package's model is made of: the lattice and its niche, columns by site, rosters by kind, addressed draws, kernels.

The wall round the tissue is a rim of sites that nobody can enter, so every cell has its neighbours at fixed distances. Three things
make it quick:

- A draw comes first, and only those whom it could let act are looked at (thinning, as in `marrow.fate`); a column with the number of
  plasma cells around each site tells an effector whether there is a target without a look at its neighbours.
- Cells of a kind act together, in one loop without a choice of kinds, along the lattice, so that neighbours share cache lines.
- Suppressors raise the suppression of all eight sites around them: on sites without an effector the number means nothing, and writing
  it costs less than asking.
"""

import time
from typing import NamedTuple

import numpy as np
from tme7 import RULES, START_ADENOSINE, SUBSTEPS, place

from tme_abm.foundation.jit import kernel
from tme_abm.foundation.rng import again, below, bits, lower, patient_key, subkey, upper
from tme_abm.marrow.cells import N_TYPES, CellType
from tme_abm.marrow.lattice import Lattice, make_lattice, mark_niche

EMPTY, PLASMA, T, NK, TREG, BREG, MDSC, STROMA = (
    int(CellType[name]) for name in ("EMPTY", "PLASMA", "T", "NK", "TREG", "BREG", "MDSC", "STROMA")
)
WALL = N_TYPES
N_KINDS = N_TYPES + 1
SORT_EVERY = 8  # steps between sortings of the rosters along the lattice
TURN = 101  # first of the streams of this file, beyond those of the model
F = np.float32
ZERO, HALF, ONE, FOUR = F(0), F(0.5), F(1), F(4)
FULL = 2.0**64


class Tissue(NamedTuple):
    """Everything, by site (the wall included) unless said."""

    kind: np.ndarray  # uint8
    suppression: np.ndarray  # float32; means something where a T or NK cell stands
    kills: np.ndarray  # int32; likewise
    plasma_around: np.ndarray  # uint8, plasma cells among the eight neighbours
    adenosine: np.ndarray  # float32
    field: np.ndarray  # (height, width) float32, the same numbers
    spare: np.ndarray  # (height, width) float32, of the field
    stroma: np.ndarray  # (height, width) float32, what the stroma of a site secretes
    lattice: Lattice
    roster: np.ndarray  # (N_KINDS, n_sites) int32, sites by kind
    count: np.ndarray  # (N_KINDS,) int64
    candidate: np.ndarray  # (n_sites,) int32, scratch
    word: np.ndarray  # (n_sites,) uint64, scratch
    nth: np.ndarray  # (256, 8) uint8, the n-th set bit of a byte
    bits_set: np.ndarray  # (256,) uint8
    order: np.ndarray  # (6,) int64, kinds in the order of their turns
    updates: np.ndarray  # (1,) int64


def make_tissue(cells: int, seed: int) -> Tissue:
    """Tissue at the start."""
    inside = place(cells, np.random.default_rng(seed))
    side = inside.shape[0]
    kind = np.full((side + 2, side + 2), WALL, np.uint8)
    kind[1:-1, 1:-1] = inside
    lattice = make_lattice(side + 2, side + 2)
    mark_niche(lattice, (kind == STROMA).ravel())
    around = np.zeros((side + 2, side + 2), np.uint8)
    is_plasma = kind == PLASMA
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy or dx:
                around += np.roll(is_plasma, (dy, dx), (0, 1))
    n = kind.size
    nth, bits_set = np.zeros((256, 8), np.uint8), np.zeros(256, np.uint8)
    for byte in range(256):
        places = [k for k in range(8) if byte >> k & 1]
        nth[byte, : len(places)] = places
        bits_set[byte] = len(places)
    adenosine = np.full(kind.shape, START_ADENOSINE, F)
    return Tissue(
        kind=kind.ravel(),
        suppression=np.zeros(n, F),
        kills=np.zeros(n, np.int32),
        plasma_around=around.ravel(),
        adenosine=adenosine.ravel(),
        field=adenosine,
        spare=np.zeros_like(adenosine),
        stroma=np.where(kind == STROMA, F(RULES.secrete_stroma), ZERO).astype(F),
        lattice=lattice,
        roster=np.zeros((N_KINDS, n), np.int32),
        count=np.zeros(N_KINDS, np.int64),
        candidate=np.zeros(n, np.int32),
        word=np.zeros(n, np.uint64),
        nth=nth,
        bits_set=bits_set,
        order=np.array([PLASMA, T, NK, TREG, BREG, MDSC], np.int64),
        updates=np.zeros(1, np.int64),
    )


@kernel
def take_roster(tissue):
    """Who stands where, by kind, along the lattice."""
    kind, roster, count = tissue.kind, tissue.roster, tissue.count
    for k in range(N_KINDS):
        count[k] = 0
    for s in range(kind.size):
        k = kind[s]
        roster[k, count[k]] = s
        count[k] += 1


@kernel
def free_around(kind, s, w):
    """The empty neighbours of a site as bits, in the order of `Lattice.offsets`."""
    m = int(kind[s - w - 1] == EMPTY) | int(kind[s - w] == EMPTY) << 1 | int(kind[s - w + 1] == EMPTY) << 2
    m |= int(kind[s - 1] == EMPTY) << 3 | int(kind[s + 1] == EMPTY) << 4
    return m | int(kind[s + w - 1] == EMPTY) << 5 | int(kind[s + w] == EMPTY) << 6 | int(kind[s + w + 1] == EMPTY) << 7


@kernel
def random_free(tissue, s, word):
    """A random empty neighbour of a site, or the site itself where there is none."""
    m = free_around(tissue.kind, s, tissue.lattice.width)
    if m == 0:
        return s
    return s + tissue.lattice.offsets[tissue.nth[m, int(lower(word) * float(tissue.bits_set[m]))]]


@kernel
def count_plasma(around, s, w, change):
    """A plasma cell has come to a site or gone from it."""
    around[s - w - 1] = int(around[s - w - 1]) + change
    around[s - w] = int(around[s - w]) + change
    around[s - w + 1] = int(around[s - w + 1]) + change
    around[s - 1] = int(around[s - 1]) + change
    around[s + 1] = int(around[s + 1]) + change
    around[s + w - 1] = int(around[s + w - 1]) + change
    around[s + w] = int(around[s + w]) + change
    around[s + w + 1] = int(around[s + w + 1]) + change


@kernel
def plasma_turns(tissue, rules, key):
    """Plasma cells die, divide and move."""
    kind, around, niche, adenosine = tissue.kind, tissue.plasma_around, tissue.lattice.niche, tissue.adenosine
    roster, candidate, words, w = tissue.roster, tissue.candidate, tissue.word, tissue.lattice.width
    held_acts = rules.death * 0.5 + rules.divide
    free_acts = rules.death + rules.divide + (1.0 - rules.death - rules.divide) * rules.move_plasma
    held_limit, free_limit = np.uint64(held_acts * FULL), np.uint64(free_acts * FULL)
    secreted = F(rules.secrete_plasma)
    n, k = 0, 0
    for i in range(tissue.count[PLASMA]):  # no branch: the dead leave the roster, those who may act are noted down
        s = roster[PLASMA, i]
        lives = int(kind[s] == PLASMA)
        adenosine[s] += secreted * F(lives)
        word = bits(key, s)
        roster[PLASMA, n] = s
        candidate[k] = n
        words[k] = word
        limit = held_limit if niche[s] == 1 else free_limit
        k += lives & int(word < limit)
        n += lives
    turn = bits(key, 0)  # no cell stands on the wall
    q, stride = below(turn, k) if k > 0 else 0, 1 if lower(turn) < 0.5 else -1
    born = n
    for _ in range(k):
        i = candidate[q]
        word = words[q]
        q += stride
        if q == k:
            q = 0
        elif q < 0:
            q = k - 1
        s = int(roster[PLASMA, i])
        x = upper(word)
        death = rules.death * 0.5 if niche[s] == 1 else rules.death
        if x < death:
            kind[s] = EMPTY
            count_plasma(around, s, w, -1)
            roster[PLASMA, i] = 0  # the wall: leaves the roster in the next step
            continue
        target = random_free(tissue, s, again(word))
        if target == s:
            continue
        if x >= death + rules.divide:
            kind[s] = EMPTY
            count_plasma(around, s, w, -1)
            roster[PLASMA, i] = target
        else:
            roster[PLASMA, born] = target
            born += 1
        kind[target] = PLASMA
        count_plasma(around, target, w, 1)
    tissue.count[PLASMA] = born


@kernel
def kill_neighbour(tissue, s, word):
    """One of the plasma cells around a site, at random, dies."""
    skip = int(lower(word) * float(tissue.plasma_around[s]))
    for k in range(8):
        victim = s + tissue.lattice.offsets[k]
        if tissue.kind[victim] == PLASMA:
            if skip == 0:
                tissue.kind[victim] = EMPTY
                count_plasma(tissue.plasma_around, victim, tissue.lattice.width, -1)
                return
            skip -= 1


@kernel
def effector_turns(tissue, which, chances, key):
    """T or NK cells kill or move; `chances` are those of a kill and of a move, and the adenosine that halves the killing."""
    kind, around, suppression, kills = tissue.kind, tissue.plasma_around, tissue.suppression, tissue.kills
    roster, adenosine = tissue.roster, tissue.adenosine
    n = tissue.count[which]
    if n == 0:
        return
    kill, moves, half = chances
    kill_limit, move_limit = np.uint64(kill * FULL), np.uint64(moves * FULL)
    turn = bits(key, 0)
    i, stride = below(turn, n), 1 if lower(turn) < 0.5 else -1
    for _ in range(n):
        s = int(roster[which, i])
        word = bits(key, s)
        kept = suppression[s] * HALF
        if around[s] > 0:
            if word < kill_limit and upper(word) * (1.0 + adenosine[s] / half) < kill * (1.0 - suppression[s]):
                kill_neighbour(tissue, s, again(word))
                kills[s] += 1
            suppression[s] = kept
        else:
            suppression[s] = kept
            if word < move_limit:
                target = random_free(tissue, s, again(word))
                if target != s:
                    kind[target] = which
                    kind[s] = EMPTY
                    suppression[target] = kept
                    kills[target] = kills[s]
                    kills[s] = 0
                    roster[which, i] = target
        i += stride
        if i == n:
            i = 0
        elif i < 0:
            i = n - 1


@kernel
def raised(suppression, s, strength):
    """Raise the suppression of one site."""
    value = suppression[s] + strength
    suppression[s] = ONE if value > ONE else value


@kernel
def suppressor_turns(tissue, which, amounts, key):
    """Suppressors secrete, suppress and move; `amounts` are the strength, the secretion and the chance of a move."""
    kind, suppression, adenosine, roster = tissue.kind, tissue.suppression, tissue.adenosine, tissue.roster
    candidate, words, w = tissue.candidate, tissue.word, tissue.lattice.width
    n = tissue.count[which]
    strength, secreted = F(amounts[0]), F(amounts[1])
    limit = np.uint64(amounts[2] * FULL)
    k = 0
    for i in range(n):
        s = int(roster[which, i])
        adenosine[s] += secreted
        word = bits(key, s)
        candidate[k] = i
        words[k] = word
        k += int(word < limit)
        raised(suppression, s - w - 1, strength)
        raised(suppression, s - w, strength)
        raised(suppression, s - w + 1, strength)
        raised(suppression, s - 1, strength)
        raised(suppression, s + 1, strength)
        raised(suppression, s + w - 1, strength)
        raised(suppression, s + w, strength)
        raised(suppression, s + w + 1, strength)
    turn = bits(key, 0)
    q, stride = below(turn, k) if k > 0 else 0, 1 if lower(turn) < 0.5 else -1
    for _ in range(k):
        i = candidate[q]
        s = int(roster[which, i])
        target = random_free(tissue, s, again(words[q]))
        if target != s:
            kind[target] = which
            kind[s] = EMPTY
            roster[which, i] = target
        q += stride
        if q == k:
            q = 0
        elif q < 0:
            q = k - 1


@kernel
def reflect(a):
    """Give the wall the values beside it, so that nothing flows across the edge."""
    height, width = a.shape
    for x in range(1, width - 1):
        a[0, x] = a[1, x]
        a[height - 1, x] = a[height - 2, x]
    for y in range(1, height - 1):
        a[y, 0] = a[y, 1]
        a[y, width - 1] = a[y, width - 2]


@kernel
def substep(old, new, spreads, keeps):
    """One explicit substep of the field."""
    reflect(old)
    height, width = old.shape
    for y in range(1, height - 1):
        for x in range(width - 2):
            around = old[y - 1, x + 1] + old[y + 1, x + 1] + old[y, x] + old[y, x + 2]
            new[y, x + 1] = keeps * old[y, x + 1] + spreads * around


@kernel
def diffuse(tissue, rules):
    """What the stroma secretes, and the substeps of the field."""
    a, b, stroma = tissue.field, tissue.spare, tissue.stroma
    height, width = a.shape
    for y in range(height):
        for x in range(width):
            a[y, x] += stroma[y, x]
    spreads, keeps = F(rules.diffusion), F(1.0 - 4.0 * rules.diffusion - rules.decay)
    for _ in range(SUBSTEPS // 2):
        substep(a, b, spreads, keeps)
        substep(b, a, spreads, keeps)


@kernel
def turns(tissue, rules, key, step):
    """All cells act once, kind after kind in a random order."""
    order = tissue.order
    if step % SORT_EVERY == 0:
        take_roster(tissue)
    for k in range(PLASMA, STROMA + 1):
        tissue.updates[0] += tissue.count[k]
    now = subkey(key, step)
    for i in range(order.size - 1, 0, -1):
        j = below(bits(now, i), i + 1)
        order[i], order[j] = order[j], order[i]
    for i in range(order.size):
        which = order[i]
        mine = subkey(now, TURN + which)
        if which == PLASMA:
            plasma_turns(tissue, rules, mine)
        elif which == T:
            effector_turns(tissue, which, (rules.kill_t, rules.move_effector, rules.half_t), mine)
        elif which == NK:
            effector_turns(tissue, which, (rules.kill_nk, rules.move_effector, rules.half_nk), mine)
        elif which == TREG:
            suppressor_turns(tissue, which, (rules.suppress_treg, rules.secrete_treg, rules.move_suppressor), mine)
        elif which == BREG:
            suppressor_turns(tissue, which, (rules.suppress_breg, rules.secrete_breg, rules.move_suppressor), mine)
        else:
            suppressor_turns(tissue, which, (rules.suppress_mdsc, rules.secrete_mdsc, rules.move_suppressor), mine)


@kernel
def advance(tissue, rules, key, first, n_steps):
    """Let steps pass: the cells, then the field."""
    for step in range(first, first + n_steps):
        turns(tissue, rules, key, step)
        diffuse(tissue, rules)


@kernel
def advance_field(tissue, rules, n_steps):
    """The field alone, to tell its share of the time."""
    for _ in range(n_steps):
        diffuse(tissue, rules)


class Engine:
    """TME-7 on the machinery of `tme_abm`."""

    def __init__(self, cells: int, seed: int) -> None:
        """Make the tissue."""
        self.tissue = make_tissue(cells, seed)
        self.key = int(patient_key(seed, 7))
        self.step = 0
        self.field_seconds = 0.0

    @property
    def updates(self) -> int:
        """Cells advanced by a step so far; a plasma cell killed since the last turn of its kind still counts as listed."""
        return int(self.tissue.updates[0])

    def advance(self, n_steps: int) -> None:
        """Let steps pass."""
        advance(self.tissue, RULES, self.key, self.step, n_steps)
        self.step += n_steps

    def time_field(self, n_steps: int) -> float:
        """Processor seconds of the field alone, from the present field on; the tissue is as good as lost."""
        start = time.process_time()
        advance_field(self.tissue, RULES, n_steps)
        return time.process_time() - start

    def census(self) -> dict[str, float]:
        """Counts and means."""
        kind = self.tissue.kind
        effector = (kind == T) | (kind == NK)
        inside = kind != WALL
        return {
            "plasma": float((kind == PLASMA).sum()),
            "kills": float(self.tissue.kills[effector].sum()),
            "suppression": float(self.tissue.suppression[effector].mean(dtype=float)),
            "adenosine": float(self.tissue.adenosine[inside].mean(dtype=float)),
            "plasma pairs": float(self.tissue.plasma_around[kind == PLASMA].mean()),
        }


def check(tissue: Tissue) -> None:
    """The views of who is where agree.

    Raises:
        AssertionError: Where they do not.
    """
    kind = tissue.kind
    for k in (T, NK, TREG, BREG, MDSC, STROMA):
        listed = np.sort(tissue.roster[k, : tissue.count[k]])
        assert np.array_equal(listed, np.flatnonzero(kind == k)), CellType(k).name
    listed = tissue.roster[PLASMA, : tissue.count[PLASMA]]
    assert np.array_equal(np.sort(listed[kind[listed] == PLASMA]), np.flatnonzero(kind == PLASMA))
    side = tissue.lattice.width
    is_plasma = (kind == PLASMA).reshape(side, side)
    around = sum(np.roll(is_plasma, (dy, dx), (0, 1)).astype(int) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
    assert np.array_equal(np.asarray(around).ravel(), tissue.plasma_around)
