"""Slots on this machine: each a warm process that takes the next submission when it is done."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator, Sequence

from gradschool.grading.options import GradeOptions
from gradschool.grading.slot_client import SlotClient, SlotDied
from gradschool.grading.slot_messages import SlotAnswer, SlotTask
from gradschool.pack import Pack

Graded = tuple[SlotTask, SlotAnswer]


def run_local(tasks: Sequence[SlotTask], pack: Pack, options: GradeOptions) -> Generator[Graded, None, None]:
    """Grade submissions side by side and yield each answer when it is there.

    Closing the iterator ends every process at once.

    Args:
        tasks: The submissions.
        pack: The course.
        options: Options of the run.

    Raises:
        GradschoolError: No slot could be started.
    """
    slots = _Slots(tasks, pack, options)
    try:
        yield from slots.answers()
    finally:
        slots.stop()


class _Slots:
    """Threads that each own a slot process and share a queue of tasks."""

    def __init__(self, tasks: Sequence[SlotTask], pack: Pack, options: GradeOptions) -> None:
        self._pack = pack
        self._options = options
        self._pending: queue.SimpleQueue[SlotTask] = queue.SimpleQueue()
        for task in tasks:
            self._pending.put(task)
        n_slots = max(1, min(options.n_slots, len(tasks)))
        # Whoever writes records may be slower than who makes them; then slots wait, and memory stays flat.
        self._done: queue.Queue[Graded | Exception | None] = queue.Queue(2 * n_slots)
        self._stopped = threading.Event()
        self._clients: dict[int, SlotClient] = {}
        self._threads = [
            threading.Thread(target=self._serve, args=(index,), daemon=True) for index in range(n_slots)
        ]
        for thread in self._threads:
            thread.start()

    def answers(self) -> Iterator[Graded]:
        """Yield answers until every slot is done."""
        n_running = len(self._threads)
        while n_running:
            item = self._done.get()
            if item is None:
                n_running -= 1
            elif isinstance(item, Exception):
                raise item
            else:
                yield item

    def stop(self) -> None:
        """End what still runs; what is not finished is graded by the next run."""
        self._stopped.set()
        for client in list(self._clients.values()):
            client.kill()
        for thread in self._threads:
            # Whoever is starting a slot right now ends it when it is up.
            thread.join(SlotClient.START_S)

    def _tell(self, item: Graded | Exception | None) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                return self._done.put(item, timeout=0.5)

    def _serve(self, index: int) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    task = self._pending.get_nowait()
                except queue.Empty:
                    break
                self._tell((task, self._grade(index, task)))
        except Exception as error:
            self._tell(error)
        finally:
            client = self._clients.pop(index, None)
            if client is not None:
                client.kill() if self._stopped.is_set() else client.close()
            self._tell(None)

    def _grade(self, index: int, task: SlotTask) -> SlotAnswer:
        for attempt in (1, 2):
            if index not in self._clients:
                self._clients[index] = SlotClient(self._pack.root, self._options)
            try:
                return self._clients[index].grade(task)
            except SlotDied as error:
                del self._clients[index]
                # A slot can die for reasons of its own; only a second death speaks against the work.
                if attempt == 2 or self._stopped.is_set():
                    return SlotAnswer(error=str(error))
        raise AssertionError("unreachable")
