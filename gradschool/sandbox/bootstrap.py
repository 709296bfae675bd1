"""First code of a fresh locked-down process: lock, then import, then run."""

from __future__ import annotations

import os
import socket
from importlib import import_module
from pathlib import Path

from gradschool.errors import SandboxError
from gradschool.sandbox import lockdown
from gradschool.sandbox.messages import Failed, Ready, Start
from gradschool.sandbox.stream import FdStream, stream_of
from gradschool.sandbox.wire import Channel, Protocol


def main(sock: socket.socket) -> None:
    """Receive the orders, lock this process down, and call the entry with the connection."""
    stream = stream_of(sock)
    channel = Channel(stream, Protocol[Start](Start))
    start, _ = channel.receive()
    keep = {stream.fileno()} if isinstance(stream, FdStream) else set()
    try:
        ruleset = lockdown.make_ruleset(
            start.profile, [Path(path) for path in start.readable], [Path(path) for path in start.writable]
        )
        protections = lockdown.lock(start.profile, start.limits, ruleset, keep, start.parent)
        run = getattr(import_module(start.module), start.entry)
    except (SandboxError, OSError, ImportError, AttributeError) as error:
        channel.send(Failed(f"{type(error).__name__}: {str(error)[:1000]}"))
        os._exit(3)
    channel.send(Ready(protections))
    run(stream)
