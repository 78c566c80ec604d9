"""Shapley values: the share of each player in what a coalition gains."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tme_abm.foundation.rng import subkey, uniform

Floats = NDArray[np.float64]
Coalition = frozenset[str]
ORDERS = 0x5A9  # address of the orders below the seed


def is_exact(n_players: int, samples: int) -> bool:
    """Whether all coalitions cost no more runs than orders would."""
    return 2**n_players - 2 <= samples * (n_players - 1)


def draw_orders(players: Sequence[str], samples: int, seed: int, index: int) -> list[tuple[str, ...]]:
    """Orders in which a patient's players join, in pairs of an order and its reverse.

    Orders of successive pairs are rotations of one drawn order, so that over patients every player takes every place equally often;
    each order by itself is as likely as any other.
    """
    n, pairs = len(players), -(-samples // 2)
    orders: list[tuple[str, ...]] = []
    for j in range(pairs):
        block, turn = divmod(index * pairs + j, n)
        key = subkey(subkey(seed, ORDERS), block)
        drawn = sorted(range(n), key=lambda player, key=key: float(uniform(key, player)))  # type: ignore[misc]
        order = tuple(players[i] for i in (*drawn[turn:], *drawn[:turn]))
        orders += [order, order[::-1]]
    return orders[:samples]


def shapley_exact(players: Sequence[str], value: Callable[[Coalition], float]) -> Floats:
    """Shapley value of each player (n_players,) from the values of all coalitions."""
    n = len(players)
    shares = np.zeros(n)
    for i, player in enumerate(players):
        others = [p for p in players if p != player]
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for chosen in combinations(others, size):
                shares[i] += weight * (value(frozenset((*chosen, player))) - value(frozenset(chosen)))
    return shares


def shapley_sampled(players: Sequence[str], orders: Sequence[Sequence[str]], value: Callable[[Coalition], float]) -> Floats:
    """What each player adds in each of some orders (n_orders, n_players); a row sums to the whole gain."""
    added = np.zeros((len(orders), len(players)))
    place = {player: i for i, player in enumerate(players)}
    for row, order in zip(added, orders, strict=True):
        before = value(frozenset())
        for size, player in enumerate(order, 1):
            after = value(frozenset(order[:size]))
            row[place[player]] = after - before
            before = after
    return added
