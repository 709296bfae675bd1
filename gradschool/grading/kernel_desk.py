"""Kernels that a submission's Python launches: who runs them, and what is counted.

While grading, the course's own kernels answer, in a worker of their own: an exercise that drives a whole
model is judged for how it drives it, and each kernel in its own exercise. While a learner checks, the
learner's kernels answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import gradschool
from gradschool.errors import GradschoolError, KernelError, KernelTimeout
from gradschool.gpu import Kernel, device_log, to_device
from gradschool.gpu.arrays import DeviceArray
from gradschool.gpu.backend import Backend
from gradschool.gpu.device import interpreter_info
from gradschool.gpu.device_log import DeviceLog
from gradschool.gpu.interpreter_backend import InterpreterBackend
from gradschool.grading.fill import remove_markers
from gradschool.notebook.place import find_kernel
from gradschool.release.stubs import is_unwritten_kernel
from gradschool.sandbox import messages

FindKernel = Callable[[str], str]
"""Returns the text of the kernel file of this name."""

MAX_REQUESTS = 20_000
MAX_BYTES = 64 << 20
MAX_SECONDS = 60.0


class KernelDesk:
    """Serves the launches of one submission; arrays stay here and handles travel.

    Args:
        find: Where kernels come from.
        backend: Where they run; opened at the first request.
    """

    def __init__(self, find: FindKernel, backend: Callable[[], Backend]) -> None:
        self._find = find
        # One device for all calls: arrays of two cannot meet in a launch.
        self._backend = lru_cache(maxsize=1)(backend)
        self.begin()

    def begin(self) -> None:
        """A call starts; nothing is on the device."""
        self.log = DeviceLog()
        self._arrays: list[DeviceArray] = []
        self._n_requests = self._n_bytes = 0
        self._seconds = 0.0

    def serve(
        self, request: messages.DeviceRequest, arrays: list[np.ndarray]
    ) -> tuple[messages.OnDevice | messages.NotOnDevice, list[np.ndarray]]:
        """Do what the worker asks for; what a learner got wrong becomes a `NotOnDevice`."""
        started = time.monotonic()
        self._n_requests += 1
        with device_log() as log:
            try:
                self._refuse_too_much()
                return self._do(request, arrays)
            except KernelTimeout:
                # Its own message quotes a line, and the kernel is the course's.
                return messages.NotOnDevice("The kernel does not end with these sizes.", ""), []
            except KernelError as error:
                return messages.NotOnDevice(error.message, error.help), []
            finally:
                self.log.events += log.events
                self._seconds += time.monotonic() - started

    def _refuse_too_much(self) -> None:
        if self._n_requests > MAX_REQUESTS or self._seconds > MAX_SECONDS or self._n_bytes > MAX_BYTES:
            raise KernelError(
                f"One call used the device too much: {self._n_requests:,} requests, {self._n_bytes:,} bytes, "
                f"{self._seconds:.0f} s.",
                help="Does a loop launch kernels without end?",
            )

    def _do(
        self, request: messages.DeviceRequest, arrays: list[np.ndarray]
    ) -> tuple[messages.OnDevice, list[np.ndarray]]:
        if isinstance(request, messages.Upload):
            if len(arrays) != 1:
                raise KernelError("An upload is one array.")
            return messages.OnDevice([self._keep("", to_device(arrays[0], backend=self._backend()))]), []
        if isinstance(request, messages.Download):
            return messages.OnDevice([]), [self._array(request.handle).numpy()]
        given: dict[str, Any] = {
            name: self._array(handle).reshape(*shape) for name, (handle, shape) in request.arrays.items()
        }
        kernel = Kernel(self._find(request.file), request.file, backend=self._backend())
        clash = sorted(set(given) & set(request.params))
        if clash:
            raise KernelError(f"{request.file}: {clash[0]} was given twice.")
        found = kernel.launch({**given, **request.params}, on_device=True)
        return messages.OnDevice([self._keep(name, array) for name, array in found.items()]), []

    def _array(self, handle: int) -> DeviceArray:
        if not 0 <= handle < len(self._arrays):
            raise KernelError(
                "This array is not on the device any more.",
                help="What a call put on the device is freed when it returns.",
            )
        return self._arrays[handle]

    def _keep(self, name: str, array: DeviceArray) -> tuple[str, int, list[int], str]:
        self._n_bytes += array.nbytes
        self._arrays.append(array)
        return name, len(self._arrays) - 1, list(array.shape), array.dtype.name


class CourseDevice:
    """`gs` as the course's own functions see it while grading: its kernels, in this process.

    Everything else is the package itself.

    Args:
        find: Where kernels come from.
    """

    def __init__(self, find: FindKernel) -> None:
        self._find = find
        self._backend = InterpreterBackend(interpreter_info())

    def kernel(self, name: str) -> Kernel:
        """Return the course's kernel of this name."""
        file = name if name.endswith(".wgsl") else f"{name}.wgsl"
        return Kernel(self._find(file), file, backend=self._backend)

    def to_device(self, array: np.ndarray | DeviceArray) -> DeviceArray:
        """Copy an array to where the course's kernels run."""
        return to_device(array, backend=self._backend)

    def __getattr__(self, name: str) -> Any:
        return getattr(gradschool, name)


def course_kernels(shaders: Path) -> FindKernel:
    """Find reference kernels: of the stage whose folder is `shaders`, or of one beside it."""

    def find(file: str) -> str:
        return remove_markers(_read(_path(shaders, file)))

    return lru_cache(maxsize=256)(find)


def learners_kernels(folder: Path) -> FindKernel:
    """Find a learner's kernels: in a stage's `folder`, or in one beside it."""

    def find(file: str) -> str:
        path = _path(folder, file)
        text = _read(path)
        if is_unwritten_kernel(text):
            raise KernelError(f"{file} of {path.parent.name} is not written yet.", help="Write it first.")
        return text

    return find


def _path(folder: Path, file: str) -> Path:
    path = find_kernel(folder, file)
    if path is None:
        raise KernelError(f"There is no kernel {file}.", help="gs.kernel takes a kernel's file name.")
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise GradschoolError(f"{path.name} cannot be read: {error.strerror}.") from None
