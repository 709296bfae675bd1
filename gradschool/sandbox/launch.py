"""Start fresh Python processes with a scrubbed environment, and end them for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import site
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradschool.errors import SandboxError, WireError
from gradschool.sandbox.limits import GPU_LIMITS, Limits
from gradschool.sandbox.lockdown import capabilities
from gradschool.sandbox.messages import Failed, Ready, Start
from gradschool.sandbox.readable import (
    DRIVER_VARIABLES,
    PACKAGE_DIR,
    readable_paths,
    refuse_exposed,
    user_site,
)
from gradschool.sandbox.stream import Stream, stream_of
from gradschool.sandbox.wire import Channel, Protocol

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_WINDOWS_NEEDS = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE")

# The kernel ties "die with your parent" to the parent's *thread*. One thread that
# lives as long as the grader starts every process, so no worker dies of a finished slot.
_launchers: dict[int, ThreadPoolExecutor] = {}


class ChildProcess:
    """A process of ours that has not been reaped, so its id cannot be reused.

    Args:
        popen: The started process, leader of its own session.
    """

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def kill(self) -> str:
        """End it and everything in its session; wait until it is gone.

        Returns:
            How it ended, as a few words.
        """
        if self.alive:
            with contextlib.suppress(OSError):
                if hasattr(os, "killpg"):
                    os.killpg(self.pid, signal.SIGKILL)
            self._popen.kill()
        self._popen.wait()
        if self._popen.stderr is not None:
            self._popen.stderr.close()
        return describe_exit(self._popen.returncode)

    def complaint(self) -> str:
        """The end of what it wrote to its error output before it was locked down."""
        if self._popen.stderr is None or self._popen.stderr.closed:
            return ""
        self._popen.kill()
        return self._popen.stderr.read()[-2000:].decode(errors="replace").strip()


class LockedProcess(ChildProcess):
    """A locked-down process and the connection to it.

    Args:
        popen: The started process.
        stream: Our end of the connection.
        protections: Names of the protections it reported as set.
    """

    def __init__(self, popen: subprocess.Popen[bytes], stream: Stream, protections: tuple[str, ...]) -> None:
        super().__init__(popen)
        self.stream = stream
        self.protections = protections

    def kill(self) -> str:
        """End it, wait until it is gone, and close the connection."""
        reason = super().kill()
        self.stream.close()
        return reason

    def __enter__(self) -> LockedProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def spawn_locked(
    module: str,
    *,
    entry: str = "main",
    profile: str = "gpu",
    limits: Limits = GPU_LIMITS,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    hidden: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> LockedProcess:
    """Start a fresh process, lock it down, and only then import a module and run its entry.

    The entry is called with one argument, the process's end of the connection
    (a `Stream`); when it returns, the process exits. Both sides wrap their
    stream in a `Channel` with the messages they accept.

    Args:
        module: A module of this package, for example `gradschool.gpu.worker`.
        entry: The function in it.
        profile: "gpu" or "numpy".
        limits: Memory, time and counts.
        readable: Further paths it may read.
        writable: Folders it may write in.
        hidden: Paths that must not be readable; checked before it starts.
        environment: Variables on top of the scrubbed environment.

    Raises:
        SandboxError: It did not start, a protection failed, or a hidden path is exposed.
    """
    if "files" in capabilities().available:
        refuse_exposed(hidden, [*readable_paths(profile, os.environ), *readable, *writable])
    popen, sock = start_python("gradschool.sandbox.bootstrap", scrubbed_environment(profile, environment))
    process = LockedProcess(popen, stream_of(sock), ())
    channel = Channel(process.stream, Protocol[Ready | Failed](Ready | Failed))
    paths = [str(path) for path in readable], [str(path) for path in writable]
    try:
        channel.send(Start(module, entry, profile, limits, os.getpid(), *paths), timeout_s=limits.start_s)
        answer, _ = channel.receive(timeout_s=limits.start_s)
    except BaseException as error:
        why = process.complaint() or error
        process.kill()
        if isinstance(error, WireError):
            raise SandboxError(f"A locked-down process did not start: {why}") from None
        raise
    if isinstance(answer, Failed):
        process.kill()
        raise SandboxError(f"A locked-down process did not start: {answer.message}")
    process.protections = answer.protections
    return process


def start_python(
    module: str, environment: Mapping[str, str], kind: int = socket.SOCK_STREAM
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start `module.main(socket)` in a fresh interpreter.

    The interpreter ignores the current folder and the user's start-up files;
    the child inherits one end of a socket pair and nothing else.

    Returns:
        The process, and our end of the connection.
    """
    ours, theirs = socket.socketpair(type=kind)
    by_number = hasattr(os, "fork")
    receive = (
        f"socket.socket(fileno={theirs.fileno()})"
        if by_number
        else "socket.fromshare(sys.stdin.buffer.read())"
    )
    code = (
        "import sys, socket\n"
        # This very package, even where another copy is installed; nothing else from its folder.
        f"sys.path.insert(0, {str(PACKAGE_DIR.parent)!r})\n"
        "import gradschool\n"
        "del sys.path[0]\n"
        f"from {module} import main\n"
        f"main({receive})\n"
    )
    flags = ["-P", "-B"] if user_site() else ["-P", "-B", "-s"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *flags, "-c", code],
            env=dict(environment),
            cwd=os.path.abspath(os.sep),
            stdin=subprocess.DEVNULL if by_number else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(theirs.fileno(),) if by_number else (),
            start_new_session=True,
        )

    try:
        popen = _launcher().submit(start).result()
        if popen.stdin is not None and sys.platform == "win32":
            popen.stdin.write(theirs.share(popen.pid))
            popen.stdin.close()
    except OSError as error:
        ours.close()
        raise SandboxError(f"No process could be started: {error}") from None
    finally:
        theirs.close()
    return popen, ours


def scrubbed_environment(profile: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without the user's tokens, paths and start-up switches.

    Args:
        profile: "gpu" also keeps the variables that say where the driver lies.
        extra: Variables to add.
    """
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent", "MPLBACKEND": "agg"}
    environment |= {name: "1" for name in _ONE_THREAD}
    # Equal runs give equal set orders; a submission's result must not depend on luck.
    environment |= {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    if user_site():
        environment["PYTHONUSERBASE"] = site.getuserbase()
    kept = (*_WINDOWS_NEEDS, *DRIVER_VARIABLES) if profile == "gpu" else _WINDOWS_NEEDS
    environment |= {name: os.environ[name] for name in kept if name in os.environ}
    if profile == "gpu":
        # A shader cache on disk would carry one submission's kernels to the next.
        environment["MESA_SHADER_CACHE_DISABLE"] = "true"
    return environment | dict(extra or {})


def describe_exit(returncode: int) -> str:
    """Say in a few words how a process ended, from Python's return code."""
    if returncode >= 0:
        return f"it exited with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = str(-returncode)
    meaning = {
        "SIGSEGV": ", a crash: often very deep recursion or broken memory",
        "SIGKILL": ", ended from outside or for too much memory",
        "SIGXCPU": ", its processor time was used up",
        "SIGABRT": ", it aborted itself",
        "SIGSYS": ", a forbidden system call",
    }.get(name, "")
    return f"it was ended by signal {name}{meaning}"


def _launcher() -> ThreadPoolExecutor:
    if os.getpid() not in _launchers:
        _launchers[os.getpid()] = ThreadPoolExecutor(1, thread_name_prefix="gradschool-launcher")
    return _launchers[os.getpid()]
