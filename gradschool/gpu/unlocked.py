"""The GPU worker without the lockdown: for tests, and for machines that cannot lock one down."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from gradschool.gpu import worker
from gradschool.sandbox.launch import LockedProcess, scrubbed_environment, start_python
from gradschool.sandbox.stream import stream_of


def main(sock: socket.socket) -> None:
    """First code of the process."""
    worker.main(stream_of(sock))


def spawn_unlocked(environment: Mapping[str, str]) -> LockedProcess:
    """Start a worker that holds no protection, with these variables."""
    popen, sock = start_python("gradschool.gpu.unlocked", scrubbed_environment("gpu", environment))
    return LockedProcess(popen, stream_of(sock), ())
