"""One watched run of a kernel on an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradschool.contract import ArraySpec, Contract, load_contract, parse_contract
from gradschool.errors import GradschoolError, PackError, UsageError
from gradschool.tracing.example import Example, make_example

MARGIN_WORDS = 67  # room past the end of every array, as graders leave it
MAX_STEPS = 20_000
MAX_INVOCATIONS = 1 << 16


@dataclass(frozen=True)
class Launch:
    """What ran and what was seen.

    Attributes:
        result: The interpreter's result; its `cost` is an `AccessLog`.
    """

    filename: str
    source: str
    contract: Contract
    example: Example
    workgroup_size: tuple[int, int, int]
    workgroups: tuple[int, int, int]
    result: Any

    @property
    def n_invocations(self) -> int:
        """How many invocations were launched."""
        return int(np.prod(self.workgroup_size) * np.prod(self.workgroups))


def find_contract(path: Path, source: str) -> Contract:
    """Return the contract in the header of `source`, or else that of the kernel it stands in for.

    Raises:
        PackError: There is no contract to be found.
    """
    try:
        return parse_contract(source, path.name)
    except PackError as error:
        from gradschool.pack import find_pack

        try:
            pack = find_pack(path.parent)
            same = [kernel for stage in pack.stages for kernel in stage.kernels if kernel.name == path.name]
        except GradschoolError:
            same = []
        if len(same) == 1:
            return load_contract(same[0])
        raise error


def run_launch(
    path: Path,
    arrays: Mapping[str, np.ndarray] | None = None,
    params: Mapping[str, float] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Launch:
    """Run the kernel file at `path` in the interpreter, watching everything.

    Raises:
        GradschoolError: The file is no kernel, does not compile, or the arguments do not fit.
    """
    from gradschool.gpu.arguments import check_array
    from gradschool.gpu.checked import check_kernel, decode_source

    try:
        source = decode_source(path.read_bytes(), path.name)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", help="Name a .wgsl file that is there."
        ) from None
    contract = find_contract(path, source)
    kernel = check_kernel(source, path.name)
    specs = {spec.name: spec for spec in contract.inputs}
    given = {
        name: check_array(array, specs[name], contract.name) if name in specs else array
        for name, array in (arrays or {}).items()
    }
    example = make_example(contract, given, params, shapes)
    size = kernel.workgroup_size
    groups = contract.workgroups(example.params, size)
    _check_size(contract, size, groups)
    result = kernel.module.run(
        "main", workgroups=groups, buffers=make_buffers(contract, example), max_steps=MAX_STEPS, log=True
    )
    return Launch(path.name, source, contract, example, size, groups, result)


def _check_size(contract: Contract, size: tuple[int, int, int], groups: tuple[int, int, int]) -> None:
    n_invocations = int(np.prod(size) * np.prod(groups))
    if n_invocations > MAX_INVOCATIONS:
        raise UsageError(
            f"These arrays need {n_invocations:,} invocations of {contract.name}; a trace shows up to {MAX_INVOCATIONS:,}.",
            help="Trace a smaller example: the same mistakes show.",
        )


def make_buffers(contract: Contract, example: Example) -> dict[int, Any]:
    """Return a buffer per binding: outputs undefined, and room past every end that nothing may touch."""
    from gradschool.gpu.arguments import pack_params
    from gradschool.wgsl import BufferIn

    buffers: dict[int, Any] = {}
    if contract.params_binding is not None:
        buffers[contract.params_binding] = BufferIn(pack_params(contract, example.params))
    for spec in contract.arrays:
        n_bytes = array_bytes(spec, example.params)
        data = np.zeros(-(-n_bytes // 4) * 4 + 4 * MARGIN_WORDS, np.uint8)
        if spec.name in example.arrays:
            data[:n_bytes] = np.ascontiguousarray(example.arrays[spec.name]).reshape(-1).view(np.uint8)
        buffers[spec.binding] = BufferIn(data, n_bytes, spec.role == "output")
    return buffers


def array_bytes(spec: ArraySpec, params: Mapping[str, float]) -> int:
    """Bytes of an array's data, without the room after it."""
    return int(np.prod(spec.shape(params), dtype=np.int64)) * np.dtype(spec.numpy_dtype).itemsize


def outputs_of(launch: Launch) -> dict[str, np.ndarray]:
    """Return the arrays the kernel wrote, by name."""
    found = {}
    for spec in launch.contract.outputs:
        data = launch.result.buffers[spec.binding][: array_bytes(spec, launch.example.params)]
        found[spec.name] = data.view(spec.numpy_dtype).reshape(spec.shape(launch.example.params))
    return found
