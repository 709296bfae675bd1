"""Subgroup operations: invocations that run side by side exchange values without memory.

A subgroup is a stretch of neighbouring invocations of a workgroup. How long it is differs by
device, so kernels must read `subgroup_size`; here it is a setting of the run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

REDUCTIONS = {
    "subgroupAdd": np.add,
    "subgroupMul": np.multiply,
    "subgroupMin": np.minimum,
    "subgroupMax": np.maximum,
    "subgroupAnd": np.bitwise_and,
    "subgroupOr": np.bitwise_or,
    "subgroupXor": np.bitwise_xor,
    "subgroupAll": np.logical_and,
    "subgroupAny": np.logical_or,
}
SCANS = {
    "subgroupInclusiveAdd": np.add,
    "subgroupExclusiveAdd": np.add,
    "subgroupInclusiveMul": np.multiply,
    "subgroupExclusiveMul": np.multiply,
}
# Arguments after the value: None, or whether it must be a constant.
MOVES: dict[str, bool | None] = {
    "subgroupBroadcast": True,
    "subgroupBroadcastFirst": None,
    "subgroupShuffle": False,
    "subgroupShuffleXor": False,
    "subgroupShuffleUp": False,
    "subgroupShuffleDown": False,
    "quadBroadcast": True,
    "quadSwapX": None,
    "quadSwapY": None,
    "quadSwapDiagonal": None,
}
_QUAD_FLIPS = {"quadSwapX": 1, "quadSwapY": 2, "quadSwapDiagonal": 3}
OPERATIONS = frozenset([*REDUCTIONS, *SCANS, *MOVES, "subgroupElect", "subgroupBallot"])


class Subgroups:
    """What generated code calls for subgroup operations; the run provides lanes, masks and reports."""

    lanes: int
    groups: int
    width: int
    lane: np.ndarray
    subgroup_size: int
    detect: bool
    team: Any = None  # lanes by subgroup; numbered on first use in a batch

    def report_subgroup(self, name: str, lane: int, away: int, line: int) -> None:
        """Only part of a subgroup takes part; the reporter provides it."""
        raise NotImplementedError

    def report_move(self, name: str, lanes: np.ndarray, line: int) -> None:
        """Lanes ask for the value of an invocation that takes no part; the reporter provides it."""
        raise NotImplementedError

    def _number_lanes(self) -> None:
        """Number the lanes of a batch by subgroup: a row each, short rows filled up."""
        size = self.subgroup_size
        rows = -(-self.width // size)
        index = np.arange(rows * size)
        team = np.arange(self.groups)[:, None] * self.width + np.minimum(index, self.width - 1)
        self.team = team.reshape(-1, size)
        self._there = np.tile(index < self.width, self.groups).reshape(-1, size)
        self._row = self.lane // self.width * rows + self.lane % self.width // size
        self._column = self.lane % self.width % size

    def subgroup(self, name: str, value: Any, m: Any, line: int, extra: Any = None) -> Any:
        """Result of an operation for every lane; `m` says which lanes take part."""
        if self.team is None:
            self._number_lanes()
        active = self._there if m is None else self._there & m[self.team]
        if m is not None and self.detect:
            self._check_together(name, active, line)
        if name == "subgroupElect":
            first = np.argmax(active, axis=1)
            return self._column == first[self._row]
        value = np.asarray(value)
        full = np.broadcast_to(value, (*value.shape[:-1], self.lanes) if value.ndim else (self.lanes,))
        if name == "subgroupBallot":
            return self._ballot(full, active)
        if name in MOVES:
            return self._move(name, full, active, m, line, extra)
        rows = full[..., self.team]
        op = REDUCTIONS.get(name) or SCANS[name]
        neutral = _neutral(name, full.dtype)
        rows = np.where(active, rows, neutral)
        if name in REDUCTIONS:
            return op.reduce(rows, axis=-1, dtype=None if full.dtype.kind == "b" else full.dtype)[
                ..., self._row
            ]
        sums = op.accumulate(rows, axis=-1, dtype=full.dtype)
        if "Exclusive" in name:
            sums = np.concatenate([np.full_like(sums[..., :1], neutral), sums[..., :-1]], axis=-1)
        return sums[..., self._row, self._column]

    def _check_together(self, name: str, active: np.ndarray, line: int) -> None:
        split = active.any(axis=1) & (self._there & ~active).any(axis=1)
        if split.any():
            row = int(np.argmax(split))
            here = int(self.team[row][np.argmax(active[row])])
            away = int(self.team[row][np.argmax(self._there[row] & ~active[row])])
            self.report_subgroup(name, here, away, line)

    def _ballot(self, value: np.ndarray, active: np.ndarray) -> np.ndarray:
        votes = value[self.team] & active
        words = np.zeros((4, len(votes)), np.uint32)
        for k in range(self.subgroup_size):
            words[k // 32] |= votes[:, k].astype(np.uint32) << np.uint32(k % 32)
        return words[:, self._row]

    def _move(self, name: str, value: np.ndarray, active: np.ndarray, m: Any, line: int, extra: Any) -> Any:
        source = self._source(name, active, extra)
        inside = (source >= 0) & (source < self.subgroup_size)
        source = np.where(inside, source, 0)
        known = inside & active[self._row, source]
        if self.detect:
            lost = ~known if m is None else ~known & m
            if lost.any():
                self.report_move(name, lost, line)
        return value[..., self.team[self._row, source]]

    def _source(self, name: str, active: np.ndarray, extra: Any) -> np.ndarray:
        """Which invocation of its subgroup each lane takes the value of."""
        mine = self._column
        if name == "subgroupBroadcastFirst":
            return np.argmax(active, axis=1)[self._row]
        if name in _QUAD_FLIPS:
            return mine ^ _QUAD_FLIPS[name]
        by = np.broadcast_to(np.asarray(extra).astype(np.int64), (self.lanes,))
        match name:
            case "subgroupShuffleXor":
                return mine ^ by
            case "subgroupShuffleUp":
                return mine - by
            case "subgroupShuffleDown":
                return mine + by
            case "quadBroadcast":
                return (mine & ~3) + by
        return by


def _neutral(name: str, dtype: np.dtype) -> Any:
    """What an invocation that takes no part adds to a result."""
    if dtype.kind == "b":
        return name == "subgroupAll"
    if name.endswith("Mul"):
        return dtype.type(1)
    if name == "subgroupAnd":
        return dtype.type(-1) if dtype.kind == "i" else dtype.type(np.iinfo(dtype).max)
    if name in ("subgroupMin", "subgroupMax"):
        low = name == "subgroupMax"
        if dtype.kind == "f":
            return dtype.type(-np.inf if low else np.inf)
        limits = np.iinfo(dtype)
        return dtype.type(limits.min if low else limits.max)
    return dtype.type(0)
