"""How long to wait for a process on a machine that may be busy with others.

A kernel that got a tenth of a core did not have its ten seconds. So the clock on the wall
ends the wait only once the process has also had processor time, or when three times the
wait is over.
"""

from __future__ import annotations

import os
import select
import time

from gradschool.sandbox.stream import FdStream, Stream, WireTimeout

FAIR_SHARE = 0.5
LONGEST = 3.0
_STEP_S = 0.25


def wait_for_answer(stream: Stream, pid: int, timeout_s: float) -> None:
    """Return when the process has begun to answer.

    Args:
        stream: The connection to it.
        pid: The process.
        timeout_s: Its time on a machine that is not busy.

    Raises:
        WireTimeout: It had its time.
    """
    if not isinstance(stream, FdStream):
        return  # no portable way to look without reading: the receive that follows has a limit
    poller = select.poll()
    poller.register(stream.fileno(), select.POLLIN)
    start, used_before = time.monotonic(), cpu_seconds(pid)
    wait_s = timeout_s
    while not poller.poll(max(1, round(1000 * wait_s))):
        waited = time.monotonic() - start
        used = cpu_seconds(pid)
        had_its_share = used is None or used_before is None or used - used_before >= FAIR_SHARE * timeout_s
        if waited >= timeout_s and (had_its_share or waited >= LONGEST * timeout_s):
            raise WireTimeout("the other side did not answer in time")
        wait_s = min(_STEP_S, timeout_s)


def cpu_seconds(pid: int) -> float | None:
    """Processor time a process and its threads have used; None where that is not known."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            # The name, in parentheses, may hold spaces; user and system ticks are 14th and 15th.
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
