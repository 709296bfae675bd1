"""Open a wgpu device: quickly, quietly, with WebGPU's default limits, or say why not."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from gradschool.errors import DeviceError
from gradschool.gpu import drivers
from gradschool.gpu.device import VARIABLE, Choice, DeviceInfo

# What every browser grants. wgpu asks for all the adapter has, and then a kernel that
# passes here fails on the next machine.
WEBGPU_LIMITS = {
    "max-bind-groups": 4,
    "max-bindings-per-bind-group": 1000,
    "max-buffer-size": 256 << 20,
    "max-compute-invocations-per-workgroup": 256,
    "max-compute-workgroup-size-x": 256,
    "max-compute-workgroup-size-y": 256,
    "max-compute-workgroup-size-z": 64,
    "max-compute-workgroup-storage-size": 16_384,
    "max-compute-workgroups-per-dimension": 65_535,
    "max-storage-buffer-binding-size": 128 << 20,
    "max-storage-buffers-per-shader-stage": 8,
    "max-uniform-buffer-binding-size": 65_536,
    "max-uniform-buffers-per-shader-stage": 12,
}
FEATURES = ("shader-f16", "subgroup")

_WORD = re.compile(r"\w+")


def open_device(choice: Choice) -> Any:
    """Open a device through wgpu.

    Args:
        choice: `gpu` or `software` for that kind only, `auto` for the best there is.

    Returns:
        A `WgpuBackend`.

    Raises:
        DeviceError: There is none; `help` holds the command that gets one.
    """
    gpu = _load_wgpu()
    with _quiet_driver():
        adapter = _find_adapter(gpu, choice)
        limits = {name: min(value, adapter.limits.get(name, value)) for name, value in WEBGPU_LIMITS.items()}
        features = [name for name in FEATURES if name in adapter.features]
        try:
            device = adapter.request_device_sync(
                label="gradschool", required_limits=limits, required_features=features
            )
        except Exception as error:
            raise DeviceError(f"{adapter.info['device']} refused to open: {_first_line(error)}") from error
    from gradschool.gpu.wgpu_backend import WgpuBackend

    return WgpuBackend(device, _describe(adapter, choice))


def _load_wgpu() -> Any:
    """Import wgpu and make its first use cheap."""
    if not drivers.loader_present():
        raise DeviceError(
            "No Vulkan loader: libvulkan.so.1 is not on this machine.", help=drivers.install_command()
        )
    try:
        with _quiet_driver():
            import wgpu
            from wgpu.backends.wgpu_native import _ffi, extras
    except Exception as error:
        # A wheel for another platform, a broken libc: whatever it is, lessons must go on.
        raise DeviceError(
            f"The wgpu package cannot be loaded: {_first_line(error)}",
            help="pip install --force-reinstall wgpu",
        ) from error
    # Without a handler, Python prints naga's messages a second time, on stderr.
    logging.getLogger("wgpu").addHandler(logging.NullHandler())
    _shorten_type_parsing(_ffi.ffi)
    if sys.platform == "linux":
        # Probing OpenGL takes 100 ms and starts an X or Wayland client. A second call is
        # refused, and so is the first where the notebook already used wgpu: no harm.
        with contextlib.suppress(RuntimeError):
            extras.set_instance_extras(backends=["Vulkan"])
    return wgpu.gpu


def _shorten_type_parsing(ffi: Any) -> None:
    """Show cffi's C parser only the typedefs that a type string names.

    cffi parses each new type string behind a preamble of all 430 typedefs of the
    header: 36 strings, 0.9 s before the first dispatch. The preamble is needed only
    for the names that occur, so this removes the rest; results are the same.
    """
    parser: Any = getattr(ffi, "_parser", None)
    if not isinstance(getattr(parser, "_declarations", None), dict) or "_parse" in vars(parser):
        return
    parse_all = parser._parse

    def parse_named(text: str) -> Any:
        everything, words = parser._declarations, set(_WORD.findall(text))
        parser._declarations = {
            name: value for name, value in everything.items() if name.removeprefix("typedef ") in words
        }
        try:
            return parse_all(text)
        finally:
            parser._declarations = everything

    parser._parse = parse_named


def _find_adapter(gpu: Any, choice: Choice) -> Any:
    try:
        adapters = gpu.enumerate_adapters_sync()
        best = gpu.request_adapter_sync(power_preference="high-performance") if adapters else None
    except Exception as error:
        raise DeviceError(
            f"The graphics driver does not answer: {_first_line(error)}", help=drivers.install_command()
        ) from error
    if choice == "software":
        best = next((adapter for adapter in adapters if _is_software(adapter)), None)
    if best is None or (choice == "gpu" and _is_software(best)):
        kind = {"gpu": "real GPU", "software": "software driver", "auto": "Vulkan driver"}[choice]
        real = "Install the driver of the GPU's maker, or leave GRADSCHOOL_DEVICE unset."
        raise DeviceError(
            f"No {kind} answers on this machine.", help=real if choice == "gpu" else drivers.install_command()
        )
    return best


def _is_software(adapter: Any) -> bool:
    return str(adapter.info["adapter_type"]).upper() == "CPU"


def _describe(adapter: Any, choice: Choice) -> DeviceInfo:
    facts = adapter.info
    software = _is_software(adapter)
    driver = " ".join(part for part in (facts["description"], f"through {facts['backend_type']}") if part)
    notes, advice = drivers.known_faults(facts["device"], facts["description"]) if software else ([], "")
    if choice != "auto":
        why = f"{VARIABLE} asks for it."
    elif software:
        why = "No real GPU answers here; a software driver does."
    else:
        why = "It is the fastest adapter here."
    return DeviceInfo(
        name=facts["device"],
        kind="software" if software else "gpu",
        driver=driver,
        why=why,
        notes=notes,
        advice=advice,
    )


@contextlib.contextmanager
def _quiet_driver() -> Iterator[None]:
    """Name the folder whose absence Mesa reports on stderr (and nbgrader scores as 0).

    It looks for a Wayland socket there, which kernels have no use for: any path does.
    """
    name = "XDG_RUNTIME_DIR"
    if sys.platform != "linux" or os.environ.get(name):
        yield
        return
    os.environ[name] = "/nonexistent"
    try:
        yield
    finally:
        # Jupyter and others read it too: put it back as it was.
        del os.environ[name]


def _first_line(error: BaseException) -> str:
    """The first telling line of an error from native code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    skipped = ("Validation Error", "Caused by:")
    return next((line for line in lines if line not in skipped), type(error).__name__)[:300]
