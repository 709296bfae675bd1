"""The folder of results: one run at a time, whole records only, whatever ends the run."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from gradschool.errors import GradschoolError, UsageError
from gradschool.grading.records import SubmissionRecord
from gradschool.report import write_class, write_feedback
from gradschool.report.files import write_atomic
from gradschool.report.load import read_records

LOCK = ".grading.lock"
_LEFT_BEHIND = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
_PAGES = (".html", ".md")


class Results:
    """Where a run keeps its records; use as a context manager.

    A record is written after its pages, under a hidden name, reaches the disk, and takes its name in
    one step: it is there whole, or it is not there.

    Args:
        folder: The folder, made when missing.

    Raises:
        UsageError: Another run writes there.
        GradschoolError: Something cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        with _said(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / LOCK).open("ab")
        try:
            is_ours = _take(lock)
        except BlockingIOError:
            lock.close()
            raise UsageError(
                f"{self.folder} is being written by another `gradschool grade`.",
                help="Wait until it is done, or name another folder with --out.",
            ) from None
        self._lock = lock
        if is_ours:
            self._sweep()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _sweep(self) -> None:
        """Delete what runs that were killed in the middle of a write have left."""
        for pattern in (".*.tmp", "*/.*.tmp"):
            for path in self.folder.glob(pattern):
                if _LEFT_BEHIND.fullmatch(path.name):
                    with contextlib.suppress(OSError):
                        path.unlink()

    def path(self, student: str, stage: str) -> Path:
        """Return where the record of one submission lies."""
        return self.folder / student / f"{stage}.json"

    def read(self, student: str, stage: str) -> SubmissionRecord | None:
        """Return the record of one submission, None when there is none that can be read."""
        try:
            data = self.path(student, stage).read_bytes()
            record = msgspec.json.decode(data, type=SubmissionRecord)
        except (OSError, UnicodeDecodeError, msgspec.DecodeError):
            return None
        return record if (record.student, record.stage) == (student, stage) else None

    def keep(self, record: SubmissionRecord) -> None:
        """Write a record and its pages."""
        path = self.path(record.student, record.stage)
        with _said(path):
            # Pages first: the record's presence means that everything of this submission is there.
            write_feedback(record, self.folder)
            write_atomic(path, msgspec.json.format(msgspec.json.encode(record)))

    def mend_pages(self, record: SubmissionRecord) -> None:
        """Write the pages of a kept record again when a run that was killed left newer ones or none."""
        path = self.path(record.student, record.stage)
        with _said(path):
            when = path.stat().st_mtime_ns
            pages = [path.with_suffix(suffix) for suffix in _PAGES]
            if all(page.exists() and page.stat().st_mtime_ns <= when for page in pages):
                return
            for page in write_feedback(record, self.folder):
                os.utime(page, ns=(when, when))

    def write_class(self, title: str) -> tuple[list[SubmissionRecord], list[str]]:
        """Write the class page and the tables over every record in the folder.

        Returns:
            The records, and a sentence for each file that is no record.
        """
        records, complaints = read_records(self.folder)
        with _said(self.folder):
            write_class(records, self.folder, title)
        return records, complaints


def _take(lock: IO[bytes]) -> bool:
    """Lock an open file until it is closed or this process ends; False where that is not possible.

    Raises:
        BlockingIOError: Another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # some network file systems know no locks
        return False
    return True


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """Turn a failed write into a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise GradschoolError(
            f"{path} cannot be written: {error.strerror}.",
            help=f"{'Free some room' if full else 'Mend that'} and run the same command again; "
            "finished work is kept.",
        ) from error
