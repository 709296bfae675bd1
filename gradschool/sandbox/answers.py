"""What the grader's side of a call gives back, and what it may be asked for on the way."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import numpy as np

from gradschool.gpu.device_log import DeviceLog
from gradschool.sandbox import messages


class Desk(Protocol):
    """What runs the kernels that a submission's Python launches.

    Attributes:
        log: What the current call took to the device and back.
    """

    log: DeviceLog

    def begin(self) -> None:
        """A call starts; nothing is on the device."""
        ...

    def serve(
        self, request: messages.DeviceRequest, arrays: list[np.ndarray]
    ) -> tuple[messages.OnDevice | messages.NotOnDevice, list[np.ndarray]]:
        """Do what the worker asks for; never raises for what a learner got wrong."""
        ...


class CallResult(msgspec.Struct, frozen=True):
    """What one call gave.

    Attributes:
        value: Plain data: arrays, numbers, strings, None and containers of them.
        inputs_after: The positional arguments as the function left them.
        changed: Positions and keywords of the arguments it changed.
        stdout: The start of what it printed.
        warnings: `Category: text`, each once.
        attempts: What it tried that the sandbox refused.
        seconds: Time spent in it.
        device_log: What it took to the device and back.
    """

    value: Any
    inputs_after: tuple[Any, ...]
    changed: tuple[int | str, ...] = ()
    stdout: str = ""
    warnings: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()
    seconds: float = 0.0
    device_log: DeviceLog = msgspec.field(default_factory=DeviceLog)
