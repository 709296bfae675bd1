"""A small example of a kernel's arguments, made from its contract.

Sizes that the caller leaves open get defaults: coprime, so that a mixed-up index shows, and
larger than a workgroup where that is one line of a picture, so that guards are needed.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gradschool.contract import ArraySpec, Contract
from gradschool.errors import UsageError

# Sizes by name, for words that mean the same in every stage.
_SIZES = {
    "n_heads": 2,
    "n_kv_heads": 1,
    "d_head": 4,
    "d_model": 8,
    "seq": 12,
    "n_positions": 17,  # more than seq, and a start among them
    "n_masks": 1,  # divides every batch
    "batch": 2,
    "n_bins": 6,
    "h": 5,
    "w": 7,
    "h_in": 6,
    "w_in": 7,
    "kh": 3,
    "kw": 3,
    "size_h": 2,
    "size_w": 2,
}
# Pictures have four axes, so few of each.
_PICTURES = {"n": 1, "c": 2, "c_in": 2, "c_out": 3}
_NUMBERS = {"lr": 0.1, "eps": 1e-5, "beta1": 0.9, "beta2": 0.99, "rate": 0.25, "scale": 0.5}
_COUNTS = {"seed": 7, "stride_h": 1, "stride_w": 1, "pad_h": 0, "pad_w": 0}
_LINE = 70  # one axis of data: more than a workgroup of 64
_GRID = (5, 7, 11, 3)
_BLOCK = (2, 3)
_NEVER_NEGATIVE = frozenset(["v", "variance", "var"])


@dataclass(frozen=True)
class Example:
    """Arguments of one launch: the arrays a caller provides, and every field of `Params`."""

    arrays: dict[str, np.ndarray]
    params: dict[str, float]


def make_example(
    contract: Contract,
    arrays: Mapping[str, np.ndarray] | None = None,
    params: Mapping[str, float] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    seed: int = 0,
) -> Example:
    """Return arguments for the kernel, filling in what is not given.

    Args:
        contract: The kernel's contract.
        arrays: Input arrays by name.
        params: Fields of `Params` by name.
        shapes: Shapes by array name; outputs may be named too.
        seed: Of the numbers in arrays that are made here.

    Raises:
        UsageError: A name is unknown, or a shape has the wrong number of axes.
        KernelError: Arrays and sizes contradict each other.
    """
    given = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    known = dict(params or {})
    asked = {**(shapes or {}), **{name: array.shape for name, array in given.items()}}
    _check_names(contract, asked, known)
    for spec in contract.arrays:
        for dim, size in zip(spec.dims, asked.get(spec.name, ()), strict=False):
            if dim.isidentifier():
                known.setdefault(dim, size)
    complete = _complete(contract, known)
    rng = np.random.default_rng(seed)
    for spec in contract.inputs:
        if spec.name not in given:
            given[spec.name] = _numbers(spec, complete, rng)
    # The contract itself judges what was given, in its own words.
    checked = {name: array.shape for name, array in given.items()} | asked
    return Example(given, contract.infer_params(checked, complete))


def _check_names(contract: Contract, shapes: Mapping[str, tuple[int, ...]], params: Mapping[str, float]):
    names = [spec.name for spec in contract.arrays]
    fields = [name for name, _ in contract.fields]
    for name, shape in shapes.items():
        spec = next((spec for spec in contract.arrays if spec.name == name), None)
        if spec is None:
            raise UsageError(
                f"{contract.name} has no array {name!r}.", help=f"Its arrays: {', '.join(names)}."
            )
        if len(shape) != len(spec.dims):
            raise UsageError(
                f"{name} has {len(spec.dims)} axes ({', '.join(spec.dims)}), got {'x'.join(map(str, shape))}.",
                help=f"Give one number per axis, joined by x: {name}={'x'.join(['4'] * len(spec.dims))}.",
            )
    for name in params:
        if name not in fields:
            raise UsageError(
                f"{contract.name} has no parameter {name!r}.", help=f"Its parameters: {', '.join(fields)}."
            )


def _complete(contract: Contract, known: dict[str, float]) -> dict[str, float]:
    """Every field of `Params`: what is known, then sizes and numbers by habit."""
    sizes = [name for name in _size_names(contract) if name not in known]
    params = dict(known)
    # A size that follows from others is left for the end.
    free = [name for name in sizes if not _follows(name, contract)]
    habits = _SIZES | (_PICTURES if {"h", "h_in"} & set(_size_names(contract)) else {})
    unnamed = [name for name in free if name not in habits]
    habit = dict(zip(unnamed, _default_sizes(contract, len(unnamed)), strict=True))
    for name in free:
        params[name] = habits[name] if name in habits else habit[name]
    for name, kind in contract.fields:
        if name not in params and name not in sizes:
            params[name] = (
                _NUMBERS.get(name, 0.5) if kind == "f32" else _COUNTS.get(name, _SIZES.get(name, 1))
            )
    for name in sizes:
        if name not in params:
            params[name] = _windows(name[0], params)
    return params


def _size_names(contract: Contract) -> list[str]:
    """Fields that are sizes of arrays, in the order of the shapes."""
    fields = {name for name, _ in contract.fields}
    names: dict[str, None] = {}
    for spec in contract.arrays:
        for dim in spec.dims:
            for node in ast.walk(ast.parse(dim, mode="eval")):
                if isinstance(node, ast.Name) and node.id in fields:
                    names[node.id] = None
    return list(names)


def _default_sizes(contract: Contract, n: int) -> list[int]:
    if n <= 1:
        return [_LINE][:n]
    if contract.unit == "workgroups" and n <= 3:
        # A workgroup for each of a few rows; long rows, so that its loops turn more than once.
        return [*_BLOCK[: n - 1], _LINE]
    return [_GRID[k % len(_GRID)] for k in range(n)]


def _follows(name: str, contract: Contract) -> bool:
    """Whether a size is that of a convolution's or pooling's output."""
    fields = {field for field, _ in contract.fields}
    return name in ("h_out", "w_out") and f"{name[0]}_in" in fields and f"stride_{name[0]}" in fields


def _windows(axis: str, params: Mapping[str, float]) -> int:
    """How many windows fit along an axis."""
    window = params.get(f"k{axis}", params.get(f"size_{axis}", 1))
    room = params[f"{axis}_in"] + 2 * params.get(f"pad_{axis}", 0) - window
    return max(1, int(room // params[f"stride_{axis}"]) + 1)


def _numbers(spec: ArraySpec, params: Mapping[str, float], rng: np.random.Generator) -> np.ndarray:
    shape = spec.shape(params)
    if spec.dtype in ("f32", "f16"):
        values = np.round(rng.normal(size=shape), 2)
        return (np.abs(values) if spec.name in _NEVER_NEGATIVE else values).astype(spec.numpy_dtype)
    # Whole numbers are labels or positions: below every size they could be an index to.
    named = [params[name] for name in ("n_classes", "n_bins", "n_vocab", "vocab") if name in params]
    wholes = [
        value for name, value in params.items() if isinstance(value, int) and value > 0 and name != "seed"
    ]
    return rng.integers(0, max(1, int(min(named or wholes or [1]))), shape).astype(spec.numpy_dtype)
