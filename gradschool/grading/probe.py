"""The `kernel` fixture: a learner's WGSL under conditions that hide nothing.

Every launch gets outputs that hold poison, room past the end of every buffer that nothing
may touch, NaN after the inputs, one workgroup more than needed, and a second run on the
same buffers. The interpreter judges each launch as well: a race, a barrier in divergent
control flow or a write out of bounds fails on every machine in the same words, whether or
not the device at hand shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradschool.contract import ArraySpec, Contract
from gradschool.errors import KernelError, KernelTimeout
from gradschool.gpu.jobs import JobBinding, JobFinding, JobResult, KernelJob, run_interpreted
from gradschool.gpu.kernel import pack_params
from gradschool.grading.calls import Evidence, Launch
from gradschool.grading.expect import Mismatch
from gradschool.release.stubs import is_unwritten_kernel

# Bit patterns, as unsigned 32-bit words, all absurd as integers.
POISON = 0xFFC0DEAD  # outputs before a run; NaN as f32
PAD = 0x7FC0BEEF  # past the end of inputs; NaN as f32
# Past the end of outputs. Finite as f32: an update in place adds a NaN from the inputs' padding to it,
# and NaN plus NaN could keep its bits.
CANARY = 0x45CAFADE
MARGIN_WORDS = 67  # room past the end; odd, so that it is no multiple of a workgroup

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
    """

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        sources: Mapping[str, str],
        bench: KernelBench,
        evidence: Evidence,
    ) -> None:
        self._contracts = contracts
        self._sources = sources
        self._bench = bench
        self._evidence = evidence

    def __call__(self, file: str, *, on_device_only: bool = False, **values: Any) -> Any:
        """Run kernel `file` and return its output array, or a dict when it has several.

        Args:
            file: Kernel file name, such as `softmax_forward.wgsl`.
            on_device_only: Skip the interpreter's verdict; for sizes it would be slow at.
            values: Arrays by binding name and `Params` fields by name.

        Raises:
            Mismatch: The kernel broke a rule that holds whatever the numbers are.
            KernelError: The kernel is missing, does not compile, or never ends.
        """
        launch = self._prepare(file, values)
        outputs = None
        if not on_device_only or not self._bench.has_device:
            outputs = self._interpret(launch, detect=not on_device_only)
        if self._bench.has_device:
            on_device = launch.outputs_of(self._run(launch, launch.job("device")))
            if outputs is not None:
                _expect_agreement(launch, on_device, outputs)
            outputs = on_device
        assert outputs is not None
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
        self._interpret(launch, detect=True, guard_reads=guard_reads, must_write=True)

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

    def _interpret(
        self,
        launch: PreparedLaunch,
        *,
        detect: bool,
        guard_reads: bool = False,
        must_write: bool = False,
    ) -> dict[str, np.ndarray]:
        result = self._run(launch, launch.job("interpret", detect=detect))
        outputs, hazards, places = launch.evidence(result), hazard_kinds(result), hazard_places(result)
        self._evidence.launches.append(
            Launch(
                launch.file,
                launch.arrays,
                launch.params,
                outputs,
                hazards,
                places,
                result.workgroup_size,
            )
        )
        _expect_no_hazard(launch.file, result.findings, guard_reads)
        if must_write:
            launch.expect_written(result)
        return launch.outputs_of(result)


class PreparedLaunch:
    """One launch: concrete sizes, buffers with margins, and the checks after it."""

    def __init__(self, contract: Contract, file: str, source: str, values: Mapping[str, Any]) -> None:
        self.contract = contract
        self.file = file
        self.source = source
        names = {spec.name for spec in contract.inputs}
        self.arrays = {name: np.ascontiguousarray(values[name]) for name in names if name in values}
        given = {name: value for name, value in values.items() if name not in names}
        for spec in contract.inputs:
            self._check_input(spec)
        shapes = {name: array.shape for name, array in self.arrays.items()}
        self.params = contract.infer_params(shapes, given)

    def _check_input(self, spec: ArraySpec) -> None:
        if spec.name not in self.arrays:
            raise KernelError(f"{self.file} needs the array {spec.name}.")
        array = self.arrays[spec.name]
        if array.dtype != np.dtype(spec.numpy_dtype):
            raise KernelError(f"{self.file}: {spec.name} is {array.dtype}; expected {spec.numpy_dtype}.")

    def job(self, mode: str, *, detect: bool = False, repeats: int = 2) -> KernelJob:
        """Return the job for one `mode`; one workgroup more than needed where invocations are guarded."""
        extent = self.contract.extent(self.params)
        covered = self.contract.unit == "invocations"
        return KernelJob(
            filename=self.file,
            source=self.source,
            bindings=self._bindings(),
            # The worker reads the workgroup size; a learner's text is not even parsed in this process.
            workgroups=(1, 1, 1) if covered else extent,
            invocations=extent if covered else None,
            spare_workgroups=int(covered),
            repeats=repeats,
            # A buffer that the kernel updates in place would be other input the second time.
            fresh=any(spec.role != "output" for spec in self.contract.outputs),
            mode=mode,  # type: ignore[arg-type]
            detect=detect,
        )

    def _bindings(self) -> list[JobBinding]:
        bindings = []
        if self.contract.params_binding is not None:
            size = len(self._uniform())
            bindings.append(JobBinding(self.contract.params_binding, "uniform", size, False, "params"))
        for spec in self.contract.arrays:
            kind = "read" if spec.role == "input" else "read_write"
            bindings.append(
                JobBinding(spec.binding, kind, self._n_bytes(spec), spec.role == "output", spec.name)
            )
        return bindings

    def _uniform(self) -> np.ndarray:
        return pack_params(self.contract, self.params)

    def _n_bytes(self, spec: ArraySpec) -> int:
        n_elements = int(np.prod(spec.shape(self.params), dtype=np.int64))
        return n_elements * np.dtype(spec.numpy_dtype).itemsize

    def buffers(self) -> dict[int, np.ndarray]:
        """Return the bytes of each binding before the first run."""
        buffers: dict[int, np.ndarray] = {}
        if self.contract.params_binding is not None:
            buffers[self.contract.params_binding] = self._uniform()
        for spec in self.contract.arrays:
            n_bytes = self._n_bytes(spec)
            n_words = -(-n_bytes // 4)
            words = np.full(n_words + MARGIN_WORDS, PAD if spec.role == "input" else CANARY, np.uint32)
            content = words.view(np.uint8)
            if spec.role == "output":
                words[:n_words] = POISON
            elif spec.role == "zeroed":
                content[:n_bytes] = 0
            else:
                content[:n_bytes] = self.arrays[spec.name].reshape(-1).view(np.uint8)
            buffers[spec.binding] = content
        return buffers

    def raw_outputs(self, result: JobResult, repeat: int) -> dict[str, np.ndarray]:
        """Return each output as an array, unchecked."""
        after = result.buffers_after[repeat]
        outputs = {}
        for spec in self.contract.outputs:
            data = np.ascontiguousarray(after[spec.binding][: self._n_bytes(spec)])
            outputs[spec.name] = data.view(spec.numpy_dtype).reshape(spec.shape(self.params))
        return outputs

    def evidence(self, result: JobResult) -> dict[str, np.ndarray]:
        """Return what tells one mistake from another: the outputs, and which words past their ends changed."""
        found = self.raw_outputs(result, 0)
        for spec in self.contract.outputs:
            margin = result.buffers_after[0][spec.binding][-4 * MARGIN_WORDS :]
            found[f"past the end of {spec.name}"] = margin.view(np.uint32) != CANARY
        return found

    def outputs_of(self, result: JobResult) -> dict[str, np.ndarray]:
        """Return the outputs of the first run after every rule about bytes was checked."""
        before = self.buffers()
        for after in result.buffers_after:
            for spec in self.contract.arrays:
                self._check_bytes(spec, before[spec.binding], after.get(spec.binding))
        first, second = self.raw_outputs(result, 0), self.raw_outputs(result, -1)
        for name, array in first.items():
            if not np.array_equal(array.view(np.uint8), second[name].view(np.uint8)):
                self._check_repeat(name, array, second[name])
        return first

    def expect_written(self, result: JobResult) -> None:
        """Refuse a kernel that never stores to a buffer it is handed to update.

        Such a buffer holds no poison that would tell.
        """
        for spec in self.contract.outputs:
            # A buffer the kernel never names is not among those it wrote.
            if not np.any(result.written.get(spec.binding, False)):
                raise Mismatch(
                    f"{self.file} wrote nothing to {spec.name}.", help=f"Assign to {spec.name}[...]."
                )

    def _check_bytes(self, spec: ArraySpec, before: np.ndarray, after: np.ndarray | None) -> None:
        if after is None:
            return
        n_bytes = self._n_bytes(spec)
        margin = -(-n_bytes // 4) * 4
        if spec.role == "input":
            if not np.array_equal(before, after):
                raise Mismatch(f"{self.file} changed its input {spec.name}.")
            return
        touched = np.flatnonzero(before[margin:] != after[margin:])
        if touched.size:
            raise Mismatch(
                f"{self.file} wrote past the end of {spec.name}: {spec.name} has {n_bytes // 4} values here, "
                f"and the buffer is longer.",
                help="Guard the store with the sizes in params: more invocations run than there are elements.",
            )
        if spec.role == "output":
            words = after[:margin].view(np.uint32)
            n_left = int(np.count_nonzero(words == POISON))
            if n_left == words.size:
                raise Mismatch(
                    f"{self.file} wrote nothing to {spec.name}.", help=f"Assign to {spec.name}[...]."
                )
            if n_left:
                raise Mismatch(
                    f"{self.file} left {n_left} of {words.size} values of {spec.name} unwritten.",
                    help="Every element is written on every run, whatever its value.",
                )

    def _check_repeat(self, name: str, first: np.ndarray, second: np.ndarray) -> None:
        """A second run on the same buffers gives the same result, up to the order of float atomics."""
        if first.dtype.kind == "f" and np.allclose(first, second, rtol=1e-4, atol=1e-6, equal_nan=True):
            return
        raise Mismatch(
            f"{self.file} gives another {name} when it runs again on the same buffers.",
            help=f"Does it add to what {name} held before, instead of assigning?",
        )


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
    launch: PreparedLaunch,
) -> tuple[dict[str, np.ndarray], tuple[str, ...], tuple[str, ...]]:
    """Run our own kernel text in this process; learners' text goes to the worker."""
    result = run_interpreted(launch.job("interpret", detect=True, repeats=1), launch.buffers())
    return launch.evidence(result), hazard_kinds(result), hazard_places(result)


def _expect_no_hazard(file: str, findings: list[JobFinding], guard_reads: bool) -> None:
    for finding in findings:
        if finding.hard or (guard_reads and finding.kind == "out-of-bounds-read"):
            raise Mismatch(f"{file}, line {finding.line}: {finding.message}")


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
            scale = float(np.max(np.abs(a[finite]), initial=0.0))
            agree = np.array_equal(np.isfinite(a), np.isfinite(b)) and bool(
                np.all(np.abs(a[finite] - b[finite]) <= 1e-3 * scale + 1e-30)
            )
        if not agree:
            raise Mismatch(
                f"{launch.file} gives other numbers on another device with the same input.",
                help="It reads something undefined: memory past the end, workgroup memory that was not "
                "filled, or a value that was not written yet.",
            )
