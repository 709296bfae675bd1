"""A worker's side of a cluster: warm slots in a Dask worker process.

A Dask worker calls `grade_order` in one of its threads. The submission is graded by the same slot process
as on the coordinator's machine, in the same isolation; this process only passes bytes on. Slots stay
warm between orders and end when there are none for a while, or with this process.
"""

from __future__ import annotations

import atexit
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

import gradschool
from gradschool.errors import GradschoolError
from gradschool.grading.cluster_messages import ClusterAnswer, ClusterOrder, decode_pack
from gradschool.grading.slot_client import SlotClient, SlotDied
from gradschool.grading.slot_messages import SlotAnswer
from gradschool.pack import Pack

IDLE_S = 60.0
"""How long a slot waits for the next order before it ends."""


def grade_order(order: bytes, pack: bytes) -> bytes:
    """Grade one submission; every failure is an answer, so that nothing but bytes travels back."""
    asked = msgspec.json.decode(order, type=ClusterOrder)
    if asked.package != gradschool.__version__:
        reason = f"it has gradschool {gradschool.__version__}, not {asked.package}"
        answer = ClusterAnswer(unfit=reason)
    else:
        try:
            answer = _grade(asked, _packs.get(asked.pack, pack))
        except (GradschoolError, OSError) as error:
            answer = ClusterAnswer(unfit=str(error))
    answer.worker = _address()
    return msgspec.json.encode(answer)


def _grade(order: ClusterOrder, pack: Pack) -> ClusterAnswer:
    for attempt in (1, 2):
        with _slots.borrow(pack, order) as slot:
            try:
                answer: SlotAnswer = slot.grade(order.task)
            except SlotDied as error:
                # A slot can die for reasons of its own; only a second death speaks against the work.
                if attempt == 2:
                    return ClusterAnswer(error=str(error))
                continue
            return ClusterAnswer(record=answer.record, error=answer.error)
    raise AssertionError("unreachable")


def _address() -> str:
    """This worker's address; empty where there is none, as in a test."""
    from distributed import get_worker

    try:
        return get_worker().address
    except ValueError:
        return ""


def _scratch() -> str | None:
    """Dask's own folder for this worker, which Dask clears when the worker is gone."""
    from distributed import get_worker

    try:
        return get_worker().local_directory
    except ValueError:
        return None


class _Packs:
    """Courses on this machine's disk, each written once per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Pack] = {}
        self._folders: list[tempfile.TemporaryDirectory[str]] = []

    def get(self, digest: str, data: bytes) -> Pack:
        """Return the course of this digest."""
        with self._lock:
            if digest not in self._known:
                # Readable by this user alone, and outside of what a sandbox shows to a submission.
                folder = tempfile.TemporaryDirectory(prefix="gradschool-pack-", dir=_scratch())
                self._folders.append(folder)
                self._known[digest] = decode_pack(data, digest, Path(folder.name))
            return self._known[digest]

    def close(self) -> None:
        """Delete them."""
        with self._lock:
            self._known.clear()
            while self._folders:
                self._folders.pop().cleanup()


class _Idle:
    """A slot that waits for work."""

    def __init__(self, kind: bytes, slot: SlotClient) -> None:
        self.kind = kind
        self.slot = slot
        self.since = time.monotonic()


class _Slots:
    """Slots of this process, lent to one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []
        self._is_watched = False

    @contextmanager
    def borrow(self, pack: Pack, order: ClusterOrder) -> Iterator[SlotClient]:
        """Lend a warm slot for this course and these options, a new one when none is idle."""
        kind = msgspec.json.encode((order.pack, order.options))
        slot = self._take(kind) or SlotClient(pack.root, order.options)
        try:
            yield slot
        except BaseException:
            slot.kill()
            raise
        if slot.is_alive:
            with self._lock:
                self._idle.append(_Idle(kind, slot))
                if not self._is_watched:
                    self._is_watched = True
                    threading.Thread(target=self._watch, daemon=True).start()

    def _take(self, kind: bytes) -> SlotClient | None:
        with self._lock:
            fitting = next((idle for idle in self._idle if idle.kind == kind), None)
            other = self._idle[0] if self._idle and fitting is None else None
            for idle in (fitting, other):
                if idle is not None:
                    self._idle.remove(idle)
        if other is not None:
            # It is of another run; the machine has room for as many slots as there are threads.
            other.slot.close()
        return fitting.slot if fitting is not None else None

    def _watch(self) -> None:
        while True:
            time.sleep(IDLE_S / 10)
            with self._lock:
                old = [idle for idle in self._idle if time.monotonic() - idle.since > IDLE_S]
                self._idle = [idle for idle in self._idle if idle not in old]
                is_last_look = not self._idle
                self._is_watched = not is_last_look
            for idle in old:
                idle.slot.close()
            if is_last_look:
                return

    def close(self) -> None:
        """End every idle slot."""
        with self._lock:
            idle, self._idle = self._idle, []
        for item in idle:
            item.slot.close()


_packs = _Packs()
_slots = _Slots()


@atexit.register
def close() -> None:
    """End what this process has for orders: slots, then courses."""
    _slots.close()
    _packs.close()
