"""Hostile submissions against one worker: each gets a clear error or nothing at all.

After every attack the same grader grades an honest submission, no process is
left, and no file was written.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gradschool.errors import CallFailed, CallTimeout, SubmissionError, WorkerDied
from gradschool.sandbox import Zygote

pytestmark = pytest.mark.usefixtures("locked_down", "aftermath")

SECRET = "the hidden answer is 42"


@pytest.fixture
def aftermath(zygote: Zygote, load) -> Iterator[None]:
    """Nothing is left behind, and the grader lives on."""
    yield
    honest = load("def f(x): return x + 1")
    assert honest.call("f", (1,)).value == 2
    honest.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "hidden_test.py"
    path.write_text(SECRET)
    return path


def refused(load, body: str, *args: object, error: str = "PermissionError") -> CallFailed:
    """Call `attack(*args)` with this body; the kernel must refuse it."""
    indented = "\n".join("    " + line for line in body.splitlines())
    worker = load(
        "import ctypes, os, signal, socket, subprocess, sys, threading, time",
        f"def attack(*args):\n{indented}",
    )
    with pytest.raises(CallFailed) as caught:
        worker.call("attack", args)
    assert caught.value.exception_type == error, str(caught.value)
    worker.close()
    return caught.value


def syscall_errno(load, expression: str) -> int:
    """Make a raw call through the C library, past everything of Python's; returns errno."""
    worker = load(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"def attack():\n    result = {expression}\n    return result, ctypes.get_errno()"
    )
    result, number = worker.call("attack").value
    worker.close()
    assert result == -1
    return number


# Reading


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/hostname",
        "/proc/self/environ",
        "/proc/self/maps",
        "/proc/1/cmdline",
        "/proc/self/fd",
        "/dev/shm",
    ],
)
def test_files_of_the_machine_cannot_be_read(load, path):
    refused(load, f"return os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}).read()")


def test_hidden_files_cannot_be_read_by_any_path(load, secret):
    refused(load, "return open(args[0]).read()", str(secret))
    refused(load, "return os.listdir(args[0])", str(secret.parent))
    refused(load, "return open('/proc/self/root' + args[0]).read()", str(secret))
    refused(load, "return os.open(args[0], os.O_RDONLY)", str(secret))
    number = syscall_errno(load, f"libc.open({str(secret).encode()!r}, 0)")
    assert number in (1, 13)


def test_the_course_cannot_be_read_though_its_package_can(load):
    root = Path(__file__).resolve().parents[2]
    refused(load, "return open(args[0]).read()", str(root / "pyproject.toml"))
    refused(load, "return os.listdir(args[0])", str(root))


def test_a_link_cannot_be_made_to_a_hidden_file(load, secret):
    refused(load, "os.symlink(args[0], '/tmp/link')", str(secret))
    refused(load, "os.link(args[0], '/tmp/link')", str(secret))


def test_the_environment_holds_nothing_of_the_grader(load, monkeypatch):
    monkeypatch.setenv("API_TOKEN", SECRET)
    environment = load("import os\ndef f(): return dict(os.environ)").call("f").value
    assert "API_TOKEN" not in environment
    assert environment["OPENBLAS_NUM_THREADS"] == "1"


def test_memory_holds_nothing_of_the_grader(load):
    """Frames, modules and all live objects: no tests, no pytest, no grading."""
    worker = load(
        "import gc, sys\n"
        "def modules(): return sorted(sys.modules)\n"
        "def texts():\n"
        "    gc.unfreeze()\n"
        "    found = [o for o in gc.get_objects() if isinstance(o, dict)]\n"
        "    return any('hidden answer' in v for d in found for v in list(d.values()) if isinstance(v, str))\n"
        "def frames():\n"
        "    frame, names = sys._getframe(), []\n"
        "    while frame: names.append(frame.f_globals['__name__']); frame = frame.f_back\n"
        "    return names"
    )
    modules = worker.call("modules").value
    assert not [name for name in modules if name.startswith(("pytest", "_pytest", "gradschool.grading"))]
    assert worker.call("texts").value is False
    assert "gradschool.sandbox.client" not in worker.call("frames").value


# Writing


@pytest.mark.parametrize("place", ["tmp", "home", "package", "site"])
def test_no_file_can_be_written_anywhere(load, tmp_path, place):
    folder = {
        "tmp": tmp_path,
        "home": Path.home(),
        "package": Path(__file__).resolve().parents[2] / "gradschool",
        "site": Path(np.__file__).parents[1],
    }[place]
    target = folder / "written_by_a_student"
    refused(load, "open(args[0], 'w').write('x')", str(target))
    refused(load, "os.mkdir(args[0])", str(target))
    assert not target.exists()


def test_no_file_can_be_changed_or_removed(load, secret):
    for body in (
        "os.remove(args[0])",
        "os.rename(args[0], '/tmp/x')",
        "os.chmod(args[0], 0o777)",
        "os.utime(args[0])",
    ):
        refused(load, body, str(secret))
    refused(load, "os.truncate(args[0], 0)", str(secret))
    refused(load, "os.setxattr(args[0], 'user.x', b'1')", str(secret))
    assert secret.read_text() == SECRET


def test_there_is_no_temporary_folder(load):
    refused(load, "import tempfile\ntempfile.NamedTemporaryFile()", error="FileNotFoundError")


# Reaching out


def test_no_socket_of_any_kind_can_be_made(load):
    for family in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"):
        for kind in ("SOCK_STREAM", "SOCK_DGRAM"):
            refused(load, f"socket.socket(socket.{family}, socket.{kind})")
    refused(load, "socket.socketpair()")


def test_the_connection_to_the_grader_cannot_carry_descriptors(load):
    refused(
        load,
        "for fd in range(3, 64):\n"
        "    try: os.fstat(fd)\n"
        "    except OSError: continue\n"
        "    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=os.dup(fd))\n"
        "    socket.send_fds(s, [b'x'], [0])",
    )


def test_a_listening_server_is_not_reached(load):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        failure = refused(load, f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))")
        with pytest.raises(TimeoutError):
            server.accept()
    assert "no access to files, network or other processes" in failure.help


def test_no_process_can_be_started(load):
    for body in (
        "os.fork()",
        "subprocess.run(['ls'])",
        "os.posix_spawn('/bin/ls', ['ls'], {})",
        "os.execv('/bin/ls', ['ls'])",
    ):
        refused(load, body)
    assert load("import os\ndef f(): return os.system('true')").call("f").value != 0
    refused(load, "import multiprocessing\nmultiprocessing.Process(target=print).start()")


def test_no_thread_can_be_started(load):
    refused(load, "while True: threading.Thread(target=time.sleep, args=(9,)).start()", error="RuntimeError")


def test_other_processes_cannot_be_signalled(load):
    for target in (os.getpid(), os.getppid(), 1, 0, -1):
        refused(load, f"os.kill({target}, 0)")
    refused(load, "os.kill(os.getppid(), 9)")
    refused(load, "os.killpg(0, 9)")


@pytest.mark.parametrize(
    "expression",
    [
        f"libc.ptrace(16, {os.getpid()}, 0, 0)",
        f"libc.process_vm_readv({os.getpid()}, 0, 0, 0, 0, 0)",
        "libc.memfd_create(b'x', 0)",
        "libc.shmget(0, 4096, 0o1600)",
        "libc.msgget(0, 0o1600)",
        "libc.semget(0, 1, 0o1600)",
        "libc.unshare(0x10000000)",
        "libc.mount(b'none', b'/', b'tmpfs', 0, 0)",
        "libc.prctl(4, 1, 0, 0, 0)",
        "libc.prctl(1, 0, 0, 0, 0)",
        "libc.setuid(0)",
        "libc.inotify_init()",
        f"libc.fcntl(0, 8, {os.getpid()})",
        "libc.ioctl(0, 0x5412, b'x')",
    ],
)
def test_raw_system_calls_are_refused_too(load, expression):
    assert syscall_errno(load, expression) in (1, 38)


def test_limits_cannot_be_lifted(load):
    refused(load, "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))", error="ValueError")
    refused(load, "import resource\nresource.prlimit(os.getppid(), resource.RLIMIT_AS)")


def test_what_was_tried_is_told(load):
    worker = load(
        "import socket, os\ntry: socket.socket()\nexcept OSError: pass",
        "def f():\n    try: open('/etc/passwd')\n    except OSError: return 1",
    )
    assert worker.report.attempts == ("open a network connection",)
    assert worker.call("f").attempts == ("read the file /etc/passwd",)
    assert list(worker.attempts) == ["open a network connection", "read the file /etc/passwd"]


# Using up


def test_memory_is_limited_however_it_is_asked_for(load):
    import_numpy = "import numpy as np\n"
    refused(load, import_numpy + "return np.ones(1 << 30)", error="MemoryError")
    refused(load, "return len(bytearray(8 << 30))", error="MemoryError")
    refused(load, "x = []\nwhile True: x.append(bytes(1 << 24))", error="MemoryError")
    refused(load, "import mmap\nreturn len(mmap.mmap(-1, 8 << 30))", error="OSError")


def test_a_ten_gigabyte_answer_is_refused_by_its_shape(load):
    worker = load(
        "import numpy as np\ndef f(): return np.lib.stride_tricks.as_strided(np.zeros(1), (1280, 1 << 20), (0, 0))"
    )
    with pytest.raises(SubmissionError, match="10,240 MiB"):
        worker.call("f")


def test_a_gigabyte_of_prints_is_cut_and_counted(load):
    worker = load("def f():\n    for _ in range(1000): print('x' * 1_000_000, end='')\n    return 1")
    result = worker.call("f")
    assert result.value == 1
    assert len(result.stdout) < 70_000
    assert result.stdout.endswith("999,934,464 more characters")


def test_writing_to_the_standard_descriptors_goes_nowhere(load, capfd):
    source = "import os\ndef f():\n    for fd in (1, 2):\n        for _ in range(64): os.write(fd, b'{\"score\": 100}' * 70_000)\n    return 1"
    assert load(source).call("f").value == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        "sum(range(10**12))",
        "10 ** 10 ** 10",
        "time.sleep(1e6)",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "__import__('re').match('(a+)+$', 'a' * 64 + 'b')",
        "signal.pause()",
    ],
    ids=[
        "loop",
        "catches everything",
        "blocks signals",
        "C loop",
        "big power",
        "sleep",
        "stops itself",
        "regex",
        "pause",
    ],
)
def test_what_never_ends_is_stopped(load, body):
    lines = "\n".join("    " + line for line in body.splitlines())
    worker = load("import os, signal, time", f"def f():\n{lines}\ndef g(): return 1")
    with pytest.raises(CallTimeout, match=r"did not return within 0\.3 s"):
        worker.call("f", timeout_s=0.3)
    assert not worker.alive
    assert worker.call("g").value == 1


# Ending and confusing


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("os._exit(0)", "status 0"),
        ("os._exit(77)", "status 77"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("os.abort()", "SIGABRT"),
        ("ctypes.string_at(0)", "SIGSEGV"),
        (
            "sys.setrecursionlimit(10**9)\nx = []\nfor _ in range(100_000): x = [x]\nrepr(x)",
            "SIGSEGV|Recursion",
        ),
    ],
)
def test_an_end_of_the_process_is_told_and_the_rest_goes_on(load, body, why):
    lines = "\n".join("    " + line for line in body.splitlines())
    worker = load("import ctypes, os, sys", f"def f():\n{lines}\ndef g(): return 1")
    with pytest.raises(SubmissionError, match=why):
        worker.call("f")
    assert worker.call("g").value == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("sys.exit(0)", "SystemExit"),
        ("exit()", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("return f()", "RecursionError"),
        ("raise type('Evil', (BaseException,), {'__str__': lambda s: 1 / 0})()", "Evil"),
    ],
)
def test_an_exception_of_any_kind_is_only_an_exception(load, body, error):
    worker = load(f"import sys\ndef f():\n    {body}\ndef g(): return 1")
    with pytest.raises(CallFailed, match=error):
        worker.call("f")
    assert worker.alive
    assert worker.call("g").value == 1


def test_a_cell_that_ends_the_process_costs_itself_only(load):
    worker = load(
        "def a(): return 1",
        "import os\ndef b(): return 2\nos._exit(0)\ndef c(): return 3",
        "def d(): return 4",
    )
    assert [worker.call(name).value for name in "abcd"] == [1, 2, 3, 4]
    (cell,) = worker.report.problems
    assert cell.error.startswith("Cell 2 ended the Python process: it exited with status 0")


def test_a_cell_that_never_ends_costs_itself_only(load):
    worker = load(
        "def a(): return 1",
        "while True: pass",
        ("demo", "def b(x=[i for i in iter(int, 1)]): return 2"),
        "def c(): return 3",
    )
    assert [worker.call(name).value for name in "ac"] == [1, 3]
    assert [cell.index for cell in worker.report.problems] == [1, 2]
    assert worker.report.problems[1].lost == ("b",)


def test_a_patched_numpy_stays_in_the_patcher_s_process(load):
    worker = load(
        "import numpy as np\nnp.allclose = lambda *a, **k: True\nnp.testing.assert_allclose = print\ndef f(): return np.zeros(2)"
    )
    assert worker.call("f").value.tolist() == [0, 0]
    assert not np.allclose(0, 1)
    assert load("import numpy as np\ndef f(): return np.allclose(0, 1)").call("f").value is False


def test_broken_builtins_and_modules_break_only_their_owner(load):
    worker = load(
        "import builtins, sys, msgspec\ndef f():\n    builtins.isinstance = builtins.type = builtins.tuple = None\n    sys.modules.clear()\n    return 1"
    )
    try:
        assert worker.call("f").value == 1
    except SubmissionError:
        pass


FIND_WIRE = "import os, struct, time\ndef wire():\n    return next(fd for fd in range(3, 64) if os.path.exists(f'/proc/self/fd/{fd}') or is_open(fd))\ndef is_open(fd):\n    try: os.fstat(fd)\n    except OSError: return False\n    return True\n"


@pytest.mark.parametrize(
    "data",
    [
        "b'{\"score\": 100}' * 100",
        "struct.pack('<4sIQ', b'GS01', 0xFFFFFFFF, 0)",
        "struct.pack('<4sIQ', b'GS01', 1000, 1 << 62)",
        "struct.pack('<4sIQ', b'GS01', 10, 0) + b'\\xc1' * 10",
        "struct.pack('<4sIQ', b'GS01', 4, 0) + b'\\x92\\x90\\xa1x'",
        "os.urandom(4096)",
    ],
)
def test_garbage_on_the_wire_is_the_writer_s_failure(load, data):
    worker = load(FIND_WIRE + f"def f():\n    os.write(wire(), {data})\n    return 1\ndef g(): return 2")
    with pytest.raises(WorkerDied, match="disturbed the connection"):
        worker.call("f")
    assert worker.call("g").value == 2


def test_a_forged_answer_is_an_answer_and_not_a_score(load):
    """The worst a writer can do is to answer with a value of its choice, which is then judged."""
    worker = load(
        FIND_WIRE
        + "from gradschool.sandbox.messages import *\nfrom gradschool.sandbox.wire import Channel\n"
        + "from gradschool.sandbox.stream import FdStream\nimport gc\n"
        + "def f():\n"
        + "    channel = Channel(FdStream(os.dup(wire())), None)\n"
        + "    channel.send(Returned(99, 'full marks', [], Side('', 0, (), (), 0.0)))\n"
        + "    return 1\ndef g(): return 2"
    )
    with pytest.raises(SubmissionError, match="not asked"):
        worker.call("f")
    assert worker.call("g").value == 2


def test_a_closed_wire_is_an_ended_process(load):
    worker = load(FIND_WIRE + "def f():\n    os.close(wire())\n    time.sleep(60)\ndef g(): return 2")
    with pytest.raises(WorkerDied):
        worker.call("f")
    assert worker.call("g").value == 2


def test_a_half_message_is_left_at_the_deadline(load):
    worker = load(
        FIND_WIRE
        + "def f():\n    os.write(wire(), struct.pack('<4sIQ', b'GS01', 1000, 0))\n    time.sleep(60)"
    )
    with pytest.raises(CallTimeout):
        worker.call("f", timeout_s=0.3)


def test_attackers_in_parallel_do_not_reach_each_other(zygote, load):
    """Two workers of one warm parent: ending one leaves the other alone."""
    victim = load("def f(): return 1")
    attacker = load(f"import os\ndef f(): os.kill({victim.pid}, 9)")
    with pytest.raises(CallFailed, match="PermissionError"):
        attacker.call("f")
    thread = threading.Thread(target=attacker.close)
    thread.start()
    assert victim.call("f").value == 1
    thread.join()
