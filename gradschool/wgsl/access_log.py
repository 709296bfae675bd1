"""A log of who touched what, statement by statement, for pictures of small runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gradschool.wgsl.cost import Cost
from gradschool.wgsl.errors import Source

MAX_TOUCHES = 400_000


@dataclass(frozen=True, slots=True)
class Access:
    """One load, store or atomic of a statement, by all invocations that take part.

    Attributes:
        groups: Number of the workgroup, one per touch.
        lanes: Index of the invocation in its workgroup, one per touch.
        words: What was touched: the offset in the variable, in scalars.
    """

    line: int
    variable: str
    kind: Literal["read", "write", "atomic"]
    groups: np.ndarray
    lanes: np.ndarray
    words: np.ndarray


@dataclass(frozen=True, slots=True)
class Wait:
    """One barrier: `kind` says which memory it orders, `groups` which workgroups wait there."""

    line: int
    kind: Literal["workgroup", "storage"]
    groups: np.ndarray


class AccessLog(Cost):
    """Counts work like `Cost`, and keeps every access and barrier in order.

    Attributes:
        events: What happened, in the order of the run.
        infos: Description of each variable that was touched.
        cut: Whether the log grew too long, and the rest was left out.
    """

    def __init__(self, source: Source, max_touches: int = MAX_TOUCHES) -> None:
        super().__init__(source)
        self.events: list[Access | Wait] = []
        self.infos: dict[str, Any] = {}
        self.cut = False
        self._left = max_touches

    def access(
        self,
        memory: Any,
        a: Any,
        m: Any,
        line: int,
        width: int,
        write: bool,
        atomic: bool = False,
    ) -> None:
        """Count and keep an access."""
        super().access(memory, a, m, line, width, write, atomic)
        run, info = memory.run, memory.info
        if info.space == "uniform" or self.cut:
            return
        who = run.lane if m is None else np.flatnonzero(m)
        index = np.asarray(a)
        if index.ndim == 0 or index.shape[-1] == 1:
            index = np.broadcast_to(index.reshape(-1, 1), (index.size, len(who)))
        else:
            index = np.atleast_2d(index)[:, who]
        who = np.broadcast_to(who, index.shape).ravel()
        words = index.ravel()
        # Accesses outside are findings; a picture has no place for them.
        inside = words < memory.trap
        who, words = who[inside], words[inside]
        self._left -= len(words)
        self.cut = self._left < 0
        if self.cut or not len(words):
            return
        if info.space == "workgroup":
            words = words % memory.size
        self.infos[info.name] = info
        kind = "atomic" if atomic else ("write" if write else "read")
        self.events.append(
            Access(line, info.name, kind, run.group_numbers[who], who % run.width, words.astype(np.int64))
        )

    def barrier(self, line: int, m: Any, run: Any, kind: Any = "workgroup") -> None:
        """Count and keep a barrier."""
        super().barrier(line, m, run, kind)
        who = run.lane if m is None else np.flatnonzero(m)
        if not self.cut:
            self.events.append(Wait(line, kind, np.unique(run.group_numbers[who])))
