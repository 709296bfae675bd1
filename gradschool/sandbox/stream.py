"""Bytes with a deadline: the one place where a process waits for another.

A peer may be slow, stopped or hostile, so no read and no write here ever
waits without an end.
"""

from __future__ import annotations

import math
import os
import select
import socket
import time
from typing import Protocol

from gradschool.errors import WireError


class Deadline:
    """A moment on the monotonic clock; `None` seconds means never."""

    def __init__(self, seconds: float | None) -> None:
        self._at = math.inf if seconds is None else time.monotonic() + seconds

    def left_s(self) -> float:
        """Seconds left, at least 0, `inf` when there is no deadline."""
        return max(0.0, self._at - time.monotonic())

    def left_ms(self) -> int | None:
        """Whole milliseconds left, rounded up, for `poll`; None waits for ever."""
        left = self.left_s()
        return None if math.isinf(left) else math.ceil(left * 1000)


class WireTimeout(WireError):
    """The other side did not read or write in time."""


class WireClosed(WireError):
    """The other side closed the connection."""


class Stream(Protocol):
    """What a channel needs from the operating system."""

    def read_into(self, view: memoryview, deadline: Deadline) -> None:
        """Fill all of `view`."""
        ...

    def write(self, view: memoryview, deadline: Deadline) -> None:
        """Write all of `view`."""
        ...

    def close(self) -> None:
        """Release the connection; a second call does nothing."""
        ...


class FdStream:
    """A stream over a file descriptor, by `read` and `write` alone.

    No `recvmsg`: descriptors that a peer attaches are never received, and
    the system-call filter of the other side need not allow `sendmsg`.

    Args:
        fd: An open socket or a pipe end that carries both directions; owned
            by the stream from now on.
    """

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._reader = select.poll()
        self._reader.register(fd, select.POLLIN)
        self._writer = select.poll()
        self._writer.register(fd, select.POLLOUT)

    def fileno(self) -> int:
        """The descriptor, or -1 after `close`."""
        return self._fd

    def read_into(self, view: memoryview, deadline: Deadline) -> None:
        """Fill all of `view` or raise."""
        done = 0
        while done < len(view):
            try:
                n_bytes = os.readv(self._fd, [view[done:]])
            except BlockingIOError:
                self._wait(self._reader, deadline)
                continue
            except OSError as error:
                raise WireClosed(f"the connection broke while reading: {error}") from None
            if n_bytes == 0:
                raise WireClosed("the other side closed the connection")
            done += n_bytes
            # A peer that drips bytes must not outlive the deadline either.
            if done < len(view) and deadline.left_s() == 0.0:
                raise WireTimeout("a message was not complete in time")

    def write(self, view: memoryview, deadline: Deadline) -> None:
        """Write all of `view` or raise."""
        done = 0
        while done < len(view):
            try:
                done += os.write(self._fd, view[done : done + (1 << 20)])
            except BlockingIOError:
                self._wait(self._writer, deadline)
            except OSError as error:
                raise WireClosed(f"the connection broke while writing: {error}") from None
            if done < len(view) and deadline.left_s() == 0.0:
                raise WireTimeout("a message was not taken in time")

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @staticmethod
    def _wait(poller: select.poll, deadline: Deadline) -> None:
        if not poller.poll(deadline.left_ms()):
            raise WireTimeout("the other side did not answer in time")


class SocketStream:
    """The same over a socket object, for Windows, where sockets are not files.

    Args:
        sock: A connected socket, owned by the stream from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def read_into(self, view: memoryview, deadline: Deadline) -> None:
        """Fill all of `view` or raise."""
        done = 0
        while done < len(view):
            n_bytes = self._within(deadline, self._sock.recv_into, view[done:])
            if n_bytes == 0:
                raise WireClosed("the other side closed the connection")
            done += n_bytes

    def write(self, view: memoryview, deadline: Deadline) -> None:
        """Write all of `view` or raise."""
        done = 0
        while done < len(view):
            done += self._within(deadline, self._sock.send, view[done : done + (1 << 20)])

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        self._sock.close()

    def _within(self, deadline: Deadline, operation, view: memoryview) -> int:
        left = deadline.left_s()
        self._sock.settimeout(None if math.isinf(left) else max(left, 1e-3))
        try:
            return operation(view)
        except TimeoutError:
            raise WireTimeout("the other side did not answer in time") from None
        except OSError as error:
            raise WireClosed(f"the connection broke: {error}") from None


def stream_of(sock: socket.socket) -> Stream:
    """The right stream for a socket on this platform; takes the socket over."""
    return FdStream(sock.detach()) if hasattr(select, "poll") and hasattr(os, "readv") else SocketStream(sock)
