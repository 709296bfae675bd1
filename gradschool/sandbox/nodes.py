"""The tree in which plain data travels; arrays lie beside it in the frame."""

from __future__ import annotations

from typing import Annotated

import msgspec


class _Node(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass


class ArrayNode(_Node, tag=1, frozen=True):
    """The array at this index of the frame; equal indices are one array."""

    index: int


class ScalarNode(_Node, tag=2, frozen=True):
    """A NumPy scalar, sent as an array without axes."""

    index: int


class BigIntNode(_Node, tag=3, frozen=True):
    """An int of more than 64 bits, in hexadecimal."""

    text: Annotated[str, msgspec.Meta(max_length=4096)]


class TupleNode(_Node, tag=4, frozen=True):
    """A tuple."""

    items: list[Node]


class ListNode(_Node, tag=5, frozen=True):
    """A list."""

    items: list[Node]


class DictNode(_Node, tag=6, frozen=True):
    """A dict, as its items in order."""

    items: list[tuple[str | int, Node]]


class SeedNode(_Node, tag=7, frozen=True):
    """A fresh random generator."""

    seed: int


class RngNode(_Node, tag=8, frozen=True):
    """A PCG64 generator in the middle of its stream: state, increment, spare 32 bits."""

    state: Annotated[str, msgspec.Meta(max_length=40)]
    increment: Annotated[str, msgspec.Meta(max_length=40)]
    has_spare: bool
    spare: int


class FunctionNode(_Node, tag=9, frozen=True):
    """A function, by name."""

    name: Annotated[str, msgspec.Meta(max_length=200)]


class BytesNode(_Node, tag=10, frozen=True):
    """A short bytes object."""

    data: bytes


Node = (
    None | bool | int | float | str
    | ArrayNode | ScalarNode | BigIntNode | TupleNode | ListNode | DictNode | SeedNode | RngNode | FunctionNode
    | BytesNode
)  # fmt: skip
