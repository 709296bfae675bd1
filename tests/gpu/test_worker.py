from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from gradschool.errors import (
    DeviceError,
    KernelCompileError,
    KernelCrashed,
    KernelLimitError,
    KernelTimeout,
    UsageError,
)
from gradschool.gpu import worker_client
from gradschool.gpu.backend import Backend
from gradschool.gpu.jobs import JobBinding, KernelJob
from gradschool.gpu.messages import Done, Open, Run
from gradschool.gpu.poison import POISON_WORD
from gradschool.gpu.worker_client import GpuWorker
from gradschool.sandbox.lockdown import capabilities

DOUBLE = """
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) { out[i] *= 2u; }
"""
ENDLESS = DOUBLE.replace("out[i] *= 2u;", "while (out[0] < 9u) { out[1] = 1u; }")


def job(source: str = DOUBLE, **changes: object) -> KernelJob:
    plain = KernelJob(
        filename="double.wgsl", source=source, bindings=[JobBinding(0, "read_write")], workgroups=(1, 1, 1)
    )
    return msgspec.structs.replace(plain, **changes)


def numbers(*values: int) -> dict[int, np.ndarray]:
    return {0: np.array(values, np.uint32).view(np.uint8)}


def answer(worker: GpuWorker, the_job: KernelJob, *values: int) -> list[int]:
    return worker.run(the_job, numbers(*values)).buffers_after[-1][0].view(np.uint32).tolist()


@pytest.fixture(scope="module")
def worker() -> Iterator[GpuWorker]:
    """A worker that interprets, shared by the tests of this file."""
    with GpuWorker("interpreter") as shared:
        yield shared


@pytest.fixture(scope="module")
def device_worker(wgpu_device: Backend) -> Iterator[GpuWorker]:
    """A worker with a driver inside."""
    with GpuWorker("auto") as shared:
        yield shared


def test_a_job_crosses_to_the_worker_and_back(worker: GpuWorker) -> None:
    assert answer(worker, job(), 1, 2, 3, 4, 5) == [2, 4, 6, 8, 5]
    assert worker.info.kind == "interpreter"


def test_the_driver_works_inside_the_lockdown(device_worker: GpuWorker) -> None:
    assert device_worker.info.kind in ("gpu", "software")
    assert device_worker.protections == capabilities().available
    assert answer(device_worker, job(repeats=2), 1, 2, 3, 4) == [4, 8, 12, 16]


def test_the_same_worker_interprets_on_request(device_worker: GpuWorker) -> None:
    result = device_worker.run(job(mode="interpret"), numbers(1, 2, 3, 4, 5))
    assert result.written[0].dtype == np.bool_
    assert result.written[0].tolist() == [True] * 4 + [False]


def test_findings_come_back(worker: GpuWorker) -> None:
    racy = DOUBLE.replace("out[i] *= 2u", "out[0] = i")
    findings = worker.run(job(racy, mode="interpret"), numbers(1, 2, 3, 4)).findings
    assert any(finding.hard and finding.line == 4 for finding in findings)


def test_counted_work_comes_back(worker: GpuWorker) -> None:
    cost = worker.run(job(mode="interpret", count=True), numbers(1, 2, 3, 4)).cost
    assert cost is not None
    assert (cost.load_bytes, cost.store_bytes) == (16, 16)


def test_a_compile_error_keeps_its_file_and_line(worker: GpuWorker) -> None:
    with pytest.raises(KernelCompileError) as caught:
        worker.run(job(DOUBLE.replace("*= 2u", "*= y")), numbers(1, 2, 3, 4))
    assert (caught.value.filename, caught.value.line) == ("double.wgsl", 4)
    assert "^" in caught.value.message


def test_an_endless_loop_is_ended_by_the_step_budget(worker: GpuWorker) -> None:
    with pytest.raises(KernelTimeout, match=r"double\.wgsl"):
        worker.run(job(ENDLESS, mode="interpret", max_steps=20_000), numbers(1, 2, 3, 4))


def test_a_job_that_does_not_end_costs_its_process_and_nothing_else(worker: GpuWorker) -> None:
    worker.start()
    before = worker.pid
    with pytest.raises(KernelTimeout, match=r"0\.3 s"):
        worker.run(job(ENDLESS, mode="interpret", max_steps=10**12), numbers(1, 2, 3, 4), timeout_s=0.3)
    assert answer(worker, job(), 1, 2, 3, 4) == [2, 4, 6, 8]
    assert worker.pid != before


def test_a_process_that_died_is_replaced_without_blame(worker: GpuWorker) -> None:
    worker.start()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    assert answer(worker, job(), 1, 2, 3, 4) == [2, 4, 6, 8]


def test_a_kernel_that_kills_two_processes_is_blamed(
    worker: GpuWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = worker._exchange

    def die(message: object, *rest: object) -> object:
        if isinstance(message, Run) and worker.pid is not None:
            os.kill(worker.pid, signal.SIGSEGV)
        return real(message, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "_exchange", die)
    with pytest.raises(KernelCrashed, match=r"double\.wgsl.*SIGSEGV"):
        worker.run(job(), numbers(1, 2, 3, 4))


def test_text_and_buffers_have_a_largest_size(worker: GpuWorker) -> None:
    with pytest.raises(KernelLimitError, match="65,536"):
        worker.run(job(DOUBLE + "/" * 70_000), numbers(1, 2, 3, 4))


def test_recycling_opens_the_device_anew_and_at_last_the_process(
    worker: GpuWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.close()
    worker.start()
    first = worker.pid
    monkeypatch.setattr(worker_client, "SUBMISSIONS_PER_PROCESS", 2)
    worker.recycle()
    assert (answer(worker, job(), 1, 2, 3, 4), worker.pid) == ([2, 4, 6, 8], first)
    worker.recycle()
    assert answer(worker, job(), 1, 2, 3, 4) == [2, 4, 6, 8]
    assert worker.pid != first


def test_a_recycled_device_still_works(device_worker: GpuWorker) -> None:
    for _ in range(3):
        assert answer(device_worker, job(), 1, 2, 3, 4) == [2, 4, 6, 8]
        device_worker.recycle()


def test_an_answer_that_does_not_fit_is_not_believed(worker: GpuWorker) -> None:
    sent = [numbers(1, 2, 3, 4)[0]]
    forged = Done([[0]], [], (4, 1, 1), [], 1)
    for results in ([], [np.zeros(8, np.uint8)], [np.zeros(16, np.float64)], [sent[0], sent[0]]):
        with pytest.raises(KernelCrashed, match="do not fit"):
            worker._unpack(job(), sent, forged, results)


def test_a_device_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VK_DRIVER_FILES", "/nonexistent.json")
    with pytest.raises(DeviceError), GpuWorker("software"):
        pass


def test_a_driver_that_dies_in_the_lockdown_leaves_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    real = GpuWorker._exchange

    def die(worker: GpuWorker, message: object, *rest: object) -> object:
        if message == Open("auto") and worker.pid is not None:
            os.kill(worker.pid, signal.SIGSEGV)
        return real(worker, message, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(GpuWorker, "_exchange", die)
    monkeypatch.delenv("GRADSCHOOL_DEVICE", raising=False)
    with GpuWorker("auto") as fallen:
        assert (fallen.info.kind, "SIGSEGV" in fallen.info.why) == ("interpreter", True)
        assert answer(fallen, job(), 1, 2, 3, 4) == [2, 4, 6, 8]


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match="cuda"):
        GpuWorker("cuda")


def test_without_the_lockdown_it_works_the_same() -> None:
    with GpuWorker("interpreter", sandbox=False) as plain:
        assert answer(plain, job(), 1, 2, 3, 4) == [2, 4, 6, 8]
        assert plain.protections == ()


LEFTOVER = """
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
var<workgroup> memory: array<u32, 1024>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
  for (var k = i; k < 1024u; k += 4u) {
    out[k] = memory[k];
  }
  workgroupBarrier();
  for (var k = i; k < 1024u; k += 4u) {
    memory[k] = 42u;
  }
}
"""


def test_no_kernel_sees_workgroup_memory_of_another(device_worker: GpuWorker) -> None:
    for _ in range(3):
        found = device_worker.run(job(LEFTOVER), {0: np.zeros(4096, np.uint8)}).buffers_after[0][0]
        assert set(found.view(np.uint32).tolist()) <= {POISON_WORD, 0}
