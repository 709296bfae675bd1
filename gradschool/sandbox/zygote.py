"""A warm parent: imports once, forks one locked-down child per submission.

A fresh interpreter with NumPy costs hundreds of milliseconds, a fork two. This
process holds no secret, because a forked child can read all of its memory; it
runs no code of a learner's.

Orders come over a socket of packets, each with at most one descriptor:
`F` + descriptor: fork, answer `P` + pid + the child's pidfd. `R` + pid: reap,
answer `S` + wait status + peak memory in KiB.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import struct
from importlib import import_module

import msgspec
import numpy as np

from gradschool.errors import SandboxError
from gradschool.sandbox import linux_process, lockdown, worker
from gradschool.sandbox.limits import Limits
from gradschool.sandbox.messages import Failed, FromWorker, Ready
from gradschool.sandbox.readable import readable_prefixes
from gradschool.sandbox.stream import FdStream
from gradschool.sandbox.wire import Channel, Protocol

ORDER = struct.Struct("<cq")
FORKED = struct.Struct("<cq")
REAPED = struct.Struct("<cqq")
FORK, REAP, PID, STATUS, ERROR = b"F", b"R", b"P", b"S", b"E"
MAX_PACKET = 64 * 1024


class Setup(msgspec.Struct, frozen=True):
    """First packet to a warm parent.

    Attributes:
        limits: For its children.
        parent: The grader's process id.
        preload: Modules to import once; missing ones are skipped.
    """

    limits: Limits
    parent: int
    preload: tuple[str, ...]


def main(control: socket.socket) -> None:
    """Serve fork orders until the grader goes away."""
    setup = msgspec.msgpack.decode(control.recv(MAX_PACKET), type=Setup)
    linux_process.die_with_parent(setup.parent)
    linux_process.adopt_orphans()
    _warm_up(setup.preload)
    ruleset = lockdown.make_ruleset("numpy")
    control.send(b"ready")
    live: set[int] = set()
    poller = select.poll()
    poller.register(control, select.POLLIN)
    while os.getppid() == setup.parent:
        if not poller.poll(1000):
            continue  # only to look at the parent again
        packet, fds, _, _ = socket.recv_fds(control, MAX_PACKET, 1)
        if not packet:
            break
        kind, number = ORDER.unpack(packet)
        if kind == FORK:
            _fork(control, fds[0], ruleset, setup.limits, live)
        elif kind == REAP:
            control.send(REAPED.pack(STATUS, *_reap(number, live)))


def _warm_up(preload: tuple[str, ...]) -> None:
    """Import and touch what every child needs, then keep it out of the collector's way."""
    for name in (
        "numpy.random",
        "numpy.linalg",
        "numpy.fft",
        "dataclasses",
        "functools",
        "itertools",
        *preload,
    ):
        with contextlib.suppress(ImportError):
            import_module(name)
    small = np.ones((8, 8), np.float32)
    np.linalg.inv(small @ small + np.eye(8))
    readable_prefixes()
    gc.collect()
    gc.freeze()


def _fork(control: socket.socket, fd: int, ruleset: int | None, limits: Limits, live: set[int]) -> None:
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(fd)
        control.send(FORKED.pack(ERROR, error.errno or 0))
        return
    if pid == 0:
        _child(control, fd, ruleset, limits, parent)
    live.add(pid)
    os.close(fd)
    # Until it is reaped here, the child's id cannot belong to anyone else.
    pidfd = os.pidfd_open(pid)
    socket.send_fds(control, [FORKED.pack(PID, pid)], [pidfd])
    os.close(pidfd)


def _child(control: socket.socket, fd: int, ruleset: int | None, limits: Limits, parent: int) -> None:
    try:
        control.close()
        os.setsid()
        gc.enable()
        stream = FdStream(fd)
        channel = Channel(stream, Protocol[FromWorker](FromWorker))
        try:
            channel.send(Ready(lockdown.lock("numpy", limits, ruleset, {fd}, parent)))
        except SandboxError as error:
            channel.send(Failed(str(error)[:1000]))
            os._exit(3)
        worker.main(stream)
    finally:
        os._exit(5)


def _reap(pid: int, live: set[int]) -> tuple[int, int]:
    """Wait for a child that was killed, and end whatever it left behind."""
    try:
        _, status, usage = os.wait4(pid, 0)
    except ChildProcessError:
        return -1, 0
    finally:
        live.discard(pid)
    # Where the platform lets a child start processes, its orphans are ours now.
    with contextlib.suppress(OSError, ChildProcessError):
        while strays := _children() - live:
            for stray in strays:
                os.kill(stray, signal.SIGKILL)
                os.waitpid(stray, 0)
    return status, usage.ru_maxrss


def _children() -> set[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return {int(word) for word in file.read().split()}
