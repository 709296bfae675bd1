"""Lock the calling process down for good, and say which protections that gives.

Nothing here needs root, a container or another program: each step is a request
of the process about itself that the kernel never takes back.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from gradschool.errors import SandboxError
from gradschool.sandbox import linux_landlock, linux_process, linux_seccomp, readable
from gradschool.sandbox.limits import Limits

PROFILES = ("numpy", "gpu")


class Protection(msgspec.Struct, frozen=True):
    """One protection of this platform.

    Attributes:
        name: A short, stable name.
        available: Whether it works here.
        sentence: What it does, or what its absence means.
    """

    name: str
    available: bool
    sentence: str


class Capabilities(msgspec.Struct, frozen=True):
    """What this platform can do to hold student code.

    Attributes:
        level: "full", "partial" or "none".
        protections: Every protection, available or not.
    """

    level: str
    protections: tuple[Protection, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the protections that this platform lacks."""
        return tuple(protection.name for protection in self.protections if not protection.available)

    @property
    def available(self) -> tuple[str, ...]:
        """Names of the protections that every worker must report as set."""
        return tuple(protection.name for protection in self.protections if protection.available)


_SENTENCES = {
    "files": (
        "Student code can open Python's own files and nothing else (Landlock).",
        "Student code could read any file of yours, hidden tests included.",
    ),
    "network": (
        "Student code has no network and no sockets (seccomp).",
        "Student code could use the network.",
    ),
    "processes": (
        "Student code cannot start, trace or signal processes (seccomp).",
        "Student code could start processes that outlive grading.",
    ),
    "privileges": (
        "Student code holds no privileges, also when you are root (capabilities, no-new-privileges).",
        "Student code runs with all of your privileges.",
    ),
    "memory": (
        "Memory, processor time, open files and file sizes are limited (rlimits).",
        "Student code could use up the machine's memory.",
    ),
    "lifetime": (
        "Student code ends when grading ends, however grading ends (parent-death signal).",
        "Student code could keep running when grading is killed.",
    ),
}


def capabilities() -> Capabilities:
    """Find out which protections this platform has."""
    linux = sys.platform == "linux"
    filtered = linux_seccomp.available()
    found = {
        "files": linux_landlock.abi() > 0,
        "network": filtered,
        "processes": filtered,
        "privileges": linux,
        "memory": linux or sys.platform == "darwin",
        "lifetime": linux,
    }
    protections = tuple(
        Protection(name, has, _SENTENCES[name][0 if has else 1]) for name, has in found.items()
    )
    level = "full" if all(found.values()) else "partial" if found["memory"] else "none"
    return Capabilities(level, protections)


def make_ruleset(profile: str, extra: Sequence[Path] = (), writable: Sequence[Path] = ()) -> int | None:
    """Prepare the file rules of a profile; None where the kernel has no Landlock.

    Args:
        profile: "numpy" or "gpu".
        extra: Further paths to read.
        writable: Folders to write in; no profile needs one by itself.
    """
    if linux_landlock.abi() == 0:
        return None
    rules = [(path, linux_landlock.READ) for path in (*readable.readable_paths(profile, os.environ), *extra)]
    rules += [(path, linux_landlock.WRITE) for path in writable]
    if profile == "gpu":
        rules += [(path, linux_landlock.DEVICE) for path in readable.device_paths()]
    return linux_landlock.make_ruleset(rules)


def lock(
    profile: str, limits: Limits, ruleset: int | None, keep_fds: set[int], parent: int
) -> tuple[str, ...]:
    """Lock this process down; there is no way back.

    Args:
        profile: "numpy" or "gpu".
        limits: Memory, time and counts.
        ruleset: From `make_ruleset`; closed here.
        keep_fds: Descriptors that stay open.
        parent: Id of the process that must outlive this one.

    Returns:
        Names of the protections that now hold, as in `capabilities()`.

    Raises:
        SandboxError: A step that should work here failed; the caller must exit.
    """
    wanted = capabilities().available
    steps: dict[str, Callable[[], None]] = {
        "memory": lambda: _set_rlimits(limits),
        "privileges": linux_process.drop_privileges,
        "lifetime": lambda: (linux_process.hide_memory(), linux_process.die_with_parent(parent))[0],
        "files": lambda: linux_landlock.restrict_self(-1 if ruleset is None else ruleset),
        "network": lambda: linux_seccomp.install(profile),
    }
    if sys.platform != "win32":
        _redirect_standard_streams()
        linux_process.close_all_but(keep_fds | ({ruleset} if ruleset is not None else set()))
    for name, step in steps.items():
        if name in wanted:
            try:
                step()
            except (OSError, ValueError) as error:
                raise SandboxError(f"the protection '{name}' could not be set: {error}") from error
        if name == "files" and ruleset is not None:
            os.close(ruleset)
    return wanted


def _set_rlimits(limits: Limits) -> None:
    import resource  # not on Windows

    values = {
        "RLIMIT_AS": limits.address_space_bytes,
        "RLIMIT_DATA": limits.data_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.n_files,
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_NPROC": limits.n_processes,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in values.items():
        if value is None or not hasattr(resource, name):
            continue
        if sys.platform != "linux":  # macOS refuses some of them; the rest still helps
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(getattr(resource, name), (value, value))
            continue
        hard = resource.getrlimit(getattr(resource, name))[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))


def _redirect_standard_streams() -> None:
    """Send what is written to descriptors 1 and 2 nowhere: nobody waits on it, nothing fills up."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)
