"""Arrays that stay on the device, so that kernels chain without a round trip."""

from __future__ import annotations

import weakref

import numpy as np

from gradschool.errors import KernelError
from gradschool.gpu.backend import Backend, Buffer
from gradschool.gpu.device import default_backend
from gradschool.gpu.device_log import note

DTYPES = ("float32", "int32", "uint32", "float16")


class DeviceArray:
    """An array in the device's memory; its bytes are freed with it.

    ```python
    h = affine(x=to_device(x), w=to_device(w), b=to_device(b))  # a DeviceArray
    probs = softmax(x=h).numpy()
    ```

    Attributes:
        shape: Sizes of the axes.
        dtype: NumPy's name of the element type.
    """

    def __init__(self, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.buffer = buffer
        self.shape = shape
        self.dtype = dtype
        self._finalizer = weakref.finalize(self, buffer.backend.free, buffer)
        # At exit the driver may be gone already; the process frees everything anyway.
        self._finalizer.atexit = False

    @property
    def backend(self) -> Backend:
        """The device it lives on."""
        return self.buffer.backend

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * self.dtype.itemsize

    def numpy(self) -> np.ndarray:
        """Copy it back.

        Raises:
            DeviceError: It was freed.
        """
        (data,) = self.backend.read([self.buffer])
        note("download", f"{self.shape} {self.dtype}")
        return data.view(self.dtype).reshape(self.shape)

    def reshape(self, *shape: int) -> DeviceArray:
        """Return the same memory under another shape; kernels see rows one after the other.

        Raises:
            KernelError: The number of elements differs.
        """
        new = _resolve(shape, self.size)
        if int(np.prod(new, dtype=np.int64)) != self.size:
            raise KernelError(f"An array of shape {self.shape} cannot be viewed as {shape}.")
        return _View(self, new)

    def free(self) -> None:
        """Give the memory back now; a second call does nothing."""
        self._finalizer()

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        """NumPy reads it like any array; each time is a copy from the device."""
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)  # type: ignore[call-overload]

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, device={self.backend.info.name!r})"


class _View(DeviceArray):
    """Another shape of an array that owns the memory, kept alive through it."""

    def __init__(self, base: DeviceArray, shape: tuple[int, ...]) -> None:
        self._base = base
        self.buffer = base.buffer
        self.shape = shape
        self.dtype = base.dtype

    def free(self) -> None:
        """Free the array this is a view of."""
        self._base.free()


def _resolve(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Replace one -1 by what is left."""
    if shape.count(-1) != 1:
        return shape
    known = -int(np.prod(shape, dtype=np.int64))
    return tuple(size // known if n == -1 and known else n for n in shape)


def to_device(array: np.ndarray | DeviceArray, *, backend: Backend | None = None) -> DeviceArray:
    """Copy a NumPy array to the device that kernels run on.

    Args:
        array: A copy of it is made; a `DeviceArray` is returned as it is.
        backend: Another device than this process's own.

    Raises:
        KernelError: Its dtype has no counterpart in WGSL.
    """
    if isinstance(array, DeviceArray):
        return array
    array = np.asarray(array)
    if array.dtype.name not in DTYPES:
        better = "float32" if array.dtype.kind == "f" else "int32"
        raise KernelError(
            f"An array of {array.dtype} cannot go to the device: WGSL has f32, i32, u32 and f16.",
            help=f"Pass array.astype(np.{better}).",
        )
    shape = array.shape
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    note("upload", f"{shape} {array.dtype}")
    return DeviceArray((backend or default_backend()).create(data.nbytes, data), shape, array.dtype)
