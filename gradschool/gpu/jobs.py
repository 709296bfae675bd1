"""One launch of a kernel as plain data: text and bytes in, bytes and findings out.

A job carries no array and no object, so it can cross to the GPU worker; its buffers
travel beside it as uint8 arrays, one per binding, in the order of `bindings`. What the
bytes mean (poison, canaries, which run is compared with which) is the caller's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np

from gradschool.errors import KernelLimitError
from gradschool.gpu.backend import MAX_BUFFER_BYTES, Backend, BindingKind, Buffer, Layout
from gradschool.gpu.checked import CheckedKernel, check_bindings, check_kernel
from gradschool.gpu.device import DeviceInfo
from gradschool.gpu.interpret import DEFAULT_MAX_STEPS, interpret_job

if TYPE_CHECKING:
    from gradschool.wgsl import RunResult

MAX_REPEATS = 8
MAX_TOTAL_BYTES = 256 << 20
"""Bytes of all buffers of one job; a grader's cases need a thousandth of it."""

MAX_WORKGROUPS = 65_535

_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]
_Spare = Annotated[int, msgspec.Meta(ge=0, le=1000)]
_Axis = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class JobBinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One binding of group 0.

    Attributes:
        index: The number in `@binding(index)`.
        kind: How the kernel may use it.
        logical_bytes: Bytes that belong to the array; what lies behind is padding and
            canary, out of bounds to the interpreter. None means all of them.
        undefined: The bytes given stand for memory nobody has written: reading one
            before writing it is a finding.
        name: What messages call it; the index if empty.
    """

    index: Annotated[int, msgspec.Meta(ge=0, le=999)]
    kind: BindingKind
    logical_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    undefined: bool = False
    name: str = ""


class JobCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counted work of one run in the interpreter: exact, and the same on every machine.

    Attributes:
        load_bytes: Bytes loaded from storage buffers, each time counted.
        store_bytes: Bytes stored to storage buffers, likewise.
        distinct_load_bytes: Bytes of storage buffers that were loaded at least once.
        distinct_store_bytes: Bytes of storage buffers that were stored at least once.
        transactions: Transactions of 128 bytes, per 32 neighbouring invocations.
        atomics: Atomic operations.
        workgroup_loads: Loads from workgroup memory.
        workgroup_stores: Stores to workgroup memory.
        bank_conflicts: Extra turns that workgroup memory took.
        barriers: Barriers, once per workgroup.
        flops: Arithmetic operations on floats.
    """

    load_bytes: int = 0
    store_bytes: int = 0
    distinct_load_bytes: int = 0
    distinct_store_bytes: int = 0
    transactions: int = 0
    atomics: int = 0
    workgroup_loads: int = 0
    workgroup_stores: int = 0
    bank_conflicts: int = 0
    barriers: int = 0
    flops: int = 0

    @property
    def traffic_bytes(self) -> int:
        """Bytes that went from and to storage buffers."""
        return self.load_bytes + self.store_bytes


class KernelJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kernel, its bindings and how often to launch it.

    Attributes:
        filename: The learner's file, for messages.
        workgroups: How many to launch per axis, unless `invocations` is given.
        invocations: Invocations to cover per axis, whatever workgroup size the kernel has;
            so the caller need not read the learner's text.
        spare_workgroups: Launched per axis on top of what `invocations` needs.
        repeats: Runs on the same buffers, one after the other.
        fresh: Write the bytes given again before each run, instead of going on with what
            the last one left.
        mode: `device` for whatever this machine has, `interpret` for the interpreter.
        detect: Whether the interpreter looks for races and undefined reads; on a machine
            whose device is the interpreter, `device` jobs run without.
        count: Whether the interpreter counts the work of the first run.
        poison: Fill workgroup memory with garbage before each run on a device.
        max_steps: Loop iterations the interpreter runs before it takes a kernel to be endless.
    """

    filename: str
    source: str
    bindings: Annotated[list[JobBinding], msgspec.Meta(max_length=32)]
    workgroups: tuple[_Axis, _Axis, _Axis] = (1, 1, 1)
    invocations: tuple[_Count, _Count, _Count] | None = None
    spare_workgroups: tuple[_Spare, _Spare, _Spare] = (0, 0, 0)
    entry: str = "main"
    repeats: Annotated[int, msgspec.Meta(ge=1, le=MAX_REPEATS)] = 1
    fresh: bool = False
    mode: Literal["device", "interpret"] = "device"
    detect: bool = True
    count: bool = False
    poison: bool = True
    max_steps: Annotated[int, msgspec.Meta(ge=1)] = DEFAULT_MAX_STEPS

    @property
    def layout(self) -> Layout:
        """The explicit bind-group layout."""
        return tuple(sorted((binding.index, binding.kind) for binding in self.bindings))

    def launch_size(self, workgroup_size: tuple[int, int, int]) -> tuple[int, int, int]:
        """The workgroups to launch for a kernel of this `workgroup_size`.

        Raises:
            KernelLimitError: An axis needs more than WebGPU's 65,535.
        """
        if self.invocations is None:
            return self.workgroups
        sizes = zip(self.invocations, workgroup_size, self.spare_workgroups, strict=True)
        x, y, z = (-(-n // size) + spare for n, size, spare in sizes)
        if max(x, y, z) > MAX_WORKGROUPS:
            raise KernelLimitError(
                f"{self.filename} would need {max(x, y, z):,} workgroups on one axis; WebGPU allows {MAX_WORKGROUPS:,}.",
                help="Use a larger @workgroup_size.",
            )
        return x, y, z


class JobFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something the interpreter saw the kernel do.

    Attributes:
        kind: Its stable name, e.g. `race`.
        hard: Whether it makes the kernel wrong, whatever its numbers.
        line: 1-based line in the learner's file; 0 when unknown.
        other_line: The second place of a race, or 0.
        name: The variable or binding it is about.
    """

    kind: str
    hard: bool
    line: int
    other_line: int
    name: str
    message: str


@dataclass(frozen=True)
class JobResult:
    """What one job did.

    Attributes:
        buffers_after: Per repeat, bytes of every storage binding by index, read-only
            ones too, so that the caller can prove them unchanged.
        written: Per binding index, which 4-byte words the first run wrote; only from the
            interpreter, and only with `detect`.
        findings: What the interpreter saw in the first run.
        cost: Work of the first run; only from the interpreter, and only with `count`.
    """

    buffers_after: list[dict[int, np.ndarray]]
    workgroup_size: tuple[int, int, int]
    device: DeviceInfo
    written: dict[int, np.ndarray] = field(default_factory=dict)
    findings: list[JobFinding] = field(default_factory=list)
    steps: int = 0
    cost: JobCost | None = None


def execute(job: KernelJob, buffers: Mapping[int, np.ndarray], backend: Backend) -> JobResult:
    """Run a job in this process.

    Args:
        job: What to run.
        buffers: The bytes of every binding, by index, as uint8 arrays.
        backend: The device for jobs of mode `device`.

    Raises:
        KernelCompileError: The text is not a valid kernel, or its bindings differ.
        KernelLimitError: It or its buffers are too large.
        KernelTimeout: The interpreter's step budget ran out.
        KernelError: Buffers and bindings do not match.
    """
    kernel = _prepare(job, buffers)
    if job.mode == "interpret":
        return _interpret(job, kernel, buffers)
    return _on_device(job, kernel, buffers, backend)


def run_interpreted(job: KernelJob, buffers: Mapping[int, np.ndarray]) -> JobResult:
    """Run a job in the interpreter, in this process: for our own kernels, never a learner's."""
    return _interpret(job, _prepare(job, buffers), buffers)


def _prepare(job: KernelJob, buffers: Mapping[int, np.ndarray]) -> CheckedKernel:
    _check_buffers(job, buffers)
    kernel = check_kernel(job.source, job.filename, job.entry)
    check_bindings(kernel, job.layout, {binding.index: binding.name for binding in job.bindings})
    return kernel


def _check_buffers(job: KernelJob, buffers: Mapping[int, np.ndarray]) -> None:
    wanted = sorted(binding.index for binding in job.bindings)
    if sorted(buffers) != wanted or len(set(wanted)) != len(wanted):
        raise KernelLimitError(f"{job.filename}: buffers {sorted(buffers)} were given for bindings {wanted}.")
    sizes = [array.nbytes for array in buffers.values()]
    if sum(sizes) > MAX_TOTAL_BYTES or max(sizes, default=0) > MAX_BUFFER_BYTES:
        raise KernelLimitError(
            f"{job.filename}: its arrays take {sum(sizes):,} bytes, {max(sizes):,} the largest; "
            f"a job may hold {MAX_TOTAL_BYTES:,}, one array {MAX_BUFFER_BYTES:,}."
        )
    for index, array in buffers.items():
        if array.dtype != np.uint8 or array.ndim != 1:
            raise KernelLimitError(f"{job.filename}: buffer {index} is not a row of bytes.")


def _interpret(job: KernelJob, kernel: CheckedKernel, buffers: Mapping[int, np.ndarray]) -> JobResult:
    from gradschool.gpu.device import interpreter_info

    after, first = interpret_job(job, kernel, buffers)
    findings = [
        JobFinding(
            kind=found.kind,
            hard=found.hard,
            line=found.line,
            other_line=found.other_line or 0,
            name=found.variable,
            message=found.message,
        )
        for found in first.findings
    ]
    written = {}
    for index, mask in first.written.items():
        words = np.zeros(-(-buffers[index].nbytes // 4), np.bool_)
        words[: mask.size] = mask[: words.size]
        written[index] = words
    return JobResult(
        after, kernel.workgroup_size, interpreter_info(), written, findings, first.steps, _cost(first)
    )


def _cost(result: RunResult) -> JobCost | None:
    if result.cost is None:
        return None
    sources = (result.cost.total, result.cost)
    names = JobCost.__struct_fields__
    return JobCost(*(next(getattr(s, name) for s in sources if hasattr(s, name)) for name in names))


def _on_device(
    job: KernelJob, kernel: CheckedKernel, buffers: Mapping[int, np.ndarray], backend: Backend
) -> JobResult:
    program = backend.compile(kernel, job.layout)
    groups = job.launch_size(kernel.workgroup_size)
    storage = [binding.index for binding in job.bindings if binding.kind != "uniform"]
    after: list[dict[int, np.ndarray]] = []
    made: dict[int, Buffer] = {}
    try:
        for index, array in buffers.items():
            made[index] = backend.create(array.nbytes)
        for repeat in range(job.repeats):
            if repeat == 0 or job.fresh:
                for index, array in buffers.items():
                    backend.write(made[index], array)
            backend.dispatch(program, made, groups, poison=job.poison, max_steps=job.max_steps)
            after.append(dict(zip(storage, backend.read([made[index] for index in storage]), strict=True)))
    finally:
        for buffer in made.values():
            backend.free(buffer)
    return JobResult(after, kernel.workgroup_size, backend.info)
