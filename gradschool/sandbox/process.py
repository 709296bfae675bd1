"""The grader's view of a worker process: start it, reach it, end it for certain."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from gradschool.errors import SandboxError, WireError
from gradschool.sandbox import messages, zygote
from gradschool.sandbox.launch import (
    ChildProcess,
    describe_exit,
    scrubbed_environment,
    spawn_locked,
    start_python,
)
from gradschool.sandbox.limits import Limits
from gradschool.sandbox.lockdown import capabilities
from gradschool.sandbox.readable import readable_paths, refuse_exposed
from gradschool.sandbox.stream import FdStream, Stream
from gradschool.sandbox.wire import Channel
from gradschool.sandbox.wire import Protocol as Wire

PRELOAD = ("jaxtyping", "gradschool.data")


class WorkerProcess(Protocol):
    """A locked-down process with a connection, whichever way it was started."""

    stream: Stream
    protections: tuple[str, ...]

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    def kill(self) -> str:
        """End it and all it started, wait until it is gone, and say how it ended."""
        ...


class ForkedProcess:
    """A child of a warm parent, held by a pidfd, so that no other process can be meant.

    Args:
        parent: The warm parent that reaps it.
        pid: Its process id.
        pidfd: A descriptor that stands for exactly this process.
        stream: Our end of its connection.
    """

    def __init__(self, parent: WarmParent, pid: int, pidfd: int, stream: Stream) -> None:
        self.pid = pid
        self.stream = stream
        self.protections: tuple[str, ...] = ()
        self.peak_memory_bytes = 0
        self._parent = parent
        self._pidfd = pidfd
        self._ending = ""

    def kill(self) -> str:
        """End it, wait until it is gone, and say how it ended."""
        if self._pidfd < 0:
            return self._ending
        ended_itself = self._wait(0)
        if not ended_itself:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if not self._wait(20_000):
            raise SandboxError(f"Process {self.pid} cannot be ended; the kernel holds it.")
        # The whole session, for platforms where a child can start processes. Its id
        # is still taken by the unreaped child, so this cannot reach anyone else.
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        status, peak_kib = self._parent.reap(self.pid)
        self.peak_memory_bytes = peak_kib * 1024
        self._ending = describe_exit(os.waitstatus_to_exitcode(status)) if status >= 0 else "it ended"
        os.close(self._pidfd)
        self._pidfd = -1
        self.stream.close()
        return self._ending

    def _wait(self, milliseconds: int) -> bool:
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        return bool(poller.poll(milliseconds))


class WarmParent:
    """One warm parent process; it serves one slot, one child at a time.

    Args:
        limits: For its children.
        hidden: Paths that no child may be able to read.
        preload: Modules it imports once.
    """

    def __init__(self, limits: Limits, hidden: Sequence[Path] = (), preload: Sequence[str] = PRELOAD) -> None:
        self._setup = zygote.Setup(limits, os.getpid(), tuple(preload))
        self._hidden = tuple(hidden)
        self._process: ChildProcess | None = None
        self._control: socket.socket | None = None
        self._lock = threading.Lock()

    @staticmethod
    def possible() -> bool:
        """Whether this platform forks safely and hands out pidfds."""
        return sys.platform == "linux" and hasattr(os, "pidfd_open")

    def start(self) -> None:
        """Start it and wait until it is warm; does nothing when it already is."""
        if self._process is not None and self._process.alive:
            return
        self.close()
        if "files" in capabilities().available:
            refuse_exposed(self._hidden, readable_paths("numpy", os.environ))
        environment = scrubbed_environment("numpy")
        popen, control = start_python("gradschool.sandbox.zygote", environment, socket.SOCK_SEQPACKET)
        self._process, self._control = ChildProcess(popen), control
        control.settimeout(60)
        try:
            control.send(msgspec.msgpack.encode(self._setup))
            answer = control.recv(zygote.MAX_PACKET)
        except OSError as error:
            answer = str(error).encode()
        if answer != b"ready":
            why = self._process.complaint() or answer.decode(errors="replace")
            self.close()
            raise SandboxError(f"The warm parent of the sandbox did not start: {why}")

    def fork(self, start_s: float) -> ForkedProcess:
        """Fork one locked-down child and wait until it is locked.

        Raises:
            SandboxError: It could not be forked, or a protection failed.
        """
        self.start()
        ours, theirs = socket.socketpair()
        try:
            pid, pidfd = self._order_fork(theirs)
        except OSError as error:
            ours.close()
            self.close()
            raise SandboxError(f"The warm parent of the sandbox failed: {error}") from None
        finally:
            theirs.close()
        process = ForkedProcess(self, pid, pidfd, FdStream(ours.detach()))
        try:
            await_ready(process, start_s)
        except BaseException:
            process.kill()
            raise
        return process

    def reap(self, pid: int) -> tuple[int, int]:
        """Collect an ended child: wait status (-1 when unknown) and peak memory in KiB."""
        with self._lock:
            if self._control is None:
                return -1, 0
            try:
                self._control.send(zygote.ORDER.pack(zygote.REAP, pid))
                _, status, peak_kib = zygote.REAPED.unpack(self._control.recv(zygote.MAX_PACKET))
            except (OSError, ValueError, zygote.struct.error):
                return -1, 0
            return status, peak_kib

    def close(self) -> None:
        """End it; its child, if any, ends with it."""
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._process is not None:
                self._process.kill()
                self._process = None

    def _order_fork(self, theirs: socket.socket) -> tuple[int, int]:
        with self._lock:
            if self._control is None:
                raise OSError("it is closed")
            socket.send_fds(self._control, [zygote.ORDER.pack(zygote.FORK, 0)], [theirs.fileno()])
            packet, fds, _, _ = socket.recv_fds(self._control, zygote.MAX_PACKET, 1)
            if len(packet) != zygote.FORKED.size or not fds:
                raise OSError("it refused to fork" if packet else "it ended")
            return zygote.FORKED.unpack(packet)[1], fds[0]


def start_fresh(limits: Limits, hidden: Sequence[Path]) -> WorkerProcess:
    """Start a worker in a fresh interpreter, where forking is not possible."""
    return spawn_locked("gradschool.sandbox.worker", profile="numpy", limits=limits, hidden=hidden)


def await_ready(process: WorkerProcess, timeout_s: float) -> None:
    """Wait for a worker's first word and compare its protections with this platform's.

    Raises:
        SandboxError: It failed, or fewer protections hold than should.
    """
    channel = Channel(
        process.stream, Wire[messages.Ready | messages.Failed](messages.Ready | messages.Failed)
    )
    try:
        answer, _ = channel.receive(timeout_s)
    except WireError as error:
        raise SandboxError(f"A worker did not become ready: {error}") from None
    if isinstance(answer, messages.Failed):
        raise SandboxError(f"A worker could not be locked down: {answer.message}")
    process.protections = answer.protections
    absent = set(capabilities().available) - set(answer.protections)
    if absent:
        raise SandboxError(f"A worker came up without: {', '.join(sorted(absent))}.")
