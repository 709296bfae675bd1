"""Python that attacks while it is called: it earns what its honest part earns, and nobody else notices."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gradschool.demo.hostile import ATTACKS as DEMO_ATTACKS

HONEST = ("aaron", "mira", "zoe")
LOST = {"double": 0.0}

# A wrong answer that only a grader that was tampered with takes for right.
WRONG = "return x * 3.0"

SYSCALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
result = libc.{call}
raise OSError(ctypes.get_errno(), "result %d" % result)
"""

WRITES = """
import os
done = []
for path in {paths}:
    for mode in ("w", "a", "x", "r+"):
        try:
            with open(path, mode) as file:
                file.write("import os  # <TRACE>")
            done.append(path)
        except OSError:
            pass
raise PermissionError("wrote %d files" % len(done))
"""


def _writes(*paths: str) -> str:
    return WRITES.format(paths=repr(paths))


# What is tried: the body of `double`, and words the record must hold.
READING = {
    "runs the reference from disk": (
        "names = dict(globals())\nexec(open('<LESSON>').read(), names)\nreturn names['double'](x)",
        "PermissionError",
    ),
    "reads the hidden tests": ("return open('<HIDDEN>').read()", "read the file"),
    "lists the folder of the hidden tests": (
        "import os\nreturn os.listdir(os.path.dirname('<HIDDEN>'))",
        "PermissionError",
    ),
    "imports the hidden tests": (
        "import os, sys\nsys.path.insert(0, os.path.dirname('<HIDDEN>'))\nimport test_tiny\nreturn test_tiny",
        "ModuleNotFoundError",
    ),
    "maps the hidden tests": (
        "import mmap, os\nreturn mmap.mmap(os.open('<HIDDEN>', os.O_RDONLY), 0)",
        "PermissionError",
    ),
    "loads the hidden tests with numpy": ("return np.fromfile('<HIDDEN>', np.uint8)", "PermissionError"),
    "asks the C library for the hidden tests": (
        SYSCALL.format(call="open(b'<HIDDEN>', 0)"),
        "result -1",
    ),
    "reads another student's work": ("return open('<VICTIM>').read()", "PermissionError"),
    "reads the memory of the grader": (
        "import os\nreturn open(f'/proc/{os.getppid()}/mem', 'rb').read(8)",
        "PermissionError",
    ),
    "searches all live objects": (
        "import gc\ngc.unfreeze()\n"
        "for item in gc.get_objects():\n"
        "    if isinstance(item, dict) and {'reference', 'submission', 'expect_equal'} & set(map(str, item)):\n"
        "        return item\n" + WRONG,
        "wrong",
    ),
    "searches the frames of its callers": (
        "import sys\nframe = sys._getframe()\nfound = []\nwhile frame:\n"
        "    found += [v for v in frame.f_locals.values() if isinstance(v, np.ndarray) and v is not x]\n"
        "    frame = frame.f_back\nreturn found[0] * 3.0 if found else x * 3.0",
        "wrong",
    ),
}

PATCHING = {
    "patches numpy": (
        "for name in dir(np):\n    if name.startswith(('all', 'array_eq', 'isclose', 'any')):\n"
        "        setattr(np, name, lambda *a, **k: True)\nnp.ndarray = type(x)\n" + WRONG,
        "wrong",
    ),
    "patches pytest": (
        "import pytest, _pytest.outcomes, _pytest.runner\n"
        "pytest.raises = pytest.fail = lambda *a, **k: None\n"
        "_pytest.runner.runtestprotocol = lambda *a, **k: []\n" + WRONG,
        "wrong",
    ),
    "patches the grader's own package": (
        "import gradschool.grading.expect as e, gradschool.grading.records as r\n"
        "e.expect_equal = e.expect_close = lambda *a, **k: None\n"
        "r.ExerciseRecord.__init__ = lambda self, **k: None\n" + WRONG,
        "wrong",
    ),
    "patches the built-ins": (
        "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.len = lambda a: 0\n"
        "builtins.abs = lambda a: 0\n" + WRONG,
        "double",
    ),
    "patches msgspec": (
        "import msgspec\nclass Nothing:\n    def __init__(self, *a): pass\n    def encode(self, *a): return b''\n"
        "msgspec.msgpack.Encoder = msgspec.json.Encoder = Nothing\nmsgspec.msgpack.encode = lambda *a: b''\n"
        "import gradschool.sandbox.wire as w\nw._encoder = Nothing()\n" + WRONG,
        "disturbed the connection",
    ),
    "strips the asserts": (
        "import ast, builtins\nreal = ast.parse\n"
        "def parse(*a, **k):\n    tree = real(*a, **k)\n"
        "    tree.body = [n for n in tree.body if not isinstance(n, ast.Assert)]\n    return tree\n"
        "ast.parse = parse\nbuiltins.AssertionError = type('Fine', (Exception,), {})\n" + WRONG,
        "wrong",
    ),
    "turns warnings and errors off": (
        "import sys, warnings\nsys.excepthook = sys.unraisablehook = lambda *a: None\n"
        "warnings.filterwarnings('ignore')\nnp.seterr(all='ignore')\n" + WRONG,
        "wrong",
    ),
}

LIES = {
    "an object equal to everything": (
        "class Everything:\n    __eq__ = __le__ = __ge__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n"
        "    __hash__ = None\n    shape, dtype, ndim, size = x.shape, x.dtype, 1, x.size\n"
        "    def __array__(self, *a, **k): return x * 2.0\n    def __len__(self): return 17\nreturn Everything()",
        "a value of type Everything",
    ),
    "an array with a shape it has not": (
        "class Liar(np.ndarray):\n    shape = property(lambda s: (17,))\n    dtype = property(lambda s: np.dtype(float))\n"
        "    __eq__ = lambda s, o: np.ones(17, bool)\nreturn np.zeros(3).view(Liar)",
        "a value of type Liar",
    ),
    "an array that answers numpy itself": (
        "class Liar(np.ndarray):\n    def __array_function__(self, *a): return True\n"
        "    def __array_ufunc__(self, *a, **k): return np.True_\n    def __array_wrap__(self, *a): return self\n"
        "return np.zeros(17).view(Liar)",
        "a value of type Liar",
    ),
    "an array whose mask hides everything": (
        "return np.ma.masked_all(x.shape)",
        "a value of type numpy.ma",
    ),
    "a number that is a subclass": (
        "class Two(float):\n    __eq__ = lambda s, o: True\n    __hash__ = None\nreturn [Two(v * 2) for v in x]",
        "a value of type Two",
    ),
    "a tuple that changes between check and use": (
        "class Moving(tuple):\n    def __iter__(self): return iter((x * 2.0,))\nreturn Moving((x,))",
        "a value of type Moving",
    ),
    "a dict that computes what it is asked for": (
        "class Oracle(dict):\n    def __missing__(self, key): return x * 2.0\nreturn Oracle()",
        "a value of type Oracle",
    ),
    "objects in an array": (
        "out = np.empty(x.shape, object)\nout[:] = x * 2.0\nreturn out",
        "dtype object",
    ),
    "a record array": ("return np.rec.fromarrays([x * 2.0])", "a value of type numpy"),
    "a generator in place of numbers": ("return (v * 2 for v in x)", "a value of type generator"),
    "itself, to be called by the grader": ("return double", "a value of type function"),
    "a pickle that runs on arrival": (
        "class Bomb:\n    def __reduce__(self): return (open, ('/tmp/<TRACE>', 'w'))\nreturn Bomb()",
        "a value of type Bomb",
    ),
    "a pickle in bytes": (
        "import pickle\nclass Bomb:\n    def __reduce__(self): return (open, ('/tmp/<TRACE>', 'w'))\n"
        "return np.frombuffer(pickle.dumps(Bomb()), np.uint8)",
        "dtype uint8",
    ),
    "one array under two names": (
        "x *= 2.0\nreturn x",
        "changed its input x",
    ),
    "zeros that look like an array of any size": (
        "return np.lib.stride_tricks.as_strided(x, (17, 1 << 30), (8, 0))",
        "MiB",
    ),
    "an int without bounds": ("return 10 ** 4000", "int"),
    "nothing, of a size": ("return np.zeros((1 << 40, 0, 7))", "shape"),
    "NaN, which equals nothing": ("return x * np.nan", "NaN"),
    "what it saw in earlier calls": (
        "seen = globals().setdefault('seen', [])\nseen.append(x.copy())\nreturn seen[0]",
        "wrong",
    ),
}

ENDING = {
    "ends the process as if all went well": ("import os\nos._exit(0)", "status 0"),
    "exits": ("import sys\nsys.exit(0)", "SystemExit"),
    "kills itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    "crashes": ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
    "aborts": ("import os\nos.abort()", "SIGABRT"),
    "kills the grader": ("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", "PermissionError"),
    "kills everybody": ("import os, signal\nos.kill(-1, signal.SIGKILL)", "PermissionError"),
    "traces the grader": (SYSCALL.format(call="ptrace(16, __import__('os').getppid(), 0, 0)"), "result -1"),
    "writes the grader's memory": (
        SYSCALL.format(call="process_vm_writev(__import__('os').getppid(), 0, 0, 0, 0, 0)"),
        "result -1",
    ),
    "stops itself for ever": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "did not return within 3 s",
    ),
    "blocks every signal and loops": (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        "did not return within 3 s",
    ),
    "recurses without end": ("return double(x)", "RecursionError"),
    "overflows the stack": (
        "import sys\nsys.setrecursionlimit(10**9)\ny = []\nfor _ in range(100_000): y = [y]\nreturn repr(y)",
        "double",
    ),
}

SURVIVING = {
    "forks twice and stays": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(60)\n    os._exit(0)\n"
        + WRONG,
        "start a process",
    ),
    "forks without end": ("import os\nwhile True: os.fork()", "start a process"),
    "starts threads without end": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "RuntimeError",
    ),
    "starts a shell in the background": (
        "import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 60; touch /tmp/<TRACE>'], start_new_session=True)\n"
        + WRONG,
        "start a process",
    ),
    "starts a process pool": (
        "import multiprocessing as m\nreturn m.get_context('spawn').Pool(2).map(abs, [1])",
        "double",
    ),
    "waits for the exit": (
        "import atexit, weakref\natexit.register(open, '/tmp/<TRACE>', 'w')\n"
        "weakref.finalize(x, open, '/tmp/<TRACE>', 'w')\n" + WRONG,
        "wrong",
    ),
    "acts when it is deleted": (
        "class Late:\n    def __del__(self): open('/tmp/<TRACE>', 'w')\nglobals()['late'] = Late()\n" + WRONG,
        "wrong",
    ),
    "acts on a signal later": (
        "import signal\ndef late(*a): open('/tmp/<TRACE>', 'w')\nsignal.signal(signal.SIGALRM, late)\n"
        "signal.setitimer(signal.ITIMER_REAL, 20)\nreturn x * 3.0",
        "wrong",
    ),
}

USING_UP = {
    "fills memory": ("y = []\nwhile True: y.append(np.empty(1 << 26))", "MemoryError"),
    "asks for 8 GB at once": ("return np.ones(1 << 30)", "MemoryError"),
    "maps 8 GB": ("import mmap\nreturn len(mmap.mmap(-1, 8 << 30))", "OSError"),
    "fills shared memory": (
        "from multiprocessing import shared_memory\nreturn shared_memory.SharedMemory('<TRACE>', True, 1 << 30)",
        "double raised",
    ),
    "fills System V shared memory": (SYSCALL.format(call="shmget(1709, 1 << 30, 0o1666)"), "result -1"),
    "fills a file in memory": (SYSCALL.format(call="memfd_create(b'<TRACE>', 0)"), "result -1"),
    "fills the disk": (
        _writes("/tmp/<TRACE>", "/var/tmp/<TRACE>", "/dev/shm/<TRACE>", "<HOME>/<TRACE>"),
        "wrote 0 files",
    ),
    "floods the output": (
        "for _ in range(2000): print('x' * 1_000_000, end='')\n" + WRONG,
        "wrong",
    ),
    "floods the descriptors": (
        "import os\nfor fd in (1, 2):\n    for _ in range(256): os.write(fd, b'x' * 4_000_000)\n" + WRONG,
        "wrong",
    ),
    "floods warnings": (
        "import warnings\nfor i in range(20_000): warnings.warn('w' * 100 + str(i))\n" + WRONG,
        "wrong",
    ),
    "floods what it is refused": (
        "for i in range(3000):\n    try: open(f'/etc/{i}')\n    except OSError: pass\n" + WRONG,
        "read the file",
    ),
    "raises a message of a gigabyte": (
        "class Long(Exception):\n    def __str__(self): return 'x' * (1 << 28)\nraise Long",
        "Long",
    ),
    "returns 200 MB for every case": ("return np.zeros(25_000_000)", "shape"),
}

REACHING_OUT = {
    "connects over TCP": ("import socket\nsocket.create_connection(('127.0.0.1', <PORT>))", "network"),
    "sends over UDP": (
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', <PORT>))",
        "network",
    ),
    "connects to a unix socket": (
        "import socket\nsocket.socket(socket.AF_UNIX).bind('\\0<TRACE>')",
        "network",
    ),
    "asks a name server": ("import socket\nreturn socket.gethostbyname('example.org')", "double"),
    "logs to the grader's socket": (
        "import logging.handlers\nhandler = logging.handlers.SocketHandler('127.0.0.1', <PORT>)\n"
        "handler.makeSocket()\n" + WRONG,
        "network",
    ),
}

WRITING = {
    "writes the gradebook": (_writes("<GRADEBOOK>"), "wrote 0 files"),
    "writes its own record": (_writes("<OWN>", "<GRADES>", "<OWN>.tmp"), "wrote 0 files"),
    "overwrites another student's work": (_writes("<VICTIM>"), "wrote 0 files"),
    "removes another student's work": ("import os\nos.remove('<VICTIM>')", "delete a file"),
    "renames another student's work": ("import os\nos.rename('<VICTIM>', '/tmp/<TRACE>')", "rename a file"),
    "opens the hidden tests to all": ("import os\nos.chmod('<HIDDEN>', 0o777)", "PermissionError"),
    "links the hidden tests": ("import os\nos.symlink('<HIDDEN>', '/tmp/<TRACE>')", "make a link"),
    "leaves start-up files for the next": (
        "import site, sys, os\nplaces = [*site.getsitepackages(), '<HOME>', os.getcwd(), os.path.dirname(np.__file__)]\n"
        "names = ('usercustomize.py', 'sitecustomize.py', '<TRACE>.pth', 'numpy.py', 'conftest.py', '.pythonrc', "
        "'__pycache__/core.pyc', '.ipython/profile_default/startup/00.py', '.cache/mesa_shader_cache/index')\n"
        "done = []\nfor place in places:\n    for name in names:\n"
        "        try:\n            open(os.path.join(place, name), 'a').write('# <TRACE>')\n            done.append(name)\n"
        "        except OSError: pass\nos.environ['PYTHONSTARTUP'] = '/tmp/<TRACE>'\n"
        "raise PermissionError('wrote %d files' % len(done))",
        "wrote 0 files",
    ),
    "changes modules for the next": (
        "import sys, numpy.linalg\nsys.modules['numpy'] = sys.modules['gradschool'] = None\nsys.path[:] = ['/tmp']\n"
        "numpy.linalg.norm = None\nx.setflags(write=True)\nreturn x * 3.0",
        "ended the Python process",
    ),
}

FORGING = {
    "prints a result": (
        'import sys\nforged = \'{"record": {"score": 8.0, "max_score": 8.0}, "error": ""}\\n\'\n'
        "for stream in (sys.stdout, sys.__stdout__, sys.stderr):\n    print(forged, file=stream, flush=True)\n"
        + WRONG,
        "wrong",
    ),
    "writes a result to every descriptor": (
        'import os\nfor fd in range(64):\n    try: os.write(fd, b\'{"record": {"score": 8.0}}\\n\')\n    except OSError: pass\n'
        + WRONG,
        "disturbed the connection",
    ),
    "returns a result": (
        "return {'score': 3.0, 'max_score': 3.0, 'outcome': 'passed'}",
        "a dict with the keys",
    ),
    "raises that it passed": ("import pytest\npytest.exit('all passed', 0)", "double raised"),
    "raises that it was skipped": ("import pytest\npytest.skip('not needed')", "double raised"),
}

# An exercise that is not the attacked one is honest work, unless the attack ends the process for good.
TABLES = (READING, PATCHING, LIES, ENDING, SURVIVING, USING_UP, REACHING_OUT, WRITING, FORGING)


def _table(port: int) -> dict[str, dict[str, Any]]:
    bodies = {name: entry for table in TABLES for name, entry in table.items()}
    found = {
        name: {"double": body.replace("<PORT>", str(port)), "loses": LOST, "says": (words,)}
        for name, (body, words) in bodies.items()
    }
    for name, body in DEMO_ATTACKS.items():
        code = body.format(name="double", lesson="<LESSON>", arguments="(x,)")
        found[f"demo, {name}"] = {"double": code, "loses": LOST, "says": ()}
    return found


NAMES = [name for table in TABLES for name in table] + [f"demo, {name}" for name in DEMO_ATTACKS]


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A server on this machine, and what reached it."""
    heard: list[bytes] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        for server in (tcp, udp):
            server.settimeout(0.2)
        stop = threading.Event()

        def listen() -> None:
            while not stop.is_set():
                for hear in (lambda: tcp.accept()[0].recv(64), lambda: udp.recv(64)):
                    try:
                        heard.append(hear())
                    except OSError:
                        pass

        thread = threading.Thread(target=listen)
        thread.start()
        yield port, heard
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def graded(grade_attacks, listener):
    return grade_attacks(_table(listener[0]))


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_earns_nothing_and_is_told(graded, name: str) -> None:
    graded.expect(name)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_student_among_attackers_earns_everything(graded, name: str) -> None:
    record = graded.expect(name)
    assert (record.score, record.status, record.problems) == (8.0, "graded", [])


def test_nothing_was_heard_on_the_network(graded, listener) -> None:
    assert listener[1] == []


def test_no_attacker_s_flood_reaches_the_record(graded) -> None:
    for student, record in graded.records.items():
        assert len(record.problems) <= 45, student
        assert max(len(item.message) for item in record.exercises) < 1_000, student
