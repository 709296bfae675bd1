from __future__ import annotations

import gc

import numpy as np
import pytest

from gradschool.errors import DeviceError, KernelError
from gradschool.gpu import DeviceArray, to_device
from gradschool.gpu.backend import Backend
from gradschool.gpu.device import open_backend
from gradschool.gpu.kernel import Kernel


def grid() -> np.ndarray:
    return np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint32", "float16"])
def test_an_array_comes_back_as_it_went(on_backend: Backend, dtype: str) -> None:
    array = np.arange(7).astype(dtype)
    back = to_device(array).numpy()
    assert (back.dtype, back.tolist()) == (array.dtype, array.tolist())


def test_it_knows_its_shape_and_dtype(on_backend: Backend) -> None:
    array = to_device(grid())
    assert (array.shape, array.dtype, array.size, array.nbytes, len(array)) == ((3, 4), np.float32, 12, 48, 3)
    assert "(3, 4)" in repr(array)


def test_numpy_can_read_it(on_backend: Backend) -> None:
    assert np.array_equal(np.asarray(to_device(grid())), grid())
    assert np.asarray(to_device(grid()), dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool", "complex64"])
def test_a_dtype_that_wgsl_lacks_is_refused(on_backend: Backend, dtype: str) -> None:
    with pytest.raises(KernelError, match=dtype) as caught:
        to_device(np.ones(3, dtype))
    assert "astype" in caught.value.help


def test_results_chain_through_kernels_on_the_device(on_backend: Backend, scale: Kernel) -> None:
    once = scale(x=to_device(np.ones(5, np.float32)), alpha=3)
    twice = scale(x=once, alpha=3)
    assert isinstance(once, DeviceArray)
    assert twice.numpy().tolist() == [9] * 5


def test_an_inout_array_on_the_device_is_updated_in_place(on_backend: Backend, step: Kernel) -> None:
    w = to_device(np.ones((2, 3), np.float32))
    grad = np.ones((2, 3), np.float32)
    assert [step(w=w, grad=grad, lr=0.25)["w"] is w for _ in range(3)] == [True] * 3
    assert w.numpy().tolist() == [[0.25] * 3] * 2


def test_an_array_that_is_read_and_written_at_once_is_refused(on_backend: Backend, step: Kernel) -> None:
    w = to_device(np.ones((2, 3), np.float32))
    with pytest.raises(KernelError, match="same array"):
        step(w=w, grad=w, lr=1)


def test_a_view_shares_memory_and_keeps_it_alive(on_backend: Backend) -> None:
    view = to_device(grid()).reshape(2, -1)
    gc.collect()
    assert (view.shape, view.numpy().tolist()) == ((2, 6), grid().reshape(2, 6).tolist())


def test_a_view_of_another_size_is_refused(on_backend: Backend) -> None:
    with pytest.raises(KernelError, match=r"\(5,\)"):
        to_device(grid()).reshape(5)


def test_reading_a_freed_array_is_an_error_and_not_a_crash(on_backend: Backend, scale: Kernel) -> None:
    array = to_device(np.ones(5, np.float32))
    array.free()
    array.free()
    with pytest.raises(DeviceError, match="freed"):
        array.numpy()
    with pytest.raises(DeviceError, match="freed"):
        scale(x=array, alpha=1)


def test_arrays_of_a_closed_device_are_errors_and_not_crashes(
    wgpu_device: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_backend("auto")
    monkeypatch.setattr("gradschool.gpu.arrays.default_backend", lambda: other)
    array = to_device(np.ones(5, np.float32))
    other.close()
    other.close()
    with pytest.raises(DeviceError, match="freed"):
        array.numpy()
    with pytest.raises(DeviceError, match="closed"):
        other.create(16)
    array.free()


def test_arrays_of_two_devices_do_not_mix(step: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = []
    for _ in range(2):
        other = open_backend("interpreter")
        monkeypatch.setattr("gradschool.gpu.arrays.default_backend", lambda other=other: other)
        arrays.append(to_device(np.ones((2, 3), np.float32)))
    with pytest.raises(KernelError, match="different devices"):
        step(w=arrays[0], grad=arrays[1], lr=1)


def test_an_array_too_large_for_a_binding_is_refused(on_backend: Backend) -> None:
    with pytest.raises(KernelError, match="134,217,728"):
        on_backend.create((128 << 20) + 4)
