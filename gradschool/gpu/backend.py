"""What a device must be able to do, real or interpreted: five verbs over byte buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from gradschool.gpu.checked import CheckedKernel
    from gradschool.gpu.device import DeviceInfo

BindingKind = Literal["uniform", "read", "read_write"]
Layout = tuple[tuple[int, BindingKind], ...]
"""`(binding index, kind)` of every binding of group 0, sorted: stated, never guessed from the text."""

MAX_BUFFER_BYTES = 128 << 20
"""WebGPU's default limit for one storage binding."""

BUFFER_GRAIN = 16
"""Buffers are rounded up to a whole vec4, so that a kernel may view a small array as `array<vec4f>`."""


class Buffer:
    """Bytes on a device.

    Using a destroyed buffer ends the whole process on some drivers, so `handle` is
    guarded here.

    Attributes:
        n_bytes: Bytes the caller asked for; the device may hold a few more.
    """

    def __init__(self, backend: Backend, handle: Any, n_bytes: int) -> None:
        self.backend = backend
        self.n_bytes = n_bytes
        self._handle = handle

    @property
    def alive(self) -> bool:
        """Whether the bytes still exist."""
        return self._handle is not None and self.backend.alive

    @property
    def handle(self) -> Any:
        """The backend's own object.

        Raises:
            DeviceError: The buffer was freed, or its device closed.
        """
        if not self.alive:
            from gradschool.errors import DeviceError

            raise DeviceError(
                "This array's memory on the device was freed.",
                help="Make a new one with gradschool.to_device(array).",
            )
        return self._handle

    def forget(self) -> Any:
        """Give the backend's object up and return it."""
        handle, self._handle = self._handle, None
        return handle


class Backend(Protocol):
    """A device that runs kernels."""

    info: DeviceInfo
    alive: bool

    def compile(self, kernel: CheckedKernel, layout: Layout) -> Any:
        """Compile once; the same text and layout again cost nothing.

        Raises:
            KernelCompileError: The device's own compiler refuses the text.
        """
        ...

    def create(self, n_bytes: int, data: np.ndarray | None = None) -> Buffer:
        """Allocate zeroed bytes, or a copy of `data` (uint8)."""
        ...

    def write(self, buffer: Buffer, data: np.ndarray) -> None:
        """Overwrite the buffer from its start with `data` (uint8)."""
        ...

    def dispatch(
        self,
        program: Any,
        buffers: Mapping[int, Buffer],
        workgroups: tuple[int, int, int],
        *,
        poison: bool = False,
        max_steps: int | None = None,
    ) -> None:
        """Run a compiled kernel over the buffers.

        Args:
            program: What `compile` returned.
            buffers: One per binding of the layout.
            workgroups: How many to launch per axis.
            poison: Fill the device's workgroup memory with garbage first.
            max_steps: Bound on the interpreter's work; a real device has none.
        """
        ...

    def read(self, buffers: Sequence[Buffer]) -> list[np.ndarray]:
        """Copy buffers back as fresh uint8 arrays, all in one go."""
        ...

    def free(self, buffer: Buffer) -> None:
        """Release a buffer; a second call does nothing."""
        ...

    def close(self) -> None:
        """Release the device and everything on it."""
        ...


def padded(n_bytes: int) -> int:
    """Round a size up to what a device allocates; never zero."""
    return max(BUFFER_GRAIN, -(-n_bytes // BUFFER_GRAIN) * BUFFER_GRAIN)
