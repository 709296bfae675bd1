"""Exercises that launch the course's kernels, and exercises judged with the course's functions: no way further in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradschool.errors import CallTimeout, KernelTimeout
from gradschool.gpu.device import interpreter_info
from gradschool.gpu.interpreter_backend import InterpreterBackend
from gradschool.grading import kernel_desk
from gradschool.grading.budget import KernelJobs, TimeBudget
from gradschool.grading.calls import MAX_ELEMENTS, Call, Evidence
from gradschool.grading.functions import WorkerFunctions
from gradschool.grading.kernel_desk import KernelDesk
from gradschool.sandbox import messages

LOST = {"double": 0.0}
LAUNCHES = """
    scale = gs.kernel("scale_shift.wgsl")
    flat = np.asarray(x, np.float32).reshape(-1)
    return scale(x=flat, alpha=1.0 * FACTOR, beta=0.0).reshape(np.shape(x)).astype(float)
"""

INSIDE = """
import gc
from gradschool.sandbox import messages, worker
gc.unfreeze()
me = next(item for item in gc.get_objects() if type(item) is worker.Worker)
def ask(request, *arrays):
    reply, _ = me._device.exchange(request, list(arrays))
    raise RuntimeError(getattr(reply, "message", "") or repr(reply))
small = np.ones(4, np.float32)
def launch(file="scale_shift.wgsl", shape=(4,), handle=0, **params):
    me._device.exchange(messages.Upload(), [small])
    ask(messages.LaunchKernel(file, {"x": (handle, list(shape))}, {"alpha": 1.0, "beta": 0.0, **params}))
"""

# What is asked of the desk, and what it answers.
REQUESTS = {
    "an array that was never there": ("ask(messages.Download(10**9))", "not on the device any more"),
    "an array before the first": ("ask(messages.Download(-1))", "not on the device any more"),
    "another's array as its own": ("launch(handle=7)", "not on the device any more"),
    "an array with room it has not": ("launch(shape=(1 << 40,))", "cannot be viewed"),
    "an array with less than nothing": ("launch(shape=(-4,))", "RuntimeError"),
    "an array of all axes": ("launch(shape=(1,) * 8)", "RuntimeError"),
    "a name twice": ("launch(x=1.0)", "was given twice"),
    "a number that is none": ("launch(n=float('nan'))", "RuntimeError"),
    "a size without end": ("launch(n=1 << 62)", "RuntimeError"),
    "a param of its own": ("launch(answers=1)", "no argument"),
    "a file above the kernels": ("launch('../../graders/00_tiny/test_tiny.py')", "There is no kernel"),
    "a file of the system": ("launch('/etc/passwd')", "There is no kernel"),
    "the lesson": ("launch('lesson.py')", "There is no kernel"),
    "a file whose name ends early": ("launch('scale_shift.wgsl\\0.py')", "There is no kernel"),
    "a name that is a pattern": ("launch('*.wgsl')", "There is no kernel"),
    "the folder itself": ("launch('..')", "There is no kernel"),
    "two arrays in one upload": ("ask(messages.Upload(), small, small)", "An upload is one array"),
    "no array in an upload": ("ask(messages.Upload())", "An upload is one array"),
    "half numbers": (
        "me._device.exchange(messages.Upload(), [np.ones(4, np.int8)])\nlaunch()",
        "RuntimeError",
    ),
    "90 MB on the device": (
        "me._device.exchange(messages.Upload(), [np.zeros(90 << 18, np.float32)])\nask(messages.Upload(), small)",
        "used the device too much",
    ),
    "what an earlier call left": (
        "kept = globals().setdefault('kept', gs.to_device(small))\nif len(x) == 0: return kept.numpy()\n"
        "globals()['double'](x[:0])\nraise RuntimeError('not yet')",
        "double",
    ),
}


def _body(code: str) -> str:
    lines = [*INSIDE.splitlines(), *code.splitlines()]
    return "def double(x):\n" + "\n".join(f"    {line}" for line in lines) + "\n"


TABLE: dict[str, dict[str, Any]] = {
    **{
        f"asks for {name}": {"double": _body(code), "loses": LOST, "says": (words,)}
        for name, (code, words) in REQUESTS.items()
    },
    "launches honestly": {
        "double": f"FACTOR = 2.0\ndef double(x):\n    if len(x) == 0: raise ValueError('x is empty')\n{LAUNCHES}"
    },
    "launches while it is loaded": {
        "first": ("y = gs.kernel('scale_shift.wgsl')(x=1)\nz = gs.to_device([1.0]).numpy()",),
    },
    # `halve` comes after `double`, which fails here: the course's own double answers in its place.
    "asks the stand-in for more than it is": {
        "double": "return x * 3.0",
        "loses": {**LOST, "halve": 0.0},
        "last": (
            "def halve(x):\n"
            "    out = double(x)\n    assert not hasattr(double, '__code__') and not hasattr(double, '__globals__')\n"
            "    return double(double(x))",
        ),
    },
    "asks the course for another function": {
        "double": "return x * 3.0",
        "loses": {**LOST, "halve": 0.0},
        "last": (
            "def halve(x):\n"
            "    reply, _ = double._exchange(messages.CallCourse('halve', [nodes.ArrayNode(0)], {}), [x])\n"
            "    raise RuntimeError(reply.text)\nfrom gradschool.sandbox import messages, nodes",
        ),
        "says": ("halve",),
    },
    "asks the course with too much": {
        "double": "return x * 3.0",
        "loses": {**LOST, "halve": 0.0},
        "last": ("def halve(x):\n    return double([1.0] * 49_000)\n",),
        "says": ("has shape (49000,)",),
    },
}


@pytest.fixture(scope="module")
def graded(grade_attacks, classroom):
    lesson = classroom.root / "pack/solutions/00_tiny/lesson.py"
    text = lesson.read_text()
    lesson.write_text(text.replace("    return as_float(x) * FACTOR\n", LAUNCHES.lstrip("\n")))
    return grade_attacks(TABLE)


@pytest.mark.parametrize("name", [*TABLE, "aaron", "mira", "zoe"])
def test_a_request_gives_what_it_is_for(graded, name: str) -> None:
    graded.expect(name)


@pytest.fixture
def desk(classroom) -> KernelDesk:
    find = kernel_desk.course_kernels(classroom.root / "pack/shaders/00_tiny")
    return KernelDesk(find, lambda: InterpreterBackend(interpreter_info()))


@pytest.mark.parametrize("limit", ["MAX_REQUESTS", "MAX_SECONDS", "MAX_BYTES"])
def test_a_flood_of_launches_is_refused(desk: KernelDesk, monkeypatch, limit: str) -> None:
    monkeypatch.setattr(kernel_desk, limit, 1)
    if limit == "MAX_SECONDS":
        monkeypatch.setattr(desk, "_seconds", 2.0)
    for _ in range(2):
        desk.serve(messages.Upload(), [np.ones(1, np.float32)])
    reply, _ = desk.serve(messages.Upload(), [np.ones(1, np.float32)])
    assert isinstance(reply, messages.NotOnDevice)
    assert "used the device too much" in reply.message


class Slow:
    """A worker, and a GPU worker, of which every call takes its time."""

    desk = None

    def __init__(self, budget: TimeBudget) -> None:
        self.budget = budget
        self.n_calls = 0

    def call(self, *_: object, **__: object) -> None:
        """Take half a budget."""
        self.n_calls += 1
        self.budget._spent_s += self.budget.seconds / 2

    run = call


def test_hundreds_of_slow_calls_do_not_hold_the_grader() -> None:
    budget = TimeBudget(8.0)
    worker: Any = Slow(budget)
    functions = WorkerFunctions(worker, 10.0, budget)
    for _ in range(2):
        functions.call("double", (), {})
    with pytest.raises(CallTimeout, match="double was not called: the calls before took 8 s together"):
        functions.call("double", (), {})
    assert worker.n_calls == 2


def test_hundreds_of_slow_kernels_do_not_hold_the_grader() -> None:
    budget = TimeBudget(8.0)
    gpu: Any = Slow(budget)
    jobs = KernelJobs(gpu, 10.0, budget)
    job: Any = type("Job", (), {"filename": "slow.wgsl"})
    for _ in range(2):
        jobs.run(job, {})
    with pytest.raises(KernelTimeout, match=r"slow\.wgsl was not run: the kernels before took 8 s together"):
        jobs.run(job, {})


def test_huge_answers_are_not_kept_until_a_mistake_is_named() -> None:
    evidence = Evidence(
        [
            Call("f", (np.zeros(3),), {}, value=np.zeros(MAX_ELEMENTS + 1)),
            Call("g", (1,), {}, raised="OSError"),
        ]
    )
    evidence.let_go()
    assert [(call.value, call.args, call.raised) for call in evidence.calls] == [
        (None, (), "TooLarge"),
        (None, (), "OSError"),
    ]


def test_ordinary_answers_are_kept() -> None:
    evidence = Evidence([Call("f", (np.zeros(3),), {}, value=np.zeros(1000))])
    evidence.let_go()
    assert evidence.calls[0].value.size == 1000
