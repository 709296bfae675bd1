"""Every message between the grader and its sandboxed processes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gradschool.sandbox.limits import Limits
from gradschool.sandbox.nodes import Node

_Name = Annotated[str, msgspec.Meta(max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=4_000)]
_Printed = Annotated[str, msgspec.Meta(max_length=1 << 19)]
_Few = msgspec.Meta(max_length=64)


class Message(msgspec.Struct, tag=True, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Base of all messages: strict, tagged by its class name."""


class Start(Message, frozen=True):
    """To a fresh process: lock down like this, then run this."""

    module: str
    entry: str
    profile: str
    limits: Limits
    parent: int
    readable: list[str]
    writable: list[str]


class Ready(Message, frozen=True):
    """From a process: locked down, these protections hold."""

    protections: Annotated[tuple[_Name, ...], _Few]


class Failed(Message, frozen=True):
    """From a process: it could not be set up."""

    message: str


class RunCell(Message, frozen=True):
    """To a worker: take in one notebook cell.

    Attributes:
        index: Its position in the notebook.
        definitions_only: Define its functions and classes, run nothing else.
    """

    index: int
    definitions_only: bool
    source: str
    max_print: int


class RunCall(Message, frozen=True):
    """To a worker: call a function."""

    id: int
    name: str
    args: list[Node]
    kwargs: dict[str, Node]
    max_bytes: int
    max_print: int


class ListFunctions(Message, frozen=True):
    """To a worker: name what can be called."""


class Problem(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An exception in learner's code, as data.

    Attributes:
        type: Its class's name.
        bases: Names of that class and all it derives from.
        text: Its message.
        cell: The cell of the innermost frame that is the learner's, or None.
        line: The line in that cell, or None.
        trace: The learner's frames, outermost first.
    """

    type: _Name
    bases: Annotated[tuple[_Name, ...], _Few]
    text: _Text
    cell: int | None
    line: int | None
    trace: Annotated[tuple[_Text, ...], _Few]


class Side(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What happened beside a result.

    Attributes:
        printed: The start of what was printed.
        n_dropped: Characters printed beyond that.
        warnings: `Category: text`, each once.
        attempts: What was tried and refused, such as "open a network connection".
        seconds: Time the learner's code took.
    """

    printed: _Printed
    n_dropped: int
    warnings: Annotated[tuple[_Text, ...], _Few]
    attempts: Annotated[tuple[_Text, ...], _Few]
    seconds: float


class CellDone(Message, frozen=True):
    """From a worker: one cell is taken in."""

    index: int
    problem: Problem | None
    defines: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=1_000)]
    lost: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=1_000)]
    side: Side


class Functions(Message, frozen=True):
    """From a worker: what can be called."""

    names: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=5_000)]


class Changed(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An argument that is not what it was before the call.

    Attributes:
        key: Its position or its keyword.
        value: What it is now; None with `lost` when that is not plain data.
    """

    key: int | _Name
    value: Node
    lost: bool


class Returned(Message, frozen=True):
    """From a worker: a call returned plain data."""

    id: int
    value: Node
    changed: Annotated[list[Changed], _Few]
    side: Side


class Raised(Message, frozen=True):
    """From a worker: a call raised."""

    id: int
    problem: Problem
    side: Side


class Missing(Message, frozen=True):
    """From a worker: there is no such function; `found` says what has the name instead."""

    id: int
    name: _Name
    found: _Name


class Refused(Message, frozen=True):
    """From a worker: a call returned something that does not travel."""

    id: int
    where: _Text
    what: _Text
    help: _Text
    n_bytes: int
    side: Side


class Upload(Message, frozen=True):
    """From a worker, inside a call: keep the array of this frame on the device."""


class LaunchKernel(Message, frozen=True):
    """From a worker, inside a call: run a kernel.

    Attributes:
        arrays: Handle and shape of each array by the name of its binding.
        params: Numbers by the name of their field.
    """

    file: _Name
    arrays: dict[_Name, tuple[int, Annotated[list[int], msgspec.Meta(max_length=8)]]]
    params: dict[_Name, int | float]


class Download(Message, frozen=True):
    """From a worker, inside a call: copy an array back."""

    handle: int


class OnDevice(Message, frozen=True):
    """To a worker: it is done; name, handle, shape and dtype of each array that is now on the device."""

    arrays: list[tuple[str, int, list[int], str]]


class NotOnDevice(Message, frozen=True):
    """To a worker: it could not be done; raise this."""

    message: str
    help: str


class StandIns(Message, frozen=True):
    """To a worker: from now on the course's own functions answer to these names."""

    names: Annotated[tuple[_Name, ...], _Few]


class CallCourse(Message, frozen=True):
    """From a worker, inside a call: have the course's function of this name answer."""

    name: _Name
    args: list[Node]
    kwargs: dict[_Name, Node]


class CourseReturned(Message, frozen=True):
    """To a worker: what the course's function returned, and the arguments it changed."""

    value: Node
    changed: Annotated[list[Changed], _Few]


class CourseRaised(Message, frozen=True):
    """To a worker: the course's function raised this."""

    exception: str
    text: str


DeviceRequest = Upload | LaunchKernel | Download
Request = DeviceRequest | CallCourse
ToWorker = (
    RunCell | RunCall | ListFunctions | OnDevice | NotOnDevice | StandIns | CourseReturned | CourseRaised
)
FromWorker = Ready | Failed | CellDone | Functions | Returned | Raised | Missing | Refused | Request
