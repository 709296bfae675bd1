"""What went to the device and back, in order: to show that a model really lives there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["upload", "launch", "download"]


@dataclass
class DeviceLog:
    """Arrays that were copied to the device, kernels that ran, arrays that were copied back.

    Attributes:
        events: `(kind, what)` in order: what is the kernel's file name, or the array's shape and dtype.
    """

    events: list[tuple[Kind, str]] = field(default_factory=list)

    @property
    def launches(self) -> list[str]:
        """File names of the kernels that ran, in order."""
        return [what for kind, what in self.events if kind == "launch"]

    @property
    def n_uploads(self) -> int:
        """Arrays copied to the device; a NumPy array handed to a kernel is one."""
        return sum(kind == "upload" for kind, _ in self.events)

    @property
    def n_downloads(self) -> int:
        """Arrays copied back; the NumPy result of a kernel is one."""
        return sum(kind == "download" for kind, _ in self.events)

    @property
    def n_returns(self) -> int:
        """Arrays copied to the device after one was copied back: numbers that may have been to NumPy and back.

        Zero means that everything between the first upload and the first download was done by kernels.
        """
        kinds = [kind for kind, _ in self.events]
        first = kinds.index("download") if "download" in kinds else len(kinds)
        return kinds[first:].count("upload")


_open: list[DeviceLog] = []


@contextlib.contextmanager
def device_log() -> Iterator[DeviceLog]:
    """Record what goes to the device and back while the block runs.

    ```python
    with gs.device_log() as log:
        loss, grads = gpt_step_on_kernels(tokens, labels, params, config)
    print(len(log.launches), "launches,", log.n_uploads, "uploads,", log.n_downloads, "downloads")
    ```
    """
    log = DeviceLog()
    _open.append(log)
    try:
        yield log
    finally:
        _open.remove(log)


def note(kind: Kind, what: object) -> None:
    """Add an event to every open log."""
    for log in _open:
        log.events.append((kind, str(what)))
