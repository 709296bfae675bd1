"""Are tolerances tight enough? The reference, answering a little coarsely, must lose points.

float32 answers are off by as much as rounding to 17 bits may be off, which is 128 times float32's own rounding;
float64 answers by as much as rounding to 36 bits: 7e-12 of each number, where right answers differ by 1e-15 to
1e-14 of the largest. Arithmetic in the next smaller type (24 and 11 bits) errs far more. What 17 or 36 bits
hold exactly stays as it is.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from gradschool.errors import PackError
from gradschool.gpu.jobs import JobResult, KernelJob
from gradschool.gpu.worker_client import GpuWorker
from gradschool.grading.functions import WorkerFunctions
from gradschool.grading.options import GradeOptions
from gradschool.grading.session import GradingSession
from gradschool.grading.submission_files import SubmissionFiles
from gradschool.pack import Pack, Stage
from gradschool.sandbox import CallResult

_BITS = {np.dtype(np.float64): 36, np.dtype(np.float32): 17}


def load_imprecise(stage: Stage) -> dict[str, str]:
    """Return the exercises whose tests cannot notice rounding, and why, from `graders/NN/imprecise.toml`.

    Raises:
        PackError: The file is not a table of sentences by exercise, or names none of the stage.
    """
    path = stage.graders / "imprecise.toml"
    if not path.exists():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackError(f"{path} is not TOML: {error}.") from error
    known = {exercise.id for exercise in stage.exercises}
    for name, why in found.items():
        if name not in known or not isinstance(why, str) or len(why.split()) < 3:
            raise PackError(f"{path}: {name} is no exercise of {stage.id}, or has no reason.")
    return found


class Rounding:
    """Rounds what one exercise answers, and notes whether there was anything to round."""

    def __init__(self) -> None:
        self.exercise = ""
        self.any_floats = False

    def value(self, value: Any) -> Any:
        """Round every float in a value."""
        if isinstance(value, np.ndarray | np.generic) and value.dtype in _BITS:
            self.any_floats |= value.size > 0
            rounded = coarse(np.asarray(value), _BITS[value.dtype])
            return rounded if isinstance(value, np.ndarray) else rounded[()]
        if type(value) is float:
            return float(self.value(np.float64(value)))
        if isinstance(value, tuple | list):
            return type(value)(self.value(item) for item in value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return value


def coarse(array: np.ndarray, n_bits: int) -> np.ndarray:
    """Put every number that `n_bits` significant bits do not hold off by half a unit in the last of them.

    That is the most that rounding errs; towards the side it would go, so that signs vary.
    """
    with np.errstate(invalid="ignore"):
        mantissa, exponent = np.frexp(array)
        scaled = np.ldexp(mantissa, n_bits)
        moved = np.ldexp(scaled + 0.5 * np.sign(np.round(scaled) - scaled), exponent - n_bits)
    return np.where(np.isfinite(array), moved, array).astype(array.dtype)


class CoarseFunctions(WorkerFunctions):
    """A submission's functions, of which one answers coarsely."""

    rounding: Rounding

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CallResult:
        """Call the function `name`."""
        result = super().call(name, args, kwargs)
        if name != self.rounding.exercise:
            return result
        return msgspec.structs.replace(result, value=self.rounding.value(result.value))


class CoarseGpu(GpuWorker):
    """A worker whose kernels leave coarse floats in the buffers they wrote."""

    rounding: Rounding
    floats: Mapping[str, frozenset[int]]

    def run(self, job: KernelJob, buffers: Mapping[int, np.ndarray], timeout_s: float = 10.0) -> JobResult:
        """Run one job, see `GpuWorker.run`."""
        result = super().run(job, dict(buffers), timeout_s)
        if job.filename == self.rounding.exercise:
            sizes = {binding.index: binding.logical_bytes for binding in job.bindings}
            for after in result.buffers_after:
                for index in self.floats[job.filename]:
                    whole = (sizes[index] or 0) // 4 * 4
                    words = after[index].copy()
                    words[:whole] = self.rounding.value(words[:whole].view(np.float32)).view(np.uint8)
                    after[index] = words
        return result


class CoarseSession(GradingSession):
    """Grades references whose answers are rounded, one exercise at a time."""

    def __init__(self, pack: Pack, options: GradeOptions) -> None:
        super().__init__(pack, options=options)
        self._rounding = Rounding()
        self._gpu = gpu = CoarseGpu(device=options.device)
        gpu.rounding = self._rounding
        gpu.floats = {
            file: frozenset(spec.binding for spec in contract.outputs if spec.dtype == "f32")
            for stage in pack.stages
            for file, contract in stage.contracts.items()
        }

    def _functions(
        self, stack: contextlib.ExitStack, stage: Stage, files: SubmissionFiles, problems: list[str]
    ) -> CoarseFunctions | None:
        found = super()._functions(stack, stage, files, problems)
        if found is None:
            return None
        functions = CoarseFunctions.__new__(CoarseFunctions)
        functions.__dict__.update(found.__dict__, rounding=self._rounding)
        return functions

    def tolerates(self, stage: Stage, files: SubmissionFiles, exercise: str) -> bool:
        """Tell whether `exercise` answers with floats and earns full marks with coarse ones."""
        self._rounding.exercise, self._rounding.any_floats = exercise, False
        record = self.grade_files("coarse", stage, files, only=[exercise]).exercises[0]
        return self._rounding.any_floats and record.score == record.max_score
