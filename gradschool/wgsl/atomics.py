"""Atomic operations: lanes that meet on one word take turns."""

from __future__ import annotations

import numpy as np

APPLY = {
    "add": np.add,
    "sub": np.subtract,
    "max": np.maximum,
    "min": np.minimum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


def in_order(op, view, index, values, compares):
    """Old value per lane when lanes that meet on one element take turns in lane order."""
    order = np.argsort(index, kind="stable")
    spots = index[order]
    starts = np.flatnonzero(np.r_[True, spots[1:] != spots[:-1]])
    turn = np.arange(len(spots)) - np.repeat(starts, np.diff(np.r_[starts, len(spots)]))
    old = np.empty(len(index), view.dtype)
    changed = np.zeros(len(index), bool)
    by_turn = np.argsort(turn, kind="stable")
    bounds = np.searchsorted(turn[by_turn], np.arange(turn.max() + 2))
    for t in range(len(bounds) - 1):
        lanes = order[by_turn[bounds[t] : bounds[t + 1]]]
        spot = index[lanes]
        before = view[spot]
        old[lanes] = before
        if op == "exchange":
            view[spot] = values[lanes]
        elif op == "cas":
            hit = before == compares[lanes]
            changed[lanes] = hit
            view[spot[hit]] = values[lanes][hit]
        else:
            view[spot] = APPLY[op](before, values[lanes])
    return old, changed
