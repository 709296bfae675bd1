"""Kernels on a real or software device, through wgpu."""

from __future__ import annotations

import contextlib
import gc
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradschool.errors import DeviceError, KernelError
from gradschool.gpu import naga
from gradschool.gpu.backend import MAX_BUFFER_BYTES, Buffer, Layout, padded
from gradschool.gpu.poison import POISON_LAYOUT, POISON_WGSL, POISON_WORKGROUPS

if TYPE_CHECKING:
    from gradschool.gpu.checked import CheckedKernel
    from gradschool.gpu.device import DeviceInfo

PROGRAMS_KEPT = 256

# WebGPU's names and flags; wgpu's own enums would import it where it may be missing.
_BUFFER_TYPE = {"uniform": "uniform", "read": "read-only-storage", "read_write": "storage"}
_COMPUTE, _MAP_READ, _COPY_SRC, _COPY_DST, _UNIFORM, _STORAGE = 4, 1, 4, 8, 64, 128
_USAGE = _STORAGE | _UNIFORM | _COPY_SRC | _COPY_DST


@dataclass(frozen=True)
class Program:
    """A compiled kernel and the layout it was compiled for."""

    filename: str
    layout: Layout
    pipeline: Any
    group_layout: Any


class WgpuBackend:
    """A device opened through wgpu; see `gradschool.gpu.backend.Backend`."""

    def __init__(self, device: Any, info: DeviceInfo) -> None:
        self.info = info
        self.alive = True
        self._device: Any = device
        self._queue: Any = device.queue
        self._programs: OrderedDict[tuple[str, str, Layout], Program] = OrderedDict()
        self._layouts: dict[Layout, tuple[Any, Any]] = {}
        self._poison: tuple[Any, Any] | None = None

    def compile(self, kernel: CheckedKernel, layout: Layout) -> Program:
        """Compile once; the same text and layout again cost nothing."""
        key = (kernel.source, kernel.entry, layout)
        program = self._programs.get(key)
        if program is None:
            program = self._compile(kernel, layout)
            self._programs[key] = program
            if len(self._programs) > PROGRAMS_KEPT:
                self._programs.popitem(last=False)
        else:
            self._programs.move_to_end(key)
        return program

    def _compile(self, kernel: CheckedKernel, layout: Layout) -> Program:
        group_layout, pipeline_layout = self._layout(layout)
        try:
            module = self._device.create_shader_module(
                label=kernel.filename, code=naga.accepted(kernel.source)
            )
            pipeline = self._device.create_compute_pipeline(
                label=kernel.filename,
                layout=pipeline_layout,
                compute={"module": module, "entry_point": kernel.entry},
            )
        except Exception as error:
            if type(error).__name__ in ("GPUValidationError", "GPUPipelineError"):
                raise naga.compile_error(str(error), kernel.filename) from None
            raise DeviceError(f"The device failed while compiling {kernel.filename}: {error}") from error
        return Program(kernel.filename, layout, pipeline, group_layout)

    def _layout(self, layout: Layout) -> tuple[Any, Any]:
        if layout not in self._layouts:
            entries = [
                {"binding": index, "visibility": _COMPUTE, "buffer": {"type": _BUFFER_TYPE[kind]}}
                for index, kind in layout
            ]
            group_layout = self._device.create_bind_group_layout(entries=entries)
            pipeline_layout = self._device.create_pipeline_layout(bind_group_layouts=[group_layout])
            self._layouts[layout] = (group_layout, pipeline_layout)
        return self._layouts[layout]

    def create(self, n_bytes: int, data: np.ndarray | None = None) -> Buffer:
        """Allocate zeroed bytes, or a copy of `data` (uint8)."""
        if n_bytes > MAX_BUFFER_BYTES:
            raise KernelError(
                f"An array of {n_bytes:,} bytes does not fit: WebGPU allows {MAX_BUFFER_BYTES:,} in one binding.",
                help="Split the array, or use a smaller batch.",
            )
        with self._reported("allocating an array"):
            handle = self._device.create_buffer(size=padded(n_bytes), usage=_USAGE)
        buffer = Buffer(self, handle, n_bytes)
        if data is not None:
            self.write(buffer, data)
        return buffer

    def write(self, buffer: Buffer, data: np.ndarray) -> None:
        """Overwrite the buffer from its start with `data` (uint8)."""
        whole = data.nbytes // 4 * 4
        with self._reported("copying an array to the device"):
            if whole:
                self._queue.write_buffer(buffer.handle, 0, data[:whole])
            if data.nbytes > whole:  # f16 and odd sizes: copies are in words of four bytes
                tail = np.zeros(4, np.uint8)
                tail[: data.nbytes - whole] = data[whole:]
                self._queue.write_buffer(buffer.handle, whole, tail)

    def dispatch(
        self,
        program: Program,
        buffers: Mapping[int, Buffer],
        workgroups: tuple[int, int, int],
        *,
        poison: bool = False,
        max_steps: int | None = None,
    ) -> None:
        """Run a compiled kernel over the buffers; `max_steps` means nothing here."""
        if 0 in workgroups:
            return
        entries = [
            {"binding": index, "resource": {"buffer": buffers[index].handle, "offset": 0}}
            for index, _ in program.layout
        ]
        with self._reported(f"running {program.filename}"):
            group = self._device.create_bind_group(layout=program.group_layout, entries=entries)
            encoder = self._device.create_command_encoder()
            if poison:
                self._encode(encoder, *self._poison_program(), POISON_WORKGROUPS[self.info.kind])
            self._encode(encoder, program.pipeline, group, workgroups)
            self._queue.submit([encoder.finish()])

    @staticmethod
    def _encode(encoder: Any, pipeline: Any, group: Any, workgroups: tuple[int, int, int]) -> None:
        run = encoder.begin_compute_pass()
        run.set_pipeline(pipeline)
        run.set_bind_group(0, group)
        run.dispatch_workgroups(*workgroups)
        run.end()

    def _poison_program(self) -> tuple[Any, Any]:
        if self._poison is None:
            group_layout, pipeline_layout = self._layout(POISON_LAYOUT)
            module = self._device.create_shader_module(label="poison.wgsl", code=POISON_WGSL)
            pipeline = self._device.create_compute_pipeline(
                layout=pipeline_layout, compute={"module": module, "entry_point": "main"}
            )
            sink = self._device.create_buffer(size=256, usage=_USAGE)
            group = self._device.create_bind_group(
                layout=group_layout, entries=[{"binding": 0, "resource": {"buffer": sink, "offset": 0}}]
            )
            self._poison = (pipeline, group)
        return self._poison

    def read(self, buffers: Sequence[Buffer]) -> list[np.ndarray]:
        """Copy buffers back as fresh uint8 arrays, all in one submit."""
        handles = [buffer.handle for buffer in buffers]
        sizes = [padded(buffer.n_bytes) for buffer in buffers]
        if not handles:
            return []
        with self._reported("reading results"):
            staging = self._device.create_buffer(size=sum(sizes), usage=_COPY_DST | _MAP_READ)
            encoder = self._device.create_command_encoder()
            offset = 0
            for handle, size in zip(handles, sizes, strict=True):
                encoder.copy_buffer_to_buffer(handle, 0, staging, offset, size)
                offset += size
            self._queue.submit([encoder.finish()])
            staging.map_sync("READ")
            mapped = np.frombuffer(staging.read_mapped(copy=False), np.uint8)
            starts = np.cumsum([0, *sizes])
            results = [
                mapped[start : start + buffer.n_bytes].copy()
                for start, buffer in zip(starts, buffers, strict=False)
            ]
            del mapped
            staging.unmap()
            staging.destroy()
        return results

    def free(self, buffer: Buffer) -> None:
        """Release a buffer; a second call does nothing."""
        handle = buffer.forget()
        if handle is not None and self.alive:
            handle.destroy()

    def close(self) -> None:
        """Release the device and everything on it."""
        if not self.alive:
            return
        self.alive = False
        self._programs.clear()
        self._layouts.clear()
        self._poison = None
        self._device.destroy()
        self._device = self._queue = None
        # wgpu's objects hold native memory that only the collector gives back.
        gc.collect()

    @contextlib.contextmanager
    def _reported(self, doing: str) -> Iterator[None]:
        """Turn wgpu's errors into ours."""
        if not self.alive:
            raise DeviceError(
                "The device was closed.", help="Open another with gradschool.gpu.open_backend()."
            )
        try:
            yield
        except (KernelError, DeviceError):
            raise
        except Exception as error:
            kind = type(error).__name__
            if kind == "GPUOutOfMemoryError":
                raise DeviceError(
                    f"The device ran out of memory while {doing}.", help="Use a smaller batch."
                ) from None
            if kind == "GPUValidationError":
                raise KernelError(f"The device refused {doing}: {naga.plain(str(error))}") from None
            raise DeviceError(f"The device failed while {doing}: {error}") from error
