"""What happens beside a result: prints, warnings, refused attempts, time. All capped."""

from __future__ import annotations

import contextlib
import io
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

from gradschool.sandbox.messages import Side

_MAX_NOTES = 20
_MAX_NOTE_CHARS = 500

_TRIED = {
    "socket.__new__": "open a network connection",
    "socket.connect": "open a network connection",
    "socket.bind": "open a network port",
    "socket.getaddrinfo": "look up a network address",
    "os.fork": "start a process",
    "os.forkpty": "start a process",
    "os.exec": "replace this process",
    "os.posix_spawn": "start a process",
    "os.system": "run a shell command",
    "subprocess.Popen": "start a process",
    "_posixsubprocess.fork_exec": "start a process",
    "os.kill": "send a signal to a process",
    "os.killpg": "send a signal to a process",
    "os.remove": "delete a file",
    "os.rename": "rename a file",
    "os.mkdir": "make a folder",
    "os.link": "make a link",
    "os.symlink": "make a link",
    "os.chmod": "change a file's rights",
    "shutil.rmtree": "delete a folder",
    "resource.setrlimit": "change its own limits",
    "resource.prlimit": "change its own limits",
}


class CappedText(io.TextIOBase):
    """A text stream that keeps its start and counts the rest.

    Args:
        limit: Characters to keep.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[str] = []
        self._n_kept = 0
        self.n_dropped = 0
        self.buffer = _Bytes(self)

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What print asks for."""
        return "utf-8"

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str, /) -> int:
        """Keep what fits."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        room = self._limit - self._n_kept
        if room > 0 and text:
            self._parts.append(text[:room])
            self._n_kept += len(self._parts[-1])
        self.n_dropped += max(0, len(text) - max(room, 0))
        if len(self._parts) > 1_000:
            self._parts = ["".join(self._parts)]
        return len(text)

    def text(self) -> str:
        """What was kept."""
        return "".join(self._parts).encode("utf-8", "replace").decode()


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`, for code that writes bytes."""

    def __init__(self, text: CappedText) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        self._text.write(bytes(view[: 1 << 16]).decode(errors="replace"))
        self._text.n_dropped += max(0, len(view) - (1 << 16))
        return len(view)


class Capture:
    """Collects a `Side` while a block of learner's code runs.

    Args:
        attempts: The process's list of refused attempts; cleared at the start.
    """

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._out = CappedText(0)
        self._warnings: list[warnings.WarningMessage] = []
        self._seconds = 0.0

    @contextlib.contextmanager
    def record(self, max_print: int) -> Iterator[None]:
        """Run the block with output, warnings and attempts captured."""
        self._out = CappedText(max_print)
        self._attempts.clear()
        before = sys.stdout, sys.stderr
        with warnings.catch_warnings(record=True) as caught:
            # Each place once: a warning in a loop must not fill memory.
            warnings.simplefilter("default")
            self._warnings = caught
            sys.stdout = sys.stderr = self._out
            start = time.perf_counter()
            try:
                yield
            finally:
                self._seconds = time.perf_counter() - start
                sys.stdout, sys.stderr = before

    def side(self) -> Side:
        """What was recorded."""
        texts = dict.fromkeys(_warning_text(warning) for warning in self._warnings[:200])
        return Side(
            self._out.text(),
            self._out.n_dropped,
            tuple(texts)[:_MAX_NOTES],
            self._attempts.notes(),
            self._seconds,
        )


class Attempts:
    """Notes what the code tried that the sandbox refuses, by an audit hook.

    The hook only explains: the refusal is the kernel's, and a learner's code
    that fools the hook still gets nothing.
    """

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}
        self._readable: tuple[str, ...] = ()

    def install(self, readable: tuple[str, ...]) -> None:
        """Start to watch; there is no way to stop.

        Args:
            readable: Folders whose files may be read.
        """
        self._readable = readable
        sys.addaudithook(self._hook)

    def clear(self) -> None:
        """Forget what was noted."""
        self._notes.clear()

    def notes(self) -> tuple[str, ...]:
        """What was tried, each once."""
        return tuple(self._notes)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            self._note_open(args)
        elif event in _TRIED and len(self._notes) < _MAX_NOTES:
            self._notes[_TRIED[event]] = None

    def _note_open(self, args: tuple[Any, ...]) -> None:
        path, mode = args[0], args[1]
        if not isinstance(path, str) or len(self._notes) >= _MAX_NOTES:
            return
        if isinstance(mode, str) and any(letter in mode for letter in "wax+"):
            self._notes[f"write the file {path[:200]}"] = None
        elif path.startswith("/") and not path.startswith(self._readable) and not _library_s_own(path):
            self._notes[f"read the file {path[:200]}"] = None


def _library_s_own(path: str) -> bool:
    """Whether a library looks at the machine, as many do when they are imported."""
    if not path.startswith(("/proc/", "/sys/", "/usr/", "/lib", "/dev/urandom", "/etc/localtime")):
        return False
    return not sys._getframe(3).f_code.co_filename.startswith("<cell")


def _warning_text(warning: warnings.WarningMessage) -> str:
    return (
        f"{warning.category.__name__}: {warning.message}"[:_MAX_NOTE_CHARS]
        .encode("utf-8", "replace")
        .decode()
    )
