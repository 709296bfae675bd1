"""A changed kernel runs once in a process that can be killed, before it runs in this one.

A kernel that never ends cannot be interrupted from Python: without this, one wrong loop
condition would take the notebook and everything in it along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradschool.errors import KernelLimitError
from gradschool.gpu import DeviceArray, Kernel, device_info
from gradschool.gpu.arguments import check_array, check_param, pack_params
from gradschool.gpu.jobs import JobBinding, KernelJob
from gradschool.gpu.kernel import layout_of

TIMEOUT_S = 10.0


def try_out(kernel: Kernel, values: Mapping[str, Any]) -> None:
    """Run `kernel` once on `values` in a disposable process, and drop the result.

    Arguments that do not fit the contract are left to the kernel's own call, which says so.

    Raises:
        KernelError: It does not compile, does not end, or takes the driver down.
    """
    if device_info().kind == "interpreter":
        return  # the interpreter counts its steps and ends by itself
    contract = kernel.contract
    specs = {spec.name: spec for spec in contract.inputs}
    types = dict(contract.fields)
    if not set(specs) <= set(values) <= set(specs) | set(types):
        return
    arrays = {name: check_array(values[name], spec, contract.name) for name, spec in specs.items()}
    given = {
        name: check_param(value, name, types[name], contract.name)
        for name, value in values.items()
        if name in types
    }
    params = contract.infer_params({name: array.shape for name, array in arrays.items()}, given)
    kinds = dict(layout_of(contract))
    buffers: dict[int, np.ndarray] = {}
    if contract.params_binding is not None:
        buffers[contract.params_binding] = pack_params(contract, params)
    for spec in contract.arrays:
        array = arrays.get(spec.name)
        array = array.numpy() if isinstance(array, DeviceArray) else array
        if array is None:
            array = np.zeros(spec.shape(params), spec.numpy_dtype)
        buffers[spec.binding] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    extent = contract.extent(params)
    job = KernelJob(
        filename=kernel.filename,
        source=kernel.source,
        bindings=[JobBinding(index, kinds[index]) for index in buffers],
        workgroups=extent if contract.unit == "workgroups" else (1, 1, 1),
        invocations=extent if contract.unit == "invocations" else None,
        poison=False,
    )
    _run(job, buffers)


def _run(job: KernelJob, buffers: dict[int, np.ndarray]) -> None:
    from gradschool.grading.visible import gpu_worker

    try:
        gpu_worker().run(job, buffers, timeout_s=TIMEOUT_S)
    except KernelLimitError:
        # Too much data to send along; the kernel's own call knows its own limits.
        return
