"""One launch of a kernel, laid out so that nothing stays hidden: poison, margins, canaries, and the checks after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradschool.contract import ArraySpec, Contract
from gradschool.errors import KernelError
from gradschool.gpu.jobs import JobBinding, JobResult, KernelJob
from gradschool.gpu.kernel import pack_params
from gradschool.grading.calls import Purpose
from gradschool.grading.expect import Mismatch

# Bit patterns, as unsigned 32-bit words, all absurd as integers.
POISON = 0xFFC0DEAD  # outputs before a run; NaN as f32
PAD = 0x7FC0BEEF  # past the end of inputs; NaN as f32
# Past the end of outputs. Finite as f32: an update in place adds a NaN from the inputs' padding to it,
# and NaN plus NaN could keep its bits.
CANARY = 0x45CAFADE
MARGIN_WORDS = 67  # room past the end; odd, so that it is no multiple of a workgroup


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

    @property
    def scale(self) -> float:
        """The largest finite number of its inputs."""
        floats = [array[np.isfinite(array)] for array in self.arrays.values() if array.dtype.kind == "f"]
        return max((float(np.max(np.abs(array), initial=0.0)) for array in floats), default=0.0)

    def _check_input(self, spec: ArraySpec) -> None:
        if spec.name not in self.arrays:
            raise KernelError(f"{self.file} needs the array {spec.name}.")
        array = self.arrays[spec.name]
        if array.dtype != np.dtype(spec.numpy_dtype):
            raise KernelError(f"{self.file}: {spec.name} is {array.dtype}; expected {spec.numpy_dtype}.")

    def job(
        self, mode: str, *, purpose: Purpose = "numbers", detect: bool = False, repeats: int = 2
    ) -> KernelJob:
        """Return the job for one `mode`.

        Where invocations are guarded, more workgroups run than are needed: one along x for numbers, one along
        every axis that has a size for safety, none where work is counted.
        """
        extent = self.contract.extent(self.params)
        covered = self.contract.unit == "invocations"
        return KernelJob(
            filename=self.file,
            source=self.source,
            bindings=self._bindings(),
            # The worker reads the workgroup size; a learner's text is not even parsed in this process.
            workgroups=(1, 1, 1) if covered else extent,
            invocations=extent if covered else None,
            spare_workgroups=self._spare(purpose) if covered else (0, 0, 0),
            repeats=repeats,
            # A buffer that the kernel updates in place would be other input the second time.
            fresh=any(spec.role != "output" for spec in self.contract.outputs),
            mode=mode,  # type: ignore[arg-type]
            detect=detect,
            count=purpose == "cost",
        )

    def _spare(self, purpose: Purpose) -> tuple[int, int, int]:
        if purpose == "cost":
            return 0, 0, 0
        axes = (*self.contract.axes, "1", "1")
        y, z = (int(purpose == "safety" and axis != "1") for axis in axes[1:3])
        return 1, y, z

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

    def outputs_of(self, result: JobResult, *, margins: bool = True) -> dict[str, np.ndarray]:
        """Return the outputs of the first run after every rule about bytes was checked.

        Args:
            result: What the launch did.
            margins: Whether a store past the end of an array counts.
        """
        before = self.buffers()
        for after in result.buffers_after:
            for spec in self.contract.arrays:
                self._check_bytes(spec, before[spec.binding], after.get(spec.binding), margins)
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

    def _check_bytes(
        self, spec: ArraySpec, before: np.ndarray, after: np.ndarray | None, margins: bool
    ) -> None:
        if after is None:
            return
        n_bytes = self._n_bytes(spec)
        margin = -(-n_bytes // 4) * 4
        if spec.role == "input":
            if not np.array_equal(before, after):
                raise Mismatch(f"{self.file} changed its input {spec.name}.")
            return
        touched = np.flatnonzero(before[margin:] != after[margin:])
        if margins and touched.size:
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
