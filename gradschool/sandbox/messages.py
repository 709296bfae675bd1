"""Every message between the grader and its sandboxed processes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gradschool.sandbox.limits import Limits


class Message(msgspec.Struct, tag=True, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Base of all messages: strict, tagged by its class name."""


class Start(Message):
    """To a fresh process: lock down like this, then run this."""

    module: str
    entry: str
    profile: str
    limits: Limits
    parent: int
    readable: list[str]
    writable: list[str]


class Ready(Message):
    """From a process: locked down, these protections hold."""

    protections: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)]


class Failed(Message):
    """From a process: it could not be set up."""

    message: str
