"""Which device runs the kernels, why that one, and how to get a better one.

In this order: a real adapter, a software Vulkan driver, the built-in interpreter.
`GRADSCHOOL_DEVICE` names one instead: `auto`, `gpu`, `software` or `interpreter`.
"""

from __future__ import annotations

import os
import threading
from typing import Literal, cast

import msgspec

from gradschool.errors import DeviceError, UsageError
from gradschool.gpu.backend import Backend

Choice = Literal["auto", "gpu", "software", "interpreter"]
DeviceKind = Literal["gpu", "software", "interpreter"]
CHOICES = ("auto", "gpu", "software", "interpreter")
VARIABLE = "GRADSCHOOL_DEVICE"


class DeviceInfo(msgspec.Struct, kw_only=True):
    """The device that kernels run on, in words.

    Attributes:
        why: Why this device and no better one.
        notes: What is wrong with it, one sentence each; empty when nothing is.
        advice: The one command that gets a better device, or nothing.
    """

    name: str
    kind: DeviceKind
    driver: str = ""
    why: str = ""
    notes: list[str] = []
    advice: str = ""


def read_choice(value: str | None = None) -> Choice:
    """Return the device asked for by `value`, or by the environment.

    Raises:
        UsageError: It is not one of the four words.
    """
    word = (os.environ.get(VARIABLE, "") if value is None else value).strip().lower() or "auto"
    if word not in CHOICES:
        raise UsageError(
            f"{VARIABLE} is {word!r}, which is no kind of device.",
            help=f"Set it to one of {', '.join(CHOICES)}, or leave it unset.",
        )
    return cast(Choice, word)


def open_backend(choice: Choice | None = None) -> Backend:
    """Open a new device; the caller closes it.

    Args:
        choice: The kind wanted; by default what the environment says.

    Raises:
        DeviceError: A kind was named and this machine has none.
        UsageError: The environment names no kind of device.
    """
    choice = choice or read_choice()
    if choice == "interpreter":
        return _open_interpreter(f"{VARIABLE} asks for it.")
    from gradschool.gpu.wgpu_setup import open_device

    try:
        return open_device(choice)
    except DeviceError as error:
        if choice != "auto":
            raise
        return _open_interpreter(error.message, error.help)


def interpreter_info(why: str = "", advice: str = "") -> DeviceInfo:
    """Describe the built-in interpreter."""
    import numpy as np

    from gradschool import __version__

    return DeviceInfo(
        name="built-in WGSL interpreter",
        kind="interpreter",
        driver=f"gradschool {__version__}, NumPy {np.__version__}",
        why=why,
        notes=["Kernels run on the CPU, in NumPy: right for learning and for grades, slow for training."],
        advice=advice,
    )


def _open_interpreter(why: str, advice: str = "") -> Backend:
    from gradschool.gpu.interpreter_backend import InterpreterBackend

    return InterpreterBackend(interpreter_info(why, advice))


_lock = threading.Lock()
_shared: dict[tuple[int, Choice], Backend] = {}


def default_backend() -> Backend:
    """Return this process's device, opened on first use.

    A device does not survive `fork` (a child that uses its parent's hangs), and a
    changed environment asks for another, so each process and choice has its own.
    """
    key = (os.getpid(), read_choice())
    with _lock:
        if key not in _shared or not _shared[key].alive:
            _shared[key] = open_backend(key[1])
        return _shared[key]


def device_info() -> DeviceInfo:
    """Return what is known about this process's device, opening it if need be."""
    return default_backend().info
