"""Kernels in the built-in interpreter: the device of a machine that has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradschool.errors import KernelError
from gradschool.gpu.backend import MAX_BUFFER_BYTES, Buffer, Layout, padded
from gradschool.gpu.interpret import run_kernel

if TYPE_CHECKING:
    from gradschool.gpu.checked import CheckedKernel
    from gradschool.gpu.device import DeviceInfo


@dataclass(frozen=True)
class Program:
    """A checked kernel and the layout it runs with."""

    kernel: CheckedKernel
    layout: Layout


class InterpreterBackend:
    """The interpreter as a device; see `gradschool.gpu.backend.Backend`."""

    def __init__(self, info: DeviceInfo) -> None:
        self.info = info
        self.alive = True

    def compile(self, kernel: CheckedKernel, layout: Layout) -> Program:
        """Nothing left to do: checking the text compiled it."""
        return Program(kernel, layout)

    def create(self, n_bytes: int, data: np.ndarray | None = None) -> Buffer:
        """Allocate zeroed bytes, or a copy of `data` (uint8)."""
        if n_bytes > MAX_BUFFER_BYTES:
            raise KernelError(
                f"An array of {n_bytes:,} bytes does not fit: WebGPU allows {MAX_BUFFER_BYTES:,} in one binding.",
                help="Split the array, or use a smaller batch.",
            )
        buffer = Buffer(self, np.zeros(padded(n_bytes), np.uint8), n_bytes)
        if data is not None:
            self.write(buffer, data)
        return buffer

    def write(self, buffer: Buffer, data: np.ndarray) -> None:
        """Overwrite the buffer from its start with `data` (uint8)."""
        buffer.handle[: data.nbytes] = data

    def dispatch(
        self,
        program: Program,
        buffers: Mapping[int, Buffer],
        workgroups: tuple[int, int, int],
        *,
        poison: bool = False,
        max_steps: int | None = None,
    ) -> None:
        """Run a kernel over the buffers; it starts from unset workgroup memory anyway."""
        if 0 in workgroups:
            return
        from gradschool.wgsl import BufferIn

        given = {index: BufferIn(buffers[index].handle) for index, _ in program.layout}
        result = run_kernel(program.kernel, given, workgroups, max_steps=max_steps)
        for index, kind in program.layout:
            if kind == "read_write":
                buffers[index].handle[:] = result.buffers[index]

    def read(self, buffers: Sequence[Buffer]) -> list[np.ndarray]:
        """Copy buffers back as fresh uint8 arrays."""
        return [buffer.handle[: buffer.n_bytes].copy() for buffer in buffers]

    def free(self, buffer: Buffer) -> None:
        """Release a buffer; a second call does nothing."""
        buffer.forget()

    def close(self) -> None:
        """Release everything."""
        self.alive = False
