"""Many submissions in a row: what one of them opens, starts or keeps is gone before the next ones."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradschool.grading.coordinator import ClassResult, grade_class
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import SubmissionRecord
from gradschool.pack import Pack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files and processes are counted in /proc")

N = 40


def files_of(pid: int | str) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, path.read_text().split())


def tree(pid: int) -> list[int]:
    """Every process below `pid`; one that ends meanwhile is not counted."""
    found = []
    for child in children(pid):
        try:
            found += [child, *tree(child)]
        except OSError:
            continue
    return found


def is_there(pid: int) -> bool:
    try:
        return bool(files_of(pid))
    except OSError:
        return False


def records_in_memory() -> int:
    gc.collect()
    # By type: asking some objects for their class makes them warn.
    return sum(issubclass(type(item), SubmissionRecord) for item in gc.get_objects())


class Counts:
    """What is open while a class is graded, looked at after every submission."""

    def __init__(self) -> None:
        self.files: list[int] = []
        self.slot_files: list[int] = []
        self.processes: list[int] = []
        self.records: list[int] = []

    def look(self, record: SubmissionRecord, kept: bool) -> None:
        self.files.append(files_of("self"))
        self.processes.append(len(tree(os.getpid())))
        # At the very end the slots are gone already.
        slots = [slot for slot in children(os.getpid()) if is_there(slot)]
        self.slot_files.append(max((files_of(slot) for slot in slots), default=0))
        if len(self.files) % 5 == 0:  # this takes longer than a submission
            self.records.append(records_in_memory())

    def grown(self) -> dict[str, int]:
        """By how much the most of the last half is above the most of the first."""
        return {
            name: max(values[len(values) // 2 :]) - max(values[: len(values) // 2])
            for name, values in vars(self).items()
        }


@pytest.fixture
def submissions(submit) -> Path:
    """Right answers, wrong ones, none, a process that ends itself, and kernels that do not compile."""
    kinds = [
        submit("right"),
        submit("wrong", {"double": "def double(x):\n    return x"}),
        submit("empty", {"halve": "def halve(x):\n    raise NotImplementedError"}),
        submit("gone", {"halve": "def halve(x):\n    import os\n    os._exit(3)"}),
        submit("broken", kernel="fn main( {"),
    ]
    folder = kinds[0].parents[1]
    for index in range(N - len(kinds)):
        shutil.copytree(kinds[index % len(kinds)].parent, folder / f"s{index:03}")
    return folder


def run(submissions: Path, pack: Pack, counts: Counts | None = None, **options) -> ClassResult:
    look = counts.look if counts is not None else lambda record, kept: None
    return grade_class(
        submissions, submissions.parent / "results", GradeOptions(**options), pack=pack, on_record=look
    )


def test_forty_submissions_leave_no_file_process_thread_or_record_behind(
    submissions: Path, pack: Pack
) -> None:
    options = {"seed": 3, "device": "interpreter", "n_slots": 2}
    # What this process opens once for good is not a leak.
    run(submissions, pack, students=("right",), **options)
    before = files_of("self"), tree(os.getpid()), set(threading.enumerate())
    counts = Counts()
    result = run(submissions, pack, counts, force=True, **options)
    assert result.n_graded == N
    assert result.failures == []
    del result
    assert (files_of("self"), tree(os.getpid()), set(threading.enumerate())) == before
    # A leak of one per submission would be twenty here; a slot that happens to be starting a process is a few.
    assert {name: value for name, value in counts.grown().items() if value >= N // 4} == {}
    assert max(counts.records) < N // 4, "records of the class stay in memory while it is graded"
