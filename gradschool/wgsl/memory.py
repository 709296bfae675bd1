"""Memory of variables: flat arrays with bounds, poison and, when watched, a log of who touched what.

Offsets are Python integers when all lanes agree and intp arrays otherwise, in granules of the variable's layout.
Past the end lies a trap: reads outside end up there and find poison, writes outside end up there and are undone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradschool.wgsl.atomics import APPLY, in_order

# NaN as f32 and as two f16, nonsense as an integer, true as a boolean.
POISON = 0xFFDEFFAD
TRAP = 64


def views(data: np.ndarray) -> dict[str, np.ndarray]:
    """The same bytes as each scalar type."""
    return {
        "f32": data.view(np.float32),
        "i32": data.view(np.int32),
        "u32": data,
        "f16": data.view(np.float16),
    }


class Memory:
    """A variable shared by all lanes: a storage or uniform buffer."""

    def __init__(self, info: Any, data: np.ndarray, size: int, limit: int, run: Any) -> None:
        self.info = info  # .name, .ty, .layout, .space
        self.data = data  # uint32, with the trap at the end
        for name, view in views(data).items():
            setattr(self, name, view)
        self.size = size  # granules that exist
        self.limit = limit  # granules inside the contract
        self.trap = size
        self.run = run
        self.log: Any = None
        self.fresh: np.ndarray | None = None
        self.written: np.ndarray | None = None
        self.cost: Any = None
        self.dirty = False

    # Addresses.

    def addr(self, off, m, line, write, span=1):
        """Absolute index of an offset, with lanes that are outside sent to the trap."""
        if isinstance(off, int):
            if off <= self.limit - span:
                return off
        elif off.max() <= self.limit - span:
            return off
        return self.outside(off, m, line, write, span)

    def outside(self, off, m, line, write, span):
        """Report lanes outside the bounds and send them to the trap."""
        bad = np.asarray(off) > self.limit - span
        lanes = bad if m is None else bad & m
        if lanes.any():
            self.run.report_outside(self, off, lanes, line, write)
        if isinstance(off, int):
            if off <= self.size - span:
                return off
            self.dirty = self.dirty or write
            return self.trap
        self.dirty = self.dirty or write
        return np.where(off > self.size - span, self.trap, off)

    def clean(self) -> None:
        """Restore the trap's poison after a write outside."""
        self.data[len(self.data) - TRAP :] = POISON
        self.dirty = False

    # Loads and stores.

    def get(self, view, off, m, line, shift=0):
        """Load a scalar."""
        a = self.addr(off, m, line, False, 1 << shift)
        if self.log is not None:
            self.note_read(a, m, line, 1 << shift)
        return view[a >> shift] if shift else view[a]

    def getv(self, view, off, comps, m, line, shift=0):
        """Load a vector whose components lie at `comps` (a column) from the offset."""
        a = self.addr(off, m, line, False, int(comps[-1, 0]) + (1 << shift))
        a = a + comps
        if self.log is not None:
            self.note_read(a, m, line, 1 << shift)
        return view[a >> shift] if shift else view[a]

    def put(self, view, off, val, m, line, shift=0):
        """Store a scalar."""
        a = self.addr(off, m, line, True, 1 << shift)
        self.write(view, a, val, m, shift)
        if self.log is not None:
            self.note_write(a, m, line, val, 1 << shift)
        if self.dirty:
            self.clean()

    def putv(self, view, off, comps, val, m, line, shift=0):
        """Store a vector."""
        a = self.addr(off, m, line, True, int(comps[-1, 0]) + (1 << shift)) + comps
        self.write(view, a, val, m, shift)
        if self.log is not None:
            self.note_write(a, m, line, val, 1 << shift)
        if self.dirty:
            self.clean()

    def write(self, view, a, val, m, shift):
        """Store at absolute indices; with several lanes on one element the last one stays."""
        if shift:
            a = a >> shift
        if isinstance(a, int):
            view[a] = val if val.ndim == 0 else (val[-1] if m is None else val[m][-1])
            return
        if a.shape[-1] == 1 and a.ndim == 2:
            if val.shape[-1] > 1:
                val = val[:, -1:] if m is None else val[:, m][:, -1:]
            view[a] = val
            return
        if m is not None:
            a = a[..., m]
            if val.ndim and val.shape[-1] > 1:
                val = val[..., m]
        view[a] = val

    # Watching.

    def note_read(self, a, m, line, width):
        """Log a load, and report what was never written."""
        if self.cost is not None:
            self.cost.access(self, a, m, line, width, False)
        if self.fresh is not None:
            hit = self.fresh[a]
            if hit.any():
                self.run.report_fresh(self, a, hit, m, line)
        self.log.read(a, m, line, width)

    def note_write(self, a, m, line, val, width):
        """Log a store."""
        if self.cost is not None:
            self.cost.access(self, a, m, line, width, True)
        if self.fresh is not None or self.written is not None:
            full = a if m is None or isinstance(a, int) or a.shape[-1] == 1 else a[..., m]
            for k in range(width):
                if self.fresh is not None:
                    self.fresh[full + k] = False
                if self.written is not None:
                    self.written[full + k] = True
        self.log.write(a, m, line, val, width)

    # Atomics.

    def atomic(self, op, off, val, m, line, signed, wanted, compare=None):
        """Apply an atomic operation in lane order; return the old values if they are wanted."""
        lanes = self.run.lanes
        view = self.i32 if signed else self.u32  # type: ignore
        a = self.addr(off, m, line, op != "load")
        if self.cost is not None:
            self.cost.access(self, a, m, line, 1, op != "load", atomic=True)
        index = np.broadcast_to(np.asarray(a), (lanes,))
        who = np.arange(lanes) if m is None else np.flatnonzero(m)
        index = index[who]
        if self.log is not None and self.fresh is not None and op != "store" and self.fresh[index].any():
            hit = np.zeros(lanes, bool)
            hit[who] = self.fresh[index]
            self.run.report_fresh(self, np.broadcast_to(np.asarray(a), (lanes,)), hit, m, line)
        if self.log is not None and op != "load":
            if self.fresh is not None:
                self.fresh[index] = False
            if self.written is not None:
                self.written[index] = True
        if op == "store" and self.info.space == "storage" and self.run.many_groups:
            self.run.stored.setdefault(self, line)
        if wanted and op != "load":
            self.run.ordered.setdefault(self, line)
            if self.run.backwards:
                index, who = index[::-1], who[::-1]
        result = self._atomic(op, view, index, who, val, lanes, wanted, compare)
        if self.dirty:
            self.clean()
        return result

    def _atomic(self, op, view, index, who, val, lanes, wanted, compare):
        if op == "load":
            out = np.full(lanes, view[index[-1]])
            out[who] = view[index]
            return out
        values = np.broadcast_to(val, (lanes,))[who]
        if not wanted and op in APPLY:
            APPLY[op].at(view, index, values)
            return None
        if op == "store":
            view[index] = values
            return None
        compares = None if compare is None else np.broadcast_to(compare, (lanes,))[who]
        old, changed = in_order(op, view, index, values, compares)
        out = np.zeros(lanes, view.dtype)
        out[who] = old
        if compare is None:
            return out
        flags = np.zeros(lanes, bool)
        flags[who] = changed
        return out, flags


class WorkgroupMemory(Memory):
    """A variable of which each workgroup has its own copy."""

    def __init__(self, info: Any, cells: int, run: Any) -> None:
        data = np.full(cells * run.groups + TRAP, POISON, np.uint32)
        super().__init__(info, data, cells, cells, run)
        self.trap = cells * run.groups
        self.base = run.group_of_lane * cells

    def addr(self, off, m, line, write, span=1):
        """Absolute index in the copy of each lane's workgroup."""
        if isinstance(off, int):
            if off <= self.limit - span:
                return self.base + off
        elif off.max() <= self.limit - span:
            return self.base + off
        bad = np.broadcast_to(np.asarray(off) > self.limit - span, self.base.shape)
        lanes = bad if m is None else bad & m
        if lanes.any():
            self.run.report_outside(self, off, lanes, line, write)
            self.dirty = self.dirty or write
        return np.where(bad, self.trap, self.base + off)


class PrivateMemory(Memory):
    """A variable of which each lane has its own copy; the lane is the fastest index."""

    def __init__(self, info: Any, cells: int, run: Any) -> None:
        lanes = run.lanes
        data = np.zeros((cells + TRAP) * lanes, np.uint32)
        data[cells * lanes :] = POISON
        super().__init__(info, data, cells, cells, run)
        self.lanes = lanes
        self.lane = run.lane

    def spot(self, off, m, line, write, span):
        """Offset inside the bounds or at the trap."""
        if isinstance(off, int):
            if off <= self.limit - span:
                return off
            bad = np.ones(self.lanes, bool)
        else:
            if off.max() <= self.limit - span:
                return off
            bad = off > self.limit - span
        lanes = bad if m is None else bad & m
        if lanes.any():
            self.run.report_outside(self, off, lanes, line, write)
        self.dirty = self.dirty or write
        return np.where(bad, self.size, off)

    def get(self, view, off, m, line, shift=0):
        """Load a scalar."""
        off = self.spot(off, m, line, False, 1)
        if isinstance(off, int):
            return view[off * self.lanes : (off + 1) * self.lanes].copy()
        return view[off * self.lanes + self.lane]

    def getv(self, view, off, comps, m, line, shift=0):
        """Load a vector."""
        off = self.spot(off, m, line, False, len(comps))
        if isinstance(off, int):
            return (
                view[off * self.lanes : (off + len(comps)) * self.lanes]
                .reshape(len(comps), self.lanes)
                .copy()
            )
        return view[(off + comps) * self.lanes + self.lane]

    def put(self, view, off, val, m, line, shift=0):
        """Store a scalar."""
        off = self.spot(off, m, line, True, 1)
        if isinstance(off, int):
            row = view[off * self.lanes : (off + 1) * self.lanes]
            if m is None:
                row[:] = val
            else:
                np.copyto(row, val, where=m)
            return
        self.write(view, off * self.lanes + self.lane, val, m, 0)
        if self.dirty:
            self.clean()

    def putv(self, view, off, comps, val, m, line, shift=0):
        """Store a vector."""
        off = self.spot(off, m, line, True, len(comps))
        n = len(comps)
        if isinstance(off, int):
            rows = view[off * self.lanes : (off + n) * self.lanes].reshape(n, self.lanes)
            if m is None:
                rows[:] = val
            else:
                np.copyto(rows, val, where=m)
            return
        self.write(view, (off + comps) * self.lanes + self.lane, val, m, 0)
        if self.dirty:
            self.clean()

    def clean(self) -> None:
        """Restore the trap's poison."""
        self.data[self.size * self.lanes :] = POISON
        self.dirty = False
