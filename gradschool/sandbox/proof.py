"""Try the protections from inside, instead of believing that they were set."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gradschool.errors import CallFailed, SubmissionError
from gradschool.sandbox.client import Worker, Zygote
from gradschool.sandbox.loading import CellSource
from gradschool.sandbox.lockdown import capabilities

_ATTEMPTS = CellSource(
    0,
    "proof",
    "code",
    """
import os, socket

def files(path):
    with open(path) as file:
        return file.read()

def network():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()

def processes():
    if os.fork() == 0:
        os._exit(0)

def memory():
    return len(bytearray(4 << 30))
""",
)


def prove(zygote: Zygote) -> tuple[str, ...]:
    """Break out of a worker in every way that is simple to try.

    Args:
        zygote: Where the worker comes from.

    Returns:
        Names of the protections that this platform should have and that did not hold.
    """
    expected = set(capabilities().available)
    failed = []
    with _secret() as path, zygote.spawn() as worker:
        worker.load([_ATTEMPTS])
        for name, args in (("files", (path,)), ("network", ()), ("processes", ()), ("memory", ())):
            if name in expected and not _refused(worker, name, args):
                failed.append(name)
    return tuple(failed)


def _refused(worker: Worker, name: str, args: tuple[str, ...]) -> bool:
    try:
        worker.call(name, args)
    except CallFailed as error:
        return error.exception_type in ("PermissionError", "MemoryError")
    except SubmissionError:
        return True
    return False


@contextlib.contextmanager
def _secret() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hidden_test.py"
        path.write_text("hidden")
        yield str(path)
