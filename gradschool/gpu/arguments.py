"""Arguments of a kernel: checked against its contract, one sentence when they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradschool.contract import ArraySpec, Contract
from gradschool.errors import KernelError
from gradschool.gpu.arrays import DeviceArray

_RANGES = {"u32": (0, 2**32 - 1), "i32": (-(2**31), 2**31 - 1)}
_NUMPY = {"f32": "<f4", "i32": "<i4", "u32": "<u4"}


def pack_params(contract: Contract, params: Mapping[str, float]) -> np.ndarray:
    """Return the bytes of the uniform `Params`: scalars in order, padded to 16.

    Raises:
        KernelError: A value does not fit the field's type.
    """
    fields = [(name, _NUMPY[kind]) for name, kind in contract.fields]
    packed = np.zeros(max(16, -(-4 * len(fields) // 16) * 16), np.uint8)
    for i, (name, kind) in enumerate(contract.fields):
        value = check_param(params[name], name, kind, contract.name)
        with np.errstate(over="ignore"):  # a float64 too large for f32 becomes inf, as in NumPy
            packed[4 * i : 4 * i + 4] = np.array([value], _NUMPY[kind]).view(np.uint8)
    return packed


def check_param(value: Any, name: str, kind: str, kernel: str) -> float:
    """Return `value` as a number that fits a `Params` field of type `kind`.

    Raises:
        KernelError: It is no number, or does not fit.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise KernelError(f"{kernel}: {name} is {type(value).__name__}; it must be one number ({kind}).")
    if kind == "f32":
        return float(value)
    low, high = _RANGES[kind]
    # The range first: NaN and infinity are in none, and have no int().
    if not low <= value <= high or value != int(value):
        raise KernelError(
            f"{kernel}: {name} = {value} does not fit {kind}, a whole number from {low} to {high}."
        )
    return int(value)


def check_array(value: Any, spec: ArraySpec, kernel: str) -> Any:
    """Return `value` as a contiguous NumPy array or a `DeviceArray` of the contract's dtype.

    Raises:
        KernelError: It is no array, or of another dtype.
    """
    wanted = np.dtype(spec.numpy_dtype)
    if isinstance(value, DeviceArray):
        if value.dtype != wanted:
            raise KernelError(f"{kernel}: {spec.name} is {value.dtype} on the device; it must be {wanted}.")
        return value
    if not isinstance(value, np.ndarray):
        raise KernelError(
            f"{kernel}: {spec.name} is {_kind_of(value)}; it must be a NumPy array.",
            help=f"Write np.asarray({spec.name}, dtype=np.{wanted}).",
        )
    if value.dtype != wanted:
        raise KernelError(
            f"{kernel}: {spec.name} has dtype {value.dtype}, but WGSL's {spec.dtype} is {wanted}.",
            help=f"Pass {spec.name}.astype(np.{wanted}).",
        )
    # Slices and transposes are laid out anew: a kernel sees rows one after the other.
    return np.ascontiguousarray(value).reshape(value.shape)


def _kind_of(value: Any) -> str:
    return f"a {type(value).__name__}" if value is not None else "None"
