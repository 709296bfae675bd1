"""Call a WGSL kernel like a function: arrays in, arrays out, the contract in between."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradschool.contract import ArraySpec, Contract, parse_contract
from gradschool.errors import KernelCompileError, KernelError, PackError
from gradschool.gpu.arguments import check_array, check_param, pack_params
from gradschool.gpu.arrays import DeviceArray
from gradschool.gpu.backend import Backend, BindingKind, Buffer, Layout
from gradschool.gpu.checked import check_bindings, check_kernel, decode_source
from gradschool.gpu.device import default_backend
from gradschool.gpu.device_log import note


def load_kernel(path: str | Path, *, contract: Contract | None = None) -> Kernel:
    """Read the kernel file at `path`; compile errors come at the first call.

    Args:
        path: A `.wgsl` file that opens with its contract.
        contract: Use this contract in place of the file's own header.

    Raises:
        KernelError: There is no such file, it is empty, or its header was changed beyond
            recognition.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        near = ", ".join(sorted(found.name for found in path.parent.glob("*.wgsl"))[:8])
        raise KernelError(
            f"There is no kernel file {path}: {error.strerror}.",
            help=f"Kernels in {path.parent.resolve()}: {near or 'none'}.",
        ) from None
    return Kernel(decode_source(raw, path.name), path.name, contract)


class Kernel:
    """A WGSL kernel, called by the names in its contract.

    ```python
    softmax = load_kernel("softmax_forward.wgsl")
    out = softmax(x=scores)  # NumPy in, NumPy out
    out = softmax(x=to_device(scores))  # stays on the device
    ```

    Args:
        source: WGSL text, opening with its contract.
        filename: What messages call it.
        contract: Use this contract in place of the one in `source`.
        backend: Where it runs when no argument is on a device yet; default this process's own.
    """

    def __init__(
        self, source: str, filename: str, contract: Contract | None = None, backend: Backend | None = None
    ) -> None:
        self.source = source
        self.filename = filename
        self.contract = contract or _read_contract(source, filename)
        self._default = backend

    @property
    def workgroup_size(self) -> tuple[int, int, int]:
        """The size in the file's `@workgroup_size`."""
        return workgroup_size(self.source, self.filename)

    def __repr__(self) -> str:
        names = [spec.name for spec in self.contract.inputs] + self._given_names()
        return f"<kernel {self.filename}: {self.contract.name}({', '.join(names)})>"

    def _given_names(self) -> list[str]:
        """Params that no array's shape tells."""
        told = {dim for spec in self.contract.inputs for dim in spec.dims}
        return [name for name, _ in self.contract.fields if name not in told]

    def __call__(self, *positional: Any, **values: Any) -> Any:
        """Launch the kernel.

        Args:
            positional: None are taken: arrays go by name.
            values: Input arrays by binding name, as NumPy arrays or `DeviceArray`, and the
                `Params` that no shape tells, as numbers.

        Returns:
            The output array, or a dict of them when there are several. They are
            `DeviceArray` when any input was. A NumPy `inout` array is not touched: its
            updated copy is returned; a `DeviceArray` one is updated in place.

        Raises:
            KernelError: An argument does not fit the contract, or the kernel failed.
        """
        if positional:
            wanted = ", ".join(f"{spec.name}=..." for spec in self.contract.inputs)
            raise KernelError(
                f"{self.contract.name} takes its arrays by name.",
                help=f"Write {self.contract.name}({wanted}).",
            )
        outputs = self.launch(values)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def launch(self, values: Mapping[str, Any], *, on_device: bool = False) -> dict[str, Any]:
        """Launch the kernel and return every output by name.

        Args:
            values: Arrays and params, as in a call.
            on_device: Leave the outputs on the device even when no input was there.

        Raises:
            KernelError: An argument does not fit the contract, or the kernel failed.
        """
        arrays, given = self._split(values)
        shapes = {name: array.shape for name, array in arrays.items()}
        params = self.contract.infer_params(shapes, given)
        backend = self._backend(arrays)
        kernel = check_kernel(self.source, self.filename)
        layout = layout_of(self.contract)
        check_bindings(kernel, layout, {spec.binding: spec.name for spec in self.contract.arrays})
        workgroups = self.contract.workgroups(params, kernel.workgroup_size)
        program = backend.compile(kernel, layout)
        launch = _Launch(backend, self.contract, params)
        try:
            launch.bind(arrays)
            note("launch", self.filename)
            backend.dispatch(program, launch.buffers, workgroups)
            stay = on_device or any(isinstance(a, DeviceArray) for a in arrays.values())
            return launch.outputs(on_device=stay)
        finally:
            launch.release()

    def _split(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
        """Tell arrays from params, and check both."""
        specs = {spec.name: spec for spec in self.contract.inputs}
        types = dict(self.contract.fields)
        arrays: dict[str, Any] = {}
        given: dict[str, float] = {}
        for name, value in values.items():
            if name in specs:
                arrays[name] = check_array(value, specs[name], self.contract.name)
            elif name in types:
                given[name] = check_param(value, name, types[name], self.contract.name)
            elif any(name == spec.name for spec in self.contract.outputs):
                raise KernelError(
                    f"{self.contract.name} makes {name} itself.",
                    help=f"Leave {name}= out; it is what the call returns.",
                )
            else:
                raise KernelError(
                    f"{self.contract.name} has no argument {name!r}.", help=f"It takes {self._signature()}."
                )
        missing = [name for name in specs if name not in arrays]
        if missing:
            raise KernelError(
                f"{self.contract.name} needs the array {missing[0]}.", help=f"It takes {self._signature()}."
            )
        return arrays, given

    def _signature(self) -> str:
        arrays = [f"{spec.name} ({', '.join(spec.dims)}) {spec.dtype}" for spec in self.contract.inputs]
        return "; ".join(arrays + self._given_names())

    def _backend(self, arrays: Mapping[str, Any]) -> Backend:
        backends = {id(a.backend): a.backend for a in arrays.values() if isinstance(a, DeviceArray)}
        if len(backends) > 1:
            raise KernelError(
                f"{self.contract.name}: its arrays live on different devices.",
                help="Make them all with gradschool.to_device in the same session.",
            )
        return next(iter(backends.values())) if backends else self._default or default_backend()


class _Launch:
    """The buffers of one call: bound, read and released."""

    def __init__(self, backend: Backend, contract: Contract, params: Mapping[str, float]) -> None:
        self._backend = backend
        self._contract = contract
        self._params = params
        self._own: list[Buffer] = []
        self._kept: dict[str, DeviceArray] = {}
        self.buffers: dict[int, Buffer] = {}

    def bind(self, arrays: Mapping[str, Any]) -> None:
        """Upload what is not on the device yet and make room for the outputs."""
        contract = self._contract
        if contract.params_binding is not None:
            packed = pack_params(contract, self._params)
            self.buffers[contract.params_binding] = self._make(packed.nbytes, packed)
        for spec in contract.arrays:
            array = arrays.get(spec.name)
            if isinstance(array, DeviceArray):
                self.buffers[spec.binding] = array.buffer
                if spec.role == "inout":
                    self._kept[spec.name] = array
            elif array is not None:
                note("upload", f"{array.shape} {array.dtype}")
                self.buffers[spec.binding] = self._make(array.nbytes, array.reshape(-1).view(np.uint8))
            else:
                self.buffers[spec.binding] = self._make(self._n_bytes(spec))
        self._refuse_aliases()

    def _make(self, n_bytes: int, data: np.ndarray | None = None) -> Buffer:
        buffer = self._backend.create(n_bytes, data)
        self._own.append(buffer)
        return buffer

    def _n_bytes(self, spec: ArraySpec) -> int:
        return int(np.prod(spec.shape(self._params), dtype=np.int64)) * np.dtype(spec.numpy_dtype).itemsize

    def _refuse_aliases(self) -> None:
        written = [spec for spec in self._contract.arrays if spec.role != "input"]
        for spec in written:
            shared = [
                other.name
                for other in self._contract.arrays
                if other is not spec and self.buffers[other.binding] is self.buffers[spec.binding]
            ]
            if shared:
                raise KernelError(
                    f"{self._contract.name}: {spec.name} and {shared[0]} are the same array, and {spec.name} is written.",
                    help=f"Pass a copy: gradschool.to_device({shared[0]}.numpy()).",
                )

    def outputs(self, *, on_device: bool) -> dict[str, Any]:
        """Return each output in the contract's order."""
        specs = self._contract.outputs
        found: dict[str, Any] = {}
        if on_device:
            for spec in specs:
                found[spec.name] = self._kept[spec.name] if spec.name in self._kept else self._keep(spec)
            return found
        raw = self._backend.read([self.buffers[spec.binding] for spec in specs])
        for spec, data in zip(specs, raw, strict=True):
            found[spec.name] = data.view(spec.numpy_dtype).reshape(spec.shape(self._params))
            note("download", f"{found[spec.name].shape} {spec.numpy_dtype}")
        return found

    def _keep(self, spec: ArraySpec) -> DeviceArray:
        buffer = self.buffers[spec.binding]
        self._own.remove(buffer)
        return DeviceArray(buffer, spec.shape(self._params), np.dtype(spec.numpy_dtype))

    def release(self) -> None:
        """Free what this call made and did not hand out."""
        for buffer in self._own:
            self._backend.free(buffer)


def layout_of(contract: Contract) -> Layout:
    """Return the explicit bind-group layout that `contract` states."""
    layout: list[tuple[int, BindingKind]] = [
        (spec.binding, "read" if spec.role == "input" else "read_write") for spec in contract.arrays
    ]
    if contract.params_binding is not None:
        layout.append((contract.params_binding, "uniform"))
    return tuple(sorted(layout))


def workgroup_size(source: str, filename: str, entry: str = "main") -> tuple[int, int, int]:
    """Return the `@workgroup_size` of the kernel in `source`, constants evaluated.

    Raises:
        KernelError: The kernel does not compile, or asks for more than WebGPU allows.
    """
    return check_kernel(source, filename, entry).workgroup_size


def _read_contract(source: str, filename: str) -> Contract:
    try:
        return parse_contract(source, filename)
    except PackError as error:
        raise KernelCompileError(
            f"{filename}: the comment that opens the file is its contract, and it was changed. {error.message}",
            help="Copy the header back from the assignment; write below the bindings.",
            filename=filename,
        ) from None


__all__ = ["Kernel", "layout_of", "load_kernel", "pack_params", "workgroup_size"]
