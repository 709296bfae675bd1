"""Plain data and nothing else: turn arguments and results into a tree and arrays, and back.

What travels: None, bool, int, float, str, NumPy arrays and scalars, tuples, lists,
dicts with str or int keys, a random generator as its seed or state, and a function
as its name. Types are compared exactly, because a subclass can lie about itself.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from gradschool.errors import SandboxError, WireError
from gradschool.sandbox import functions
from gradschool.sandbox.nodes import (
    ArrayNode,
    BigIntNode,
    BytesNode,
    DictNode,
    FunctionNode,
    ListNode,
    Node,
    RngNode,
    ScalarNode,
    SeedNode,
    TupleNode,
)
from gradschool.sandbox.wire import DTYPES, MAX_ARRAYS, MAX_DIMS

MAX_DEPTH = 32
MAX_NODES = 50_000
MAX_TEXT = 100_000


class Seed(msgspec.Struct, frozen=True):
    """An argument that becomes `np.random.default_rng(value)` in the worker."""

    value: int


class Unsendable(Exception):
    """A value that is not plain data.

    Args:
        where: Its place, such as `[1]['w']`; empty for the value itself.
        what: What it is, in words.
        help: What to return instead.
    """

    def __init__(self, where: str, what: str, help: str = "") -> None:
        super().__init__(f"{where or 'the value'} is {what}")
        self.where = where
        self.what = what
        self.help = help


class TooMuch(Unsendable):
    """Plain data, but more of it than travels in one message."""


class TooLarge(Exception):
    """A value of more bytes than are accepted.

    Args:
        n_bytes: How many it needs, at least.
    """

    def __init__(self, n_bytes: int) -> None:
        super().__init__(f"{n_bytes:,} bytes")
        self.n_bytes = n_bytes


class Encoder:
    """Encodes values into nodes and collects their arrays for one frame.

    Args:
        max_bytes: Most array bytes in all.
        orders: Whether orders may be encoded too (functions, generators): the
            grader gives them, a submission's answer holds data only.
    """

    def __init__(self, max_bytes: int, *, orders: bool = False) -> None:
        self.arrays: list[np.ndarray] = []
        self._max_bytes = max_bytes
        self._orders = orders
        self._n_bytes = 0
        self._n_nodes = 0
        self._seen: dict[int, int] = {}
        self._kept: list[np.ndarray] = []

    def encode(self, value: Any, where: str = "", depth: int = 0) -> Node:
        """Encode one value.

        Raises:
            Unsendable: It, or a part of it, is not plain data.
            TooLarge: It holds too many bytes.
        """
        self._n_nodes += 1
        if depth > MAX_DEPTH:
            raise TooMuch(where[:60], f"nested more than {MAX_DEPTH} deep", "Return a flatter structure.")
        if self._n_nodes > MAX_NODES:
            raise TooMuch("", f"made of more than {MAX_NODES:,} parts", "Return arrays, not long lists.")
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is np.ndarray:
            return ArrayNode(self._add_array(value, where))
        if kind is int:
            return value if -(2**63) <= value < 2**63 else self._big_int(value, where)
        if kind is str:
            return self._text(value, where)
        if kind is bytes and len(value) <= MAX_TEXT:
            return BytesNode(value)
        if kind is tuple or kind is list:
            items = [self.encode(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
            return TupleNode(items) if kind is tuple else ListNode(items)
        if kind is dict:
            return DictNode([self._item(key, item, where, depth) for key, item in value.items()])
        if issubclass(kind, np.generic):
            return ScalarNode(self._add_array(np.asarray(value), where, "a NumPy scalar"))
        if self._orders:
            return _encode_order(value, where)
        raise Unsendable(where, describe_type(value), _help_for(value))

    def _item(self, key: Any, item: Any, where: str, depth: int) -> tuple[str | int, Node]:
        if type(key) is not str and not (type(key) is int and -(2**63) <= key < 2**63):
            raise Unsendable(where, f"a dict with a key of type {type(key).__name__}", "Use strings as keys.")
        key = self._text(key, where) if type(key) is str else key
        return key, self.encode(item, f"{where}[{key!r:.60}]", depth + 1)

    def _text(self, text: str, where: str) -> str:
        if len(text) > MAX_TEXT:
            raise TooMuch(where, f"a string of {len(text):,} characters", "Return numbers or arrays.")
        return text.encode("utf-8", "replace").decode()

    def _big_int(self, value: int, where: str) -> BigIntNode:
        if value.bit_length() > 16_000:
            raise TooMuch(where, "an int of more than 16,000 bits", "Return a float or an array.")
        return BigIntNode(hex(value))

    def _add_array(self, array: np.ndarray, where: str, what: str = "an array") -> int:
        if array.dtype.name not in DTYPES:
            raise Unsendable(where, f"{what} of dtype {str(array.dtype)[:60]}", _dtype_help(array.dtype))
        if array.ndim > MAX_DIMS:
            raise TooMuch(where, f"an array with {array.ndim} axes", f"At most {MAX_DIMS} axes are accepted.")
        if id(array) in self._seen and what == "an array":
            return self._seen[id(array)]
        self._n_bytes += array.nbytes
        if self._n_bytes > self._max_bytes:
            raise TooLarge(self._n_bytes)
        if len(self.arrays) == MAX_ARRAYS:
            raise TooMuch(where, f"one of more than {MAX_ARRAYS:,} arrays", "Stack them into one array.")
        self._seen[id(array)] = len(self.arrays)
        self._kept.append(array)  # while it lives, its id is its own
        # Copies are made here, where a lack of memory is still an ordinary error.
        self.arrays.append(np.ascontiguousarray(array, DTYPES[array.dtype.name]).reshape(array.shape))
        return len(self.arrays) - 1


def decode(
    node: Node, arrays: list[np.ndarray], namespace: functions.Lookup | None = None, depth: int = 0
) -> Any:
    """Rebuild a value from its node.

    Args:
        node: The tree.
        arrays: The frame's arrays.
        namespace: Finds functions by name; None refuses functions and generators,
            as the grader does with answers.
        depth: How deep this node lies.

    Raises:
        WireError: The tree refers to what is not there, or to what may not come this way.
    """
    if depth > MAX_DEPTH + 1:
        raise WireError("a value is nested too deep")
    if isinstance(node, ArrayNode | ScalarNode):
        if not 0 <= node.index < len(arrays):
            raise WireError("a value refers to an array that was not sent")
        array = arrays[node.index]
        if isinstance(node, ArrayNode):
            return array
        if array.ndim:
            raise WireError("a scalar with axes was sent")
        return array[()]
    if isinstance(node, TupleNode):
        return tuple(decode(item, arrays, namespace, depth + 1) for item in node.items)
    if isinstance(node, ListNode):
        return [decode(item, arrays, namespace, depth + 1) for item in node.items]
    if isinstance(node, DictNode):
        return {key: decode(item, arrays, namespace, depth + 1) for key, item in node.items}
    if isinstance(node, BytesNode):
        return node.data
    if isinstance(node, BigIntNode):
        try:
            return int(node.text, 16)
        except ValueError:
            raise WireError("an int was not sent as one") from None
    if isinstance(node, SeedNode | RngNode | FunctionNode):
        return _decode_order(node, namespace)
    return node


def describe_type(value: Any) -> str:
    """Name a value's type with its article, as a learner knows it."""
    kind = type(value)
    name = (
        kind.__name__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__name__}"
    )
    return f"a value of type {str(name)[:80]}"


def _encode_order(value: Any, where: str) -> Node:
    if type(value) is Seed:
        return SeedNode(value.value)
    if type(value) is np.random.Generator:
        state = value.bit_generator.state
        if state["bit_generator"] != "PCG64":
            raise SandboxError(
                f"A {state['bit_generator']} generator cannot travel; use np.random.default_rng."
            )
        inner = state["state"]
        return RngNode(
            hex(inner["state"]), hex(inner["inc"]), bool(state["has_uint32"]), int(state["uinteger"])
        )
    name = functions.name_of(value)
    if name is None:
        raise Unsendable(where, describe_type(value))
    return FunctionNode(name)


def _decode_order(node: SeedNode | RngNode | FunctionNode, namespace: functions.Lookup | None) -> Any:
    if namespace is None:
        raise WireError("an answer holds something other than data")
    if isinstance(node, FunctionNode):
        return namespace(node.name)
    if isinstance(node, SeedNode):
        return np.random.default_rng(node.seed)
    generator = np.random.PCG64(0)
    generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(node.state, 16), "inc": int(node.increment, 16)},
        "has_uint32": int(node.has_spare),
        "uinteger": node.spare,
    }
    return np.random.Generator(generator)


def _help_for(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "Return a plain array: np.asarray(out)."
    if type(value).__module__.split(".")[0] == "torch":
        return "Return NumPy arrays: out.detach().numpy()."
    if callable(value):
        return "Call it, and return what it gives."
    return "Return arrays, numbers, strings, None, and tuples, lists or dicts of them."


def _dtype_help(dtype: np.dtype) -> str:
    if dtype.kind == "O":
        return (
            "An object array often comes from rows of different lengths; make a rectangular array of numbers."
        )
    if dtype.kind == "c":
        return "Take the real part: out.real."
    return f"Return an array of one of {', '.join(DTYPES)}."
