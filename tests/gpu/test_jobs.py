from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from gradschool.errors import KernelCompileError, KernelLimitError, KernelTimeout
from gradschool.gpu.backend import Backend
from gradschool.gpu.jobs import JobBinding, KernelJob, execute, run_interpreted
from gradschool.gpu.kernel import Kernel

BINDINGS = [JobBinding(0, "uniform"), JobBinding(1, "read"), JobBinding(2, "read_write")]
ADD_ONE = """
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(0) var<uniform> n: u32;
@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < n) { out[id.x] += x[id.x]; }
}
"""


@dataclass
class Setup:
    """A job of five elements with two words of canary behind its output."""

    source: str = ADD_ONE
    buffers: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        words = {0: [5, 0, 0, 0], 1: [1, 1, 1, 1, 1], 2: [10, 20, 30, 40, 50, 77, 77]}
        self.buffers = {i: np.array(row, np.uint32).view(np.uint8) for i, row in words.items()}

    def job(self, **changes: object) -> KernelJob:
        job = KernelJob(filename="add.wgsl", source=self.source, bindings=BINDINGS, workgroups=(2, 1, 1))
        return msgspec.structs.replace(job, **changes)


def words(array: np.ndarray) -> list[int]:
    return array.view(np.uint32).tolist()


def test_a_job_returns_every_storage_buffer_after_the_run(backend: Backend) -> None:
    setup = Setup()
    result = execute(setup.job(), setup.buffers, backend)
    (after,) = result.buffers_after
    assert sorted(after) == [1, 2]
    assert words(after[1]) == [1] * 5
    assert words(after[2]) == [11, 21, 31, 41, 51, 77, 77]
    assert (result.workgroup_size, result.device.kind) == ((4, 1, 1), backend.info.kind)


def test_the_callers_bytes_are_not_touched(backend: Backend) -> None:
    setup = Setup()
    execute(setup.job(), setup.buffers, backend)
    assert words(setup.buffers[2]) == [10, 20, 30, 40, 50, 77, 77]


@pytest.mark.parametrize("mode", ["device", "interpret"])
@pytest.mark.parametrize(("fresh", "second"), [(False, 12), (True, 11)])
def test_repeats_go_on_with_the_same_bytes_or_start_afresh(
    backend: Backend, mode: str, fresh: bool, second: int
) -> None:
    setup = Setup()
    result = execute(setup.job(repeats=2, fresh=fresh, mode=mode), setup.buffers, backend)
    assert [words(after[2])[0] for after in result.buffers_after] == [11, second]


@pytest.mark.parametrize("n_bytes", [1, 2, 6, 20])
def test_buffers_of_any_length_travel(backend: Backend, n_bytes: int) -> None:
    source = (
        "@group(0) @binding(0) var<storage, read> x: array<u32>; @compute @workgroup_size(1) fn main() { }"
    )
    data = np.arange(n_bytes, dtype=np.uint8)
    job = KernelJob(filename="k.wgsl", source=source, bindings=[JobBinding(0, "read")], workgroups=(1, 1, 1))
    assert execute(job, {0: data}, backend).buffers_after[0][0].tolist() == data.tolist()


def test_the_interpreter_says_what_was_written() -> None:
    setup = Setup()
    result = run_interpreted(setup.job(mode="interpret"), setup.buffers)
    assert result.written[2].tolist() == [True] * 5 + [False] * 2
    assert result.findings == []


UNSAFE = {
    "out-of-bounds-write": ADD_ONE.replace("if (id.x < n)", "if (id.x < n + 1u)"),
    "uninitialised-read": ADD_ONE,
    "race": ADD_ONE.replace("out[id.x] +=", "out[0] = out[id.x] +"),
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_the_interpreter_finds_what_numbers_do_not_show(kind: str) -> None:
    source = UNSAFE[kind]
    setup = Setup(source)
    bindings = [*BINDINGS[:2], JobBinding(2, "read_write", 20, kind == "uninitialised-read", "out")]
    result = run_interpreted(setup.job(mode="interpret", bindings=bindings), setup.buffers)
    finding = next(finding for finding in result.findings if finding.kind == kind)
    assert (finding.name, finding.hard) == ("out", kind != "uninitialised-read")
    assert finding.line == 1 + source[: source.index("if (id.x")].count("\n")


def test_without_detection_the_interpreter_only_computes() -> None:
    setup = Setup(UNSAFE["race"])
    result = run_interpreted(setup.job(mode="interpret", detect=False), setup.buffers)
    assert [finding for finding in result.findings if finding.kind == "race"] == []


ENDLESS = ADD_ONE.replace("out[id.x] += x[id.x];", "while (x[0] == 1u) { out[0] = 1u; }")


def test_an_endless_loop_in_the_interpreter_is_a_timeout_that_names_the_line() -> None:
    setup = Setup(ENDLESS)
    with pytest.raises(KernelTimeout, match=r"add\.wgsl.*7"):
        run_interpreted(setup.job(mode="interpret", max_steps=20_000), setup.buffers)


LONG = ADD_ONE.replace("out[id.x] += x[id.x];", "for (var k = 0u; k < 60u; k++) { out[id.x] += x[id.x]; }")


def test_a_long_loop_that_ends_is_watched_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradschool.gpu.interpret.WATCHED_STEPS", 50)
    setup = Setup(LONG)
    result = run_interpreted(setup.job(mode="interpret"), setup.buffers)
    assert words(result.buffers_after[0][2])[0] == 70
    assert result.written[2].tolist() == [True] * 5 + [False] * 2
    assert result.findings == []


WRONG: dict[
    str, tuple[dict[str, object], Callable[[dict[int, np.ndarray]], object], type[Exception], str]
] = {
    "a buffer is missing": ({}, lambda b: b.pop(2), KernelLimitError, "bindings"),
    "a buffer is not bytes": ({}, lambda b: b.update({2: np.ones(3)}), KernelLimitError, "bytes"),
    "other entry": ({"entry": "scale"}, lambda b: None, KernelCompileError, "entry point scale"),
    "binding kind": (
        {"bindings": [*BINDINGS[:2], JobBinding(2, "read")]},
        lambda b: None,
        KernelCompileError,
        r"@binding\(2\)",
    ),
    "too much data": (
        {},
        lambda b: b.update({2: np.broadcast_to(np.uint8(0), (1 << 28,))}),
        KernelLimitError,
        "268,435,",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_job_that_does_not_fit_is_refused(case: str) -> None:
    changes, spoil, error, text = WRONG[case]
    setup = Setup()
    spoil(setup.buffers)
    with pytest.raises(error, match=text):
        run_interpreted(setup.job(mode="interpret", **changes), setup.buffers)


def test_a_contracts_kernel_runs_as_a_job(scale: Kernel, backend: Backend) -> None:
    x = np.arange(5, dtype=np.float32)
    params = np.array([5, 0, 0, 0], np.uint32)
    params.view(np.float32)[1] = 2.0
    buffers = {0: params.view(np.uint8), 1: x.view(np.uint8), 2: np.full(28, 0xEE, np.uint8)}
    job = KernelJob(filename="scale.wgsl", source=scale.source, bindings=BINDINGS, workgroups=(2, 1, 1))
    after = execute(job, buffers, backend).buffers_after[0][2]
    assert after[:20].view(np.float32).tolist() == [0, 2, 4, 6, 8]
    assert set(after[20:].tolist()) == {0xEE}


def test_a_job_may_count_invocations_and_leave_the_workgroup_size_to_the_kernel() -> None:
    job = Setup().job(invocations=(9, 1, 1), spare_workgroups=(1, 0, 2))
    assert job.launch_size((4, 1, 1)) == (4, 1, 3)
    assert job.launch_size((256, 1, 1)) == (2, 1, 3)
    with pytest.raises(KernelLimitError, match="65,536"):
        Setup().job(invocations=(65_536, 1, 1)).launch_size((1, 1, 1))


def test_work_is_counted_in_the_interpreter_when_asked_for(backend: Backend) -> None:
    setup = Setup()
    cost = execute(setup.job(mode="interpret", count=True), setup.buffers, backend).cost
    assert cost is not None
    # Five additions: x and out are loaded, out is stored.
    assert (cost.load_bytes, cost.store_bytes, cost.traffic_bytes) == (40, 20, 60)
    assert execute(setup.job(mode="interpret"), setup.buffers, backend).cost is None
