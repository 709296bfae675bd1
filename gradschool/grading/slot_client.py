"""The coordinator's end of a slot: start it, give it tasks, replace it when it dies."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from gradschool.errors import GradschoolError
from gradschool.grading.options import GradeOptions
from gradschool.grading.slot_messages import SlotAnswer, SlotStart, SlotTask


class SlotDied(GradschoolError):
    """A slot ended or fell silent; its submission can be tried again elsewhere."""


class SlotClient:
    """One slot process.

    Args:
        pack: Root of the course.
        options: Options of the run.

    Raises:
        GradschoolError: The slot refused to start, in its own words.
    """

    START_S = 120.0

    def __init__(self, pack: Path, options: GradeOptions) -> None:
        self._timeout_s = options.submission_timeout_s
        # -I keeps the working directory and PYTHON* variables out of the trusted process.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "gradschool.grading.slot"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C belongs to the coordinator, which then closes its slots.
            start_new_session=True,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._send(SlotStart(str(pack), options))
        started = self._receive(self.START_S)
        if started.error:
            self.close()
            raise GradschoolError(started.error)

    def grade(self, task: SlotTask) -> SlotAnswer:
        """Grade one submission.

        Raises:
            SlotDied: The process ended, or answered nothing within the time limit.
        """
        self._send(task)
        return self._receive(self._timeout_s)

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._answers.put(line)
        self._answers.put("")

    def _send(self, message: SlotStart | SlotTask) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(message).decode() + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise SlotDied("The grading process ended unexpectedly.") from error

    def _receive(self, timeout_s: float) -> SlotAnswer:
        try:
            line = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            self.kill()
            raise SlotDied(f"The grading process answered nothing for {timeout_s:.0f} s.") from None
        if not line:
            self.kill()
            raise SlotDied("The grading process ended unexpectedly.")
        try:
            return msgspec.json.decode(line, type=SlotAnswer)
        except msgspec.DecodeError as error:
            self.kill()
            raise SlotDied(f"The grading process answered what is no answer: {error}.") from None

    def kill(self) -> None:
        """End the process at once; its sandboxed children die with it."""
        self._process.kill()
        self._process.wait()
        self._close_input()
        self._reader.join(10)

    def close(self) -> None:
        """Let the process finish, then make sure it has."""
        self._close_input()
        try:
            self._process.wait(timeout=10)
            self._reader.join(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:  # what was left to flush has no reader any more
            pass
