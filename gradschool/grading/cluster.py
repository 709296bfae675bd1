"""A class on a Dask cluster: the same slots, on the machines of others.

No file system is shared. A submission travels as what was read from it, the course once to each worker, and
records come back; this process alone writes them. A worker that is lost costs the time of what it was at.
"""

from __future__ import annotations

import hashlib
import queue
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import gradschool
from gradschool.errors import GradschoolError
from gradschool.grading.cluster_address import check_address, connect
from gradschool.grading.cluster_messages import ClusterAnswer, ClusterOrder, digest_of, encode_pack
from gradschool.grading.cluster_worker import grade_order
from gradschool.grading.cluster_workforce import Workforce, lost
from gradschool.grading.local_slots import Graded
from gradschool.grading.options import GradeOptions
from gradschool.grading.slot_messages import SlotAnswer, SlotTask
from gradschool.grading.submission_files import read_submission
from gradschool.grading.version import grader_version
from gradschool.pack import Pack

MAX_ATTEMPTS = 3
"""How often a submission is given out when its answer never comes; Dask's own retries are within each."""

FETCH_S = 20.0
"""How long an answer that is ready may take to arrive; it is a few thousand bytes."""


@dataclass(frozen=True)
class Cluster:
    """Grades on the workers of a scheduler; give it to `grade_class` as `run`.

    Args:
        address: The scheduler, such as `tls://scheduler:8786`.
        insecure: Accept plain TCP to another machine.

    Raises:
        UsageError: The address is not acceptable.
    """

    address: str
    insecure: bool = False

    def __post_init__(self) -> None:
        check_address(self.address, insecure=self.insecure)

    def __call__(
        self, tasks: Sequence[SlotTask], pack: Pack, options: GradeOptions
    ) -> Generator[Graded, None, None]:
        """Yield each task with its answer.

        Raises:
            UsageError: Dask is not installed, or the cluster is open to a network.
            GradschoolError: The cluster is lost, or none of its workers can grade.
        """
        client = connect(check_address(self.address, insecure=self.insecure))
        try:
            yield from _Work(client, self, tasks, pack, options).answers()
        finally:
            # What is queued is forgotten; what a worker is at is finished there and read by nobody.
            client.close()


@dataclass(frozen=True)
class _Asked:
    """A submission that was given out."""

    task: SlotTask
    digest: str
    attempt: int
    tag: str
    future: Any


class _Work:
    """Gives out submissions, a few more than there are threads, and takes the answers."""

    def __init__(
        self, client: Any, cluster: Cluster, tasks: Sequence[SlotTask], pack: Pack, options: GradeOptions
    ) -> None:
        self._client = client
        self._stages = {stage.id: stage for stage in pack.stages}
        self._waiting = deque((task, 1) for task in tasks)
        self._asked: dict[str, _Asked] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # What has no meaning on a worker would make equal work look different.
        self._options = msgspec.structs.replace(
            options, n_slots=1, force=False, changed=False, students=(), stages=(), exercises=()
        )
        self._workforce = Workforce(client, insecure=cluster.insecure)
        data = encode_pack(pack)
        self._digest = digest_of(data)
        # A task, not scattered data: it is made again when the workers that held it are lost.
        self._pack = client.submit(bytes, data, key=f"gradschool-pack-{self._digest[:24]}")

    def answers(self) -> Iterator[Graded]:
        """Yield answers until there is nothing left to wait for."""
        while self._waiting or self._asked:
            self._workforce.look()
            self._recall()
            while self._waiting and len(self._asked) < self._workforce.n_wanted:
                self._give_out(*self._waiting.popleft())
            try:
                future = self._done.get(timeout=Workforce.LOOK_EVERY_S)
            except queue.Empty:
                continue
            # What was recalled is not waited for any more: whatever happens, a submission counts once.
            asked = self._asked.pop(future.key, None)
            if asked is None:
                continue
            answer = self._take(future, asked)
            if answer is None:
                self._again(asked)
            else:
                yield asked.task, answer

    def _give_out(self, task: SlotTask, attempt: int) -> None:
        stage = self._stages[task.stage]
        files = read_submission(Path(task.folder), stage)
        sent = SlotTask("", task.stage, only=task.only, lost=task.lost, files=files)
        order = msgspec.json.encode(ClusterOrder(gradschool.__version__, self._digest, self._options, sent))
        tag = self._workforce.tag if stage.kernels else ""
        # The same work has the same name in every run; a student's name is in no list of tasks.
        name = hashlib.sha256(task.student.encode() + b"\0" + order).hexdigest()
        future = self._client.submit(
            grade_order,
            order,
            self._pack,
            key=f"gradschool-grade-{name[:32]}-{attempt}",
            pure=False,
            resources={tag: 1} if tag else None,
            workers=self._workforce.fit_workers(),
        )
        self._asked[future.key] = _Asked(task, files.digest, attempt, tag, future)
        future.add_done_callback(self._done.put)

    def _recall(self) -> None:
        """Give out anew what waits for a kind of worker that is not there any more."""
        for key, asked in list(self._asked.items()):
            if asked.tag and asked.tag != self._workforce.tag:
                del self._asked[key]
                asked.future.cancel()
                self._waiting.appendleft((asked.task, asked.attempt + 1))

    def _again(self, asked: _Asked) -> None:
        self._waiting.appendleft((asked.task, asked.attempt + 1))

    def _take(self, future: Any, asked: _Asked) -> SlotAnswer | None:
        """Return the answer, None when the submission must be given out again."""
        if future.status == "error":
            return self._failed(future.exception(), asked)
        try:
            answer = msgspec.json.decode(future.result(timeout=FETCH_S), type=ClusterAnswer)
        except msgspec.DecodeError as error:
            return SlotAnswer(error=f"A worker answered what is no answer: {error}.")
        except Exception as error:  # cancelled, or lost with its worker before it was fetched
            if self._client.status != "running":
                raise lost(error) from None
            future.cancel()
            return self._retry(asked, f"its answer was lost ({type(error).__name__}).")
        if answer.unfit:
            self._workforce.refuse(answer.worker, answer.unfit)
            return None
        return self._checked(answer, asked)

    def _failed(self, error: BaseException, asked: _Asked) -> SlotAnswer | None:
        if type(error).__name__ == "KilledWorker":
            return self._retry(asked, "every worker that tried was lost.")
        raise GradschoolError(
            f"A worker cannot do its part: {type(error).__name__}: {error}",
            help="Install this version of gradschool on every worker.",
        )

    def _retry(self, asked: _Asked, reason: str) -> SlotAnswer | None:
        return None if asked.attempt < MAX_ATTEMPTS else SlotAnswer(error=reason)

    def _checked(self, answer: ClusterAnswer, asked: _Asked) -> SlotAnswer:
        """Refuse the record of something else than was asked for."""
        record = answer.record
        if record is None:
            return SlotAnswer(error=answer.error or "the worker gave no reason.")
        wanted = (
            asked.task.stage,
            asked.digest,
            self._options.seed,
            grader_version(self._stages[asked.task.stage]),
        )
        if (record.stage, record.submission_digest, record.seed, record.grader_version) != wanted:
            return SlotAnswer(error="a worker answered with the record of other work.")
        record.student = asked.task.student
        return SlotAnswer(record)
