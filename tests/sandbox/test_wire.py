from __future__ import annotations

import os
import socket
import struct
import threading
import time

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradschool.errors import WireError
from gradschool.sandbox.messages import FromWorker, Ready
from gradschool.sandbox.stream import FdStream, SocketStream, WireClosed, WireTimeout, stream_of
from gradschool.sandbox.wire import DTYPES, MAX_HEADER_BYTES, Channel, Protocol

PROTOCOL: Protocol[FromWorker] = Protocol(FromWorker)
LIMIT = 1 << 20
READY = Ready(("files",))


class Pair:
    """A channel and the raw socket at its other end."""

    def __init__(self) -> None:
        ours, self.raw = socket.socketpair()
        self.channel = Channel(stream_of(ours), PROTOCOL, LIMIT)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.raw.close()

    def receive(self, data: bytes, timeout_s: float = 0.5):
        thread = threading.Thread(target=self._write, args=(data,))
        thread.start()
        try:
            return self.channel.receive(timeout_s)
        finally:
            self.channel.close()
            thread.join()

    def _write(self, data: bytes) -> None:
        try:
            self.raw.sendall(data)
            self.raw.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the receiver refused the rest


def frame(header: object, payload: bytes = b"", n_payload: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else msgspec.msgpack.encode(header)
    return (
        struct.pack("<4sIQ", b"GS01", len(raw), len(payload) if n_payload is None else n_payload)
        + raw
        + payload
    )


def header(*arrays: tuple[object, object], message: object = READY) -> list:
    return [list(arrays), message]


@pytest.mark.parametrize("name", DTYPES)
def test_arrays_of_every_allowed_dtype_arrive_unchanged(name):
    array = np.arange(12).reshape(3, 4).astype(DTYPES[name])
    left, right = socket.socketpair()
    sender, receiver = Channel(stream_of(left), PROTOCOL), Channel(stream_of(right), PROTOCOL)
    sender.send(READY, [array, array.T, array[:0], array[0, 0].reshape(())], 1)
    message, got = receiver.receive(1)
    assert message == READY
    for sent, received in zip([array, array.T, array[:0], array[0, 0]], got, strict=True):
        assert received.dtype == sent.dtype
        assert received.shape == sent.shape
        assert received.flags.writeable
        np.testing.assert_array_equal(received, sent)
    sender.close()
    receiver.close()


def test_foreign_byte_order_arrives_as_native():
    left, right = socket.socketpair()
    sender, receiver = Channel(stream_of(left), PROTOCOL), Channel(stream_of(right), PROTOCOL)
    sender.send(READY, [np.array([1.5, 2.5], dtype=">f4")], 1)
    _, (got,) = receiver.receive(1)
    assert got.dtype == np.dtype("float32")
    assert got.dtype.isnative
    assert got.tolist() == [1.5, 2.5]
    sender.close()
    receiver.close()


@pytest.mark.parametrize(
    "data",
    [
        b"{'score': 100}\n" * 10,
        frame(b"\xc1" * 10),
        frame(header(("object", [1])), bytes(8)),
        frame(header(("complex128", [1])), bytes(16)),
        frame(header(("float32", [-1])), b""),
        frame(header(("float32", [2])), bytes(4)),
        frame(header(("float32", [1] * 9)), bytes(4)),
        frame(header(("float32", [1 << 62, 1 << 62])), bytes(4)),
        frame(header(("float32", [1 << 20, 1 << 20, 1 << 20])), b"", n_payload=16),
        frame(header(("float32", [0, 1 << 40, 1 << 40])), b""),
        frame(header(("float32", [1.5])), bytes(4)),
        frame(header(("float32", "ab")), bytes(4)),
        frame(header(("bool", [2])), b"\x00\x02"),
        frame(header(message=["Reader", []])),
        frame(header(message=["Ready", [1]])),
        frame(header(message={"type": "Ready"})),
        frame([[], READY, "more"]),
        frame(b"", n_payload=LIMIT + 1),
        struct.pack("<4sIQ", b"GS01", MAX_HEADER_BYTES + 1, 0),
        frame(b"\x91" * 100_000),
        frame(header())[:-1],
        b"",
    ],
)
def test_a_malformed_frame_is_an_error_and_nothing_else(data):
    with Pair() as pair, pytest.raises(WireError):
        pair.receive(data)


@settings(max_examples=120, deadline=None)
@given(data=st.binary(max_size=400))
def test_random_bytes_are_refused(data):
    with Pair() as pair, pytest.raises(WireError):
        pair.receive(data, 0.2)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_frame_with_one_byte_changed_is_a_message_or_an_error(data):
    good = frame(header(("float32", [2, 2]), ("bool", [3])), bytes(16) + b"\0\1\0")
    place = data.draw(st.integers(0, len(good) - 1))
    bad = good[:place] + bytes([data.draw(st.integers(0, 255))]) + good[place + 1 :]
    with Pair() as pair:
        try:
            message, arrays = pair.receive(bad, 0.2)
        except WireError:
            return
    assert isinstance(message, Ready)
    assert all(array.dtype.name in DTYPES for array in arrays)


@settings(max_examples=100, deadline=None)
@given(
    specs=st.lists(
        st.tuples(st.sampled_from([*DTYPES, "object", "U8"]), st.lists(st.integers(-1, 1 << 33), max_size=9)),
        max_size=3,
    ),
    n_payload=st.integers(0, 1 << 40),
)
def test_announced_sizes_are_checked_before_memory_is_taken(specs, n_payload):
    with Pair() as pair:
        try:
            pair.receive(frame(header(*specs), b"", n_payload), 0.2)
        except WireError:
            return
    assert n_payload == 0


def test_a_peer_that_says_nothing_is_left_at_the_deadline():
    with Pair() as pair, pytest.raises(WireTimeout):
        pair.channel.receive(0.05)


def test_a_peer_that_drips_bytes_is_left_at_the_deadline():
    with Pair() as pair:
        stop = threading.Event()

        def drip() -> None:
            for byte in frame(header(("float64", [100])), bytes(800)):
                if stop.is_set():
                    return
                pair.raw.send(bytes([byte]))
                time.sleep(0.01)

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(WireTimeout):
            pair.channel.receive(0.2)
        stop.set()
        thread.join()


def test_a_peer_that_does_not_read_is_left_at_the_deadline():
    with Pair() as pair, pytest.raises(WireTimeout):
        pair.channel.send(READY, [np.zeros(10_000_000)], 0.1)


def test_a_closed_peer_is_said_to_be_closed():
    with Pair() as pair:
        pair.raw.close()
        with pytest.raises(WireClosed):
            pair.channel.receive(0.5)


def test_descriptors_sent_along_are_not_received():
    with Pair() as pair:
        before = len(os.listdir("/dev/fd"))
        with open(os.devnull) as file:
            socket.send_fds(pair.raw, [frame(header())], [file.fileno()])
            message, _ = pair.channel.receive(0.5)
        assert message == READY
        assert len(os.listdir("/dev/fd")) == before


def test_a_header_that_is_too_long_is_not_sent():
    with Pair() as pair, pytest.raises(WireError, match="header"):
        pair.channel.send(Ready(("x" * MAX_HEADER_BYTES,)))


def test_closing_twice_is_harmless():
    left, right = socket.socketpair()
    stream = FdStream(left.detach())
    stream.close()
    stream.close()
    right.close()


def test_where_sockets_are_not_files_the_same_holds():
    left, right = socket.socketpair()
    sender, receiver = Channel(SocketStream(left), PROTOCOL), Channel(SocketStream(right), PROTOCOL)
    sender.send(READY, [np.arange(5.0)], 1)
    message, (got,) = receiver.receive(1)
    assert message == READY
    assert got.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(WireTimeout):
        receiver.receive(0.05)
    with pytest.raises(WireTimeout):
        sender.send(READY, [np.zeros(10_000_000)], 0.1)
    sender.close()
    with pytest.raises(WireClosed):
        receiver.receive(1)
    receiver.close()
