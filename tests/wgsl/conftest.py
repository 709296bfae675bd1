"""Runs a kernel in the interpreter and, where a driver exists, on wgpu."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradschool.wgsl import Module, RunResult, compile_wgsl


def _run(source: str, workgroups: tuple[int, ...] = (1,), **buffers: Any) -> RunResult:
    """Interpret a kernel; buffers are given as b0, b1, ..."""
    options = {k: buffers.pop(k) for k in ("detect", "max_steps", "cost") if k in buffers}
    numbered = {int(name[1:]): value for name, value in buffers.items()}
    return compile_wgsl(source).run(workgroups=workgroups, buffers=numbered, **options)


@pytest.fixture(scope="session")
def run() -> Callable[..., RunResult]:
    return _run


class Device:
    """The least of wgpu that runs one kernel on given bytes."""

    def __init__(self) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", "/tmp")
        import wgpu

        self.wgpu = wgpu
        adapter = wgpu.gpu.request_adapter_sync()
        self.has_f16 = "shader-f16" in adapter.features
        self.has_subgroups = "subgroup" in adapter.features
        wanted = [f for f in ("shader-f16", "subgroup") if f in adapter.features]
        self.device = adapter.request_device_sync(required_features=wanted)

    def run(
        self, source: str, module: Module, workgroups: tuple[int, ...], buffers: dict[int, np.ndarray]
    ) -> dict[int, np.ndarray]:
        """Contents of the writable buffers after the run."""
        wgpu, device = self.wgpu, self.device
        layout, entries, writable = [], [], {}
        for b in module.entry_points["main"].bindings:
            kind = (
                "uniform"
                if b.address_space == "uniform"
                else "read-only-storage"
                if b.access == "read"
                else "storage"
            )
            layout.append(
                {"binding": b.binding, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": kind}}
            )
            data = np.ascontiguousarray(buffers[b.binding]).reshape(-1).view(np.uint8)
            usage = wgpu.BufferUsage.UNIFORM if kind == "uniform" else wgpu.BufferUsage.STORAGE
            buffer = device.create_buffer_with_data(data=data, usage=usage | wgpu.BufferUsage.COPY_SRC)
            entries.append(
                {"binding": b.binding, "resource": {"buffer": buffer, "offset": 0, "size": data.nbytes}}
            )
            if b.access == "read_write":
                writable[b.binding] = buffer
        bind_layout = device.create_bind_group_layout(entries=layout)
        pipeline = device.create_compute_pipeline(
            layout=device.create_pipeline_layout(bind_group_layouts=[bind_layout]),
            compute={"module": device.create_shader_module(code=source), "entry_point": "main"},
        )
        encoder = device.create_command_encoder()
        computing = encoder.begin_compute_pass()
        computing.set_pipeline(pipeline)
        computing.set_bind_group(0, device.create_bind_group(layout=bind_layout, entries=entries))
        computing.dispatch_workgroups(*(*workgroups, 1, 1)[:3])
        computing.end()
        device.queue.submit([encoder.finish()])
        read: Any = device.queue.read_buffer
        return {k: np.frombuffer(read(b), np.uint8).copy() for k, b in writable.items()}


@pytest.fixture(scope="session")
def device(wgpu_device: Any) -> Device:
    """A device; `wgpu_device` skips, or fails in CI, where there is none."""
    return Device()


@pytest.fixture
def same(device: Device) -> Callable[..., None]:
    """Assert that interpreter and device leave the same bytes (or floats within a relative tolerance)."""

    def check(
        source: str,
        workgroups: tuple[int, ...],
        buffers: dict[int, np.ndarray],
        dtype: Any = np.uint32,
        rtol: float = 0.0,
    ) -> None:
        module = compile_wgsl(source)
        mine = module.run(workgroups=workgroups, buffers=buffers)
        assert not mine.findings, mine.findings[0].message
        theirs = device.run(source, module, workgroups, buffers)
        for binding, want in theirs.items():
            got = mine.buffers[binding]
            if rtol:
                np.testing.assert_allclose(
                    got.view(dtype), want.view(dtype), rtol=rtol, atol=rtol, err_msg=source
                )
            else:
                np.testing.assert_array_equal(got.view(dtype), want.view(dtype), err_msg=source)

    return check
