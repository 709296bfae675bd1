"""The `kernel` fixture: a learner's WGSL under conditions that hide nothing.

Every launch gets outputs that hold poison, room past the end of every buffer that nothing
may touch, NaN after the inputs, one workgroup more than needed, and a second run on the
same buffers. The interpreter runs each launch as well, and sees races, barriers in divergent
control flow and writes out of bounds, whether or not the device at hand shows them. They are
judged by `safety`, apart from the numbers, and fail on every machine in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradschool.contract import Contract
from gradschool.errors import KernelError, KernelTimeout
from gradschool.gpu.jobs import JobCost, JobFinding, JobResult, KernelJob, run_interpreted
from gradschool.grading.calls import Evidence, Launch, Purpose
from gradschool.grading.expect import Mismatch
from gradschool.grading.prepared import PreparedLaunch
from gradschool.release.stubs import is_unwritten_kernel

_LEARNERS_TEXT = re.compile(r"`[^`]*`|line \d+")
_INVOCATION = re.compile(r"invocation \S+ of workgroup \S+")
_PLACE = re.compile(r"\d+|reads|writes")

RunJob = Callable[[KernelJob, dict[int, np.ndarray]], JobResult]


@dataclass(frozen=True)
class KernelBench:
    """Where kernels run: one function for the device, one for the interpreter.

    Attributes:
        run: Runs a job in the disposable worker.
        has_device: Whether `mode="device"` means anything but the interpreter.
        hung: Kernels that never ended, by file name; they are not tried again.
    """

    run: RunJob
    has_device: bool
    hung: dict[str, KernelError] = field(default_factory=dict)


class KernelProbe:
    """Runs a submission's kernels by file name.

    Args:
        contracts: Contract by file name, from the trusted side.
        sources: The learner's WGSL by file name.
        bench: Where kernels run.
        evidence: Where launches are recorded.
        strict: Whether a hazard fails a test of numbers too, as in the checks a learner sees; while
            grading, numbers and safety are points of their own.
    """

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        sources: Mapping[str, str],
        bench: KernelBench,
        evidence: Evidence,
        *,
        strict: bool = False,
    ) -> None:
        self._contracts = contracts
        self._sources = sources
        self._bench = bench
        self._evidence = evidence
        self._strict = strict

    def __call__(self, file: str, **values: Any) -> Any:
        """Run kernel `file` and return its output array, or a dict when it has several.

        The numbers are the interpreter's, which are the same everywhere. A device must give the same, up to
        what WGSL leaves to it: drivers differ in `tanh`, `cos` and `mix`, and a verdict must not. What a kernel
        with a race or a write out of bounds gives on a device is luck, and is not asked for; that it is unsafe
        costs the points of `safety`.

        Args:
            file: Kernel file name, such as `softmax_forward.wgsl`.
            values: Arrays by binding name and `Params` fields by name.

        Raises:
            Mismatch: The kernel broke a rule that holds whatever the numbers are.
            KernelError: The kernel is missing, does not compile, or never ends.
        """
        launch = self._prepare(file, values)
        result = self._interpret(launch, "numbers")
        hazard = _hazard(launch.file, result.findings)
        if hazard and self._strict:
            raise hazard
        outputs = launch.outputs_of(result, margins=self._strict)
        if self._bench.has_device and not hazard:
            on_device = launch.outputs_of(self._run(launch, launch.job("device")), margins=self._strict)
            _expect_agreement(launch, on_device, outputs)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def safety(self, file: str, *, guard_reads: bool = False, **values: Any) -> None:
        """Judge kernel `file` in the interpreter only: races, bounds, barriers, unwritten outputs.

        The arrays must leave the kernel something to write to every output.

        Args:
            file: Kernel file name.
            guard_reads: Reading past the end of an array fails too, even where no result shows
                it; for kernels in which what lies there could become part of one.
            values: Arrays by binding name and `Params` fields by name.

        Raises:
            Mismatch: A hazard was found, or part of an output was never written.
        """
        launch = self._prepare(file, values)
        result = self._interpret(launch, "safety")
        hazard = _hazard(launch.file, result.findings, guard_reads=guard_reads)
        if hazard:
            raise hazard
        launch.expect_written(result)

    def cost(self, file: str, **values: Any) -> tuple[Any, JobCost]:
        """Run kernel `file` in the interpreter and return its output and its counted work.

        No workgroup runs but those that are needed. Judge the output too: a kernel that does
        nothing costs nothing.

        Args:
            file: Kernel file name.
            values: Arrays by binding name and `Params` fields by name.
        """
        launch = self._prepare(file, values)
        result = self._interpret(launch, "cost")
        outputs = launch.outputs_of(result, margins=self._strict)
        assert result.cost is not None
        return (next(iter(outputs.values())) if len(outputs) == 1 else outputs), result.cost

    def _prepare(self, file: str, values: Mapping[str, Any]) -> PreparedLaunch:
        contract = self._contracts.get(file)
        if contract is None:
            raise KernelError(f"There is no kernel {file} in this stage.")
        source = self._sources.get(file)
        if source is None:
            raise KernelError(
                f"{file} is missing from the submission.",
                help="Hand in the kernel files beside the notebook, under their own names.",
            )
        if is_unwritten_kernel(source):
            raise Mismatch(f"{file} is not written yet.", help="Write the body of main.")
        return PreparedLaunch(contract, file, source, values)

    def _run(self, launch: PreparedLaunch, job: KernelJob) -> JobResult:
        if launch.file in self._bench.hung:
            raise self._bench.hung[launch.file]
        try:
            return self._bench.run(job, launch.buffers())
        except KernelTimeout as error:
            self._bench.hung[launch.file] = error
            raise

    def _interpret(self, launch: PreparedLaunch, purpose: Purpose) -> JobResult:
        job = launch.job("interpret", purpose=purpose, detect=purpose != "cost")
        result = self._run(launch, job)
        self._evidence.launches.append(
            Launch(
                launch.file,
                launch.arrays,
                launch.params,
                launch.evidence(result),
                hazard_kinds(result),
                hazard_places(result),
                result.workgroup_size,
                result.cost,
                purpose,
            )
        )
        return result


def hazard_kinds(result: JobResult) -> tuple[str, ...]:
    """Return the kind of each finding, sorted: how many races there are tells missing barriers apart."""
    return tuple(sorted(finding.kind for finding in result.findings))


def hazard_places(result: JobResult) -> tuple[str, ...]:
    """Return which elements and how many invocations each finding speaks of, without lines or names."""
    places = []
    for finding in result.findings:
        text = _LEARNERS_TEXT.sub("", finding.message.replace(finding.name or "\0", ""))
        if finding.kind != "race":
            # Who strays past the end depends on the workgroup size; where it strays does not.
            text = _INVOCATION.sub("", text)
        places.append(" ".join([finding.kind, *_PLACE.findall(text)]))
    return tuple(sorted(places))


def interpret_here(
    launch: PreparedLaunch, purpose: Purpose
) -> tuple[dict[str, np.ndarray], tuple[str, ...], tuple[str, ...], JobCost | None]:
    """Run our own kernel text in this process; learners' text goes to the worker."""
    job = launch.job("interpret", purpose=purpose, detect=purpose != "cost", repeats=1)
    result = run_interpreted(job, launch.buffers())
    return launch.evidence(result), hazard_kinds(result), hazard_places(result), result.cost


def _hazard(file: str, findings: list[JobFinding], *, guard_reads: bool = False) -> Mismatch | None:
    """Return the first of the findings that make a kernel unsafe."""
    for finding in findings:
        if finding.hard or (guard_reads and finding.kind == "out-of-bounds-read"):
            return Mismatch(f"{file}, line {finding.line}: {finding.message}")
    return None


def _expect_agreement(
    launch: PreparedLaunch, on_device: Mapping[str, np.ndarray], interpreted: Mapping[str, np.ndarray]
) -> None:
    """Two devices must agree up to rounding; if not, the kernel relies on what WGSL leaves open."""
    for name, one in on_device.items():
        other = interpreted[name]
        if one.dtype.kind != "f":
            agree = np.array_equal(one, other)
        else:
            a, b = one.astype(np.float64), other.astype(np.float64)
            finite = np.isfinite(a) & np.isfinite(b)
            # WGSL's tanh may err by 1e-5: where the right answer is nearly zero, all of it may be error.
            allowed = 1e-3 * float(np.max(np.abs(a[finite]), initial=0.0)) + 1e-5 * launch.scale + 1e-30
            agree = np.array_equal(np.isfinite(a), np.isfinite(b)) and bool(
                np.all(np.abs(a[finite] - b[finite]) <= allowed)
            )
        if not agree:
            raise Mismatch(
                f"{launch.file} gives other numbers on another device with the same input.",
                help="It reads something undefined: memory past the end, workgroup memory that was not "
                "filled, or a value that was not written yet.",
            )
