"""Frames between two processes: a typed header and raw array bytes, never code.

```
"GS01" | u32 header bytes | u64 payload bytes | header (msgpack) | array bytes ...
```

The header lists the dtype and shape of each array and holds one message. The
receiver believes none of it: sizes are compared with limits and with each
other before a single array is allocated.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import numpy as np

from gradschool.errors import WireError
from gradschool.sandbox.stream import Deadline, Stream

MAX_HEADER_BYTES = 1 << 20
"""Room for a tree of some ten thousand numbers; decoding it costs tens of megabytes at worst."""

MAX_PAYLOAD_BYTES = 256 << 20
MAX_ARRAYS = 16_384
MAX_DIMS = 8

DTYPES: dict[str, np.dtype] = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}

_MAGIC = b"GS01"
_PREFIX = struct.Struct("<4sIQ")
_Dim = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]

M = TypeVar("M")


class ArraySpec(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What is announced about one array: enough to check and allocate it."""

    dtype: str
    shape: Annotated[list[_Dim], msgspec.Meta(max_length=MAX_DIMS)]

    def n_bytes(self) -> int:
        """Size of the array's data.

        Raises:
            WireError: The dtype is not one that travels.
        """
        dtype = DTYPES.get(self.dtype)
        if dtype is None:
            raise WireError(
                f"an array of dtype {self.dtype[:40]!r} was announced; allowed are {', '.join(DTYPES)}"
            )
        return math.prod(self.shape) * dtype.itemsize


class _Header(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    arrays: Annotated[list[ArraySpec], msgspec.Meta(max_length=MAX_ARRAYS)]
    message: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(_Header)


class Protocol(Generic[M]):
    """The messages one side accepts, decoded strictly.

    Args:
        accepts: A `msgspec.Struct`, or a union of tagged ones.
    """

    def __init__(self, accepts: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(accepts)

    def decode(self, raw: msgspec.Raw) -> M:
        """Decode one message or raise `WireError`."""
        try:
            return self._decoder.decode(raw)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise WireError(f"a message is not of the agreed form: {str(error)[:200]}") from None


class Channel(Generic[M]):
    """One end of a connection between two processes.

    Args:
        stream: Where the bytes go.
        protocol: The messages this end accepts.
        max_payload_bytes: Most array bytes accepted in one message.
    """

    def __init__(
        self, stream: Stream, protocol: Protocol[M], max_payload_bytes: int = MAX_PAYLOAD_BYTES
    ) -> None:
        self._stream = stream
        self._protocol = protocol
        self.max_payload_bytes = max_payload_bytes

    def send(
        self, message: msgspec.Struct, arrays: Sequence[np.ndarray] = (), timeout_s: float | None = None
    ) -> None:
        """Send one message and its arrays.

        Args:
            message: Any struct the other end's protocol accepts.
            arrays: Arrays of an allowed dtype, any memory layout.
            timeout_s: How long the other side may take to read it.

        Raises:
            WireError: It does not fit, or was not taken in time.
        """
        specs = [ArraySpec(array.dtype.name, list(array.shape)) for array in arrays]
        total = sum(spec.n_bytes() for spec in specs)
        header = _encoder.encode(_Header(specs, msgspec.Raw(_encoder.encode(message))))
        if len(header) > MAX_HEADER_BYTES:
            raise WireError(
                f"a message header has {len(header):,} bytes; at most {MAX_HEADER_BYTES:,} are sent"
            )
        deadline = Deadline(timeout_s)
        prefix = _PREFIX.pack(_MAGIC, len(header), total)
        self._stream.write(memoryview(prefix + header), deadline)
        for spec, array in zip(specs, arrays, strict=True):
            if array.nbytes:
                data = np.ascontiguousarray(array, DTYPES[spec.dtype]).reshape(-1).view(np.uint8)
                self._stream.write(data.data, deadline)

    def receive(self, timeout_s: float | None = None) -> tuple[M, list[np.ndarray]]:
        """Wait for one message and its arrays.

        Args:
            timeout_s: How long all of it may take.

        Returns:
            The decoded message and fresh, writable arrays.

        Raises:
            WireTimeout: It was not complete in time.
            WireClosed: The other side went away.
            WireError: It is malformed or too large.
        """
        deadline = Deadline(timeout_s)
        prefix = bytearray(_PREFIX.size)
        self._stream.read_into(memoryview(prefix), deadline)
        magic, n_header, n_payload = _PREFIX.unpack(prefix)
        if magic != _MAGIC:
            raise WireError("a message does not start as one; something else wrote to the connection")
        if n_header > MAX_HEADER_BYTES:
            raise WireError(
                f"a header of {n_header:,} bytes was announced; at most {MAX_HEADER_BYTES:,} are accepted"
            )
        if n_payload > self.max_payload_bytes:
            raise WireError(
                f"{n_payload:,} bytes were announced; at most {self.max_payload_bytes:,} are accepted"
            )
        raw = bytearray(n_header)
        self._stream.read_into(memoryview(raw), deadline)
        header = _decode_header(raw)
        total = sum(spec.n_bytes() for spec in header.arrays)
        if total != n_payload:
            raise WireError(f"the shapes announced need {total:,} bytes, the frame holds {n_payload:,}")
        message = self._protocol.decode(header.message)
        return message, [self._receive_array(spec, deadline) for spec in header.arrays]

    def close(self) -> None:
        """Close this end."""
        self._stream.close()

    def _receive_array(self, spec: ArraySpec, deadline: Deadline) -> np.ndarray:
        try:
            array = np.empty(spec.shape, DTYPES[spec.dtype])
        except (ValueError, MemoryError) as error:
            raise WireError(f"an array of shape {tuple(spec.shape)} cannot be made: {error}") from None
        if array.nbytes:
            data = array.reshape(-1).view(np.uint8)
            self._stream.read_into(data.data, deadline)
            # Any byte but 0 and 1 in a bool array is undefined behaviour in NumPy.
            if spec.dtype == "bool" and data.max() > 1:
                raise WireError("an array of booleans holds bytes other than 0 and 1")
        return array


def _decode_header(raw: bytearray) -> _Header:
    try:
        return _header_decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(f"a header is not of the agreed form: {str(error)[:200]}") from None
