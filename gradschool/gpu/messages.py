"""Messages between the grader and its GPU worker."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gradschool.errors import (
    DeviceError,
    KernelCompileError,
    KernelCrashed,
    KernelError,
    KernelLimitError,
    KernelTimeout,
)
from gradschool.gpu.device import DeviceInfo
from gradschool.gpu.jobs import MAX_REPEATS, JobCost, JobFinding, KernelJob
from gradschool.sandbox.messages import Message

MAX_MESSAGE_CHARS = 20_000
MAX_FINDINGS = 1000

_Text = Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE_CHARS)]
_Index = Annotated[int, msgspec.Meta(ge=0, le=999)]


class Open(Message, frozen=True):
    """To the worker: open this kind of device. Also: forget everything and open it anew."""

    device: Literal["auto", "gpu", "software", "interpreter"]


class Run(Message, frozen=True):
    """To the worker: run this; one uint8 array per binding follows, in their order."""

    job: KernelJob


class Opened(Message, frozen=True):
    """From the worker: this is the device."""

    info: DeviceInfo


class Done(Message, frozen=True):
    """From the worker: it ran; the arrays that follow are listed by index.

    Attributes:
        after: Binding indices of the arrays of each repeat, all repeats in order.
        written: Binding indices of the masks that come last.
    """

    after: Annotated[list[list[_Index]], msgspec.Meta(max_length=MAX_REPEATS)]
    written: Annotated[list[_Index], msgspec.Meta(max_length=32)]
    workgroup_size: tuple[int, int, int]
    findings: Annotated[list[JobFinding], msgspec.Meta(max_length=MAX_FINDINGS)]
    steps: int
    cost: JobCost | None = None


class Refused(Message, frozen=True):
    """From the worker: it did not run."""

    kind: Literal["compile", "limit", "timeout", "crashed", "kernel", "device"]
    message: _Text
    help: _Text
    filename: Annotated[str, msgspec.Meta(max_length=300)] = ""
    line: int | None = None
    column: int | None = None

    def to_error(self) -> KernelError | DeviceError:
        """The exception that this message carries."""
        if self.kind == "compile":
            return KernelCompileError(
                self.message, help=self.help, filename=self.filename, line=self.line, column=self.column
            )
        return _CLASSES[self.kind](self.message, help=self.help)


# The most special class first: the first that fits names the kind.
_CLASSES: dict[str, type[KernelError] | type[DeviceError]] = {
    "compile": KernelCompileError,
    "limit": KernelLimitError,
    "timeout": KernelTimeout,
    "crashed": KernelCrashed,
    "kernel": KernelError,
    "device": DeviceError,
}


def refusal(error: KernelError | DeviceError) -> Refused:
    """The message for an exception raised while a job ran."""
    kind = next(kind for kind, cls in _CLASSES.items() if isinstance(error, cls))
    return Refused(
        kind,  # type: ignore[arg-type]
        error.message[:MAX_MESSAGE_CHARS],
        error.help[:MAX_MESSAGE_CHARS],
        getattr(error, "filename", "")[:300],
        getattr(error, "line", None),
        getattr(error, "column", None),
    )
