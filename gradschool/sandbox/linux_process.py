"""Small Linux steps of locking a process down: privileges, lifetime, descriptors."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct

from gradschool.sandbox.linux_libc import check, libc, prctl

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522


def drop_privileges() -> None:
    """Give up every capability and the ways to get one back.

    A grader in a container often runs as root; then limits and file modes
    would not hold a student's process back without this.
    """
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    with contextlib.suppress(OSError):  # older kernels
        prctl(_PR_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            break  # not permitted (then there is nothing to drop), or past the last one
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0), 8)
    nothing = ctypes.create_string_buffer(24)
    check(libc().capset(header, nothing))


def hide_memory() -> None:
    """Refuse core dumps and tracing by other processes of the same user."""
    prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent(parent: int) -> None:
    """End this process when its parent ends.

    Args:
        parent: The parent's id as the parent knows it.

    Raises:
        OSError: The parent is gone already: it died before the request took hold.
    """
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        raise ProcessLookupError("the parent process ended")


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose own parent ends, so that they can be ended too."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor from 3 on, except these."""
    low = 3
    for fd in sorted(fd for fd in keep if fd >= 3):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, _highest_fd() + 1)


def _highest_fd() -> int:
    try:
        return max(int(name) for name in os.listdir("/proc/self/fd"))
    except (OSError, ValueError):
        return 65_535
