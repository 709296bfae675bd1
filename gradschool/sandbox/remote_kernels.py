"""Kernels inside the worker: a learner's Python launches them, the grader runs them.

The worker never opens a device. `gs.kernel` and `gs.to_device` look the same as in a notebook; behind
them each launch is a message, the arrays stay with the grader, and the worker holds handles.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradschool.errors import KernelError
from gradschool.sandbox.inert import Inert
from gradschool.sandbox.messages import (
    DeviceRequest,
    Download,
    LaunchKernel,
    NotOnDevice,
    OnDevice,
    Request,
    ToWorker,
    Upload,
)
from gradschool.sandbox.wire import DTYPES, Channel


class RemoteDevice:
    """The grader's kernels, reachable while a call runs.

    Args:
        channel: The connection to the grader.
    """

    def __init__(self, channel: Channel[ToWorker]) -> None:
        self._channel = channel
        self.in_call = False

    def kernel(self, name: str) -> RemoteKernel:
        """Stand-in for `gs.kernel`."""
        return RemoteKernel(self, name if name.endswith(".wgsl") else f"{name}.wgsl")

    def to_device(self, array: Any) -> Any:
        """Stand-in for `gs.to_device`; inert while cells are taken in."""
        if isinstance(array, RemoteArray):
            return array
        return self.upload(np.asarray(array)) if self.in_call else Inert()

    def upload(self, array: np.ndarray) -> RemoteArray:
        """Hand an array over."""
        if array.dtype.name not in DTYPES:
            raise KernelError(f"An array of {array.dtype} cannot go to the device.")
        ((_, found),) = self.ask(Upload(), [array])
        return found

    def ask(
        self, request: DeviceRequest, arrays: list[np.ndarray] | None = None
    ) -> list[tuple[str, RemoteArray]]:
        """Have the grader do something; return what is on the device now."""
        reply, _ = self._exchange(request, arrays or [])
        return [
            (name, RemoteArray(self, handle, tuple(shape), np.dtype(dtype)))
            for name, handle, shape, dtype in reply.arrays
        ]

    def fetch(self, handle: int) -> np.ndarray:
        """Copy an array back."""
        _, (array,) = self._exchange(Download(handle), [])
        return array

    def _exchange(
        self, request: DeviceRequest, arrays: list[np.ndarray]
    ) -> tuple[OnDevice, list[np.ndarray]]:
        reply, received = self.exchange(request, arrays)
        if isinstance(reply, NotOnDevice):
            raise KernelError(reply.message, help=reply.help)
        if not isinstance(reply, OnDevice):
            raise KernelError("The grader answered something else.")
        return reply, received

    def exchange(self, request: Request, arrays: list[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
        """Ask the grader and wait for its answer; only inside a call does it listen."""
        if not self.in_call:
            raise KernelError("Kernels run only inside a function that is being graded.")
        self._channel.send(request, arrays)
        return self._channel.receive()


class RemoteKernel:
    """A kernel of the course by its file name; called like the one in a notebook."""

    def __init__(self, device: RemoteDevice, file: str) -> None:
        self._device = device
        self._file = file

    def __call__(self, *positional: Any, **values: Any) -> Any:
        """Launch it: arrays by the names of its bindings, numbers by the names of its params."""
        if not self._device.in_call:
            return Inert()
        if positional:
            raise KernelError(f"{self._file} takes its arrays by name.")
        arrays: dict[str, RemoteArray] = {}
        params: dict[str, int | float] = {}
        on_device = any(isinstance(value, RemoteArray) for value in values.values())
        for name, value in values.items():
            if isinstance(value, RemoteArray):
                arrays[name] = value
            elif (isinstance(value, np.ndarray) and value.ndim) or isinstance(value, list | tuple):
                arrays[name] = self._device.upload(np.asarray(value))
            else:
                params[name] = _number(value, name, self._file)
        places = {name: (array.handle, list(array.shape)) for name, array in arrays.items()}
        outputs = dict(self._device.ask(LaunchKernel(self._file, places, params)))
        found = outputs if on_device else {name: array.numpy() for name, array in outputs.items()}
        return next(iter(found.values())) if len(found) == 1 else found

    def __repr__(self) -> str:
        return f"<kernel {self._file}>"


class RemoteArray:
    """An array that the grader keeps; see `gradschool.gpu.DeviceArray`."""

    def __init__(self, device: RemoteDevice, handle: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._device = device
        self.handle = handle
        self.shape = shape
        self.dtype = dtype

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * self.dtype.itemsize

    def numpy(self) -> np.ndarray:
        """Copy it back."""
        return self._device.fetch(self.handle).reshape(self.shape)

    def reshape(self, *shape: int) -> RemoteArray:
        """The same memory under another shape."""
        try:
            # An array of no bytes, only to resolve a -1 and to refuse what does not fit.
            new = np.broadcast_to(np.empty((), np.bool_), (self.size,)).reshape(*shape).shape
        except ValueError:
            raise KernelError(f"An array of shape {self.shape} cannot be viewed as {shape}.") from None
        return RemoteArray(self._device, self.handle, new, self.dtype)

    def free(self) -> None:
        """Nothing: everything is freed when the call ends."""

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        """NumPy reads it like any array; each time is a copy from the device."""
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)  # type: ignore[call-overload]

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"


def _number(value: Any, name: str, file: str) -> int | float:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    raise KernelError(f"{file}: {name} is a {type(value).__name__}; expected an array or a number.")
