from __future__ import annotations

import os
import socket

import pytest

from gradschool.gpu import patience
from gradschool.sandbox.stream import FdStream, WireTimeout


@pytest.fixture
def pair():
    """A stream and the socket at its other end."""
    ours, theirs = socket.socketpair()
    stream = FdStream(ours.detach())
    yield stream, theirs
    stream.close()
    theirs.close()


def cpu_of(monkeypatch: pytest.MonkeyPatch, *readings: float | None) -> list[float | None]:
    left = list(readings)
    monkeypatch.setattr(patience, "cpu_seconds", lambda pid: left.pop(0) if len(left) > 1 else left[0])
    return left


def test_an_answer_that_is_there_ends_the_wait(pair) -> None:
    stream, other = pair
    other.send(b"x")
    patience.wait_for_answer(stream, os.getpid(), 5.0)


def test_a_process_that_used_its_time_is_not_waited_for(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_of(monkeypatch, 0.0, 0.04)
    with pytest.raises(WireTimeout):
        patience.wait_for_answer(pair[0], 1, 0.05)


def test_a_process_that_got_no_processor_is_waited_for_longer(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    left = cpu_of(monkeypatch, 0.0, 0.0, 0.01, 0.04)
    with pytest.raises(WireTimeout):
        patience.wait_for_answer(pair[0], 1, 0.05)
    assert left == [0.04]


def test_nobody_is_waited_for_for_ever(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_of(monkeypatch, 0.0)
    with pytest.raises(WireTimeout):
        patience.wait_for_answer(pair[0], 1, 0.05)


def test_without_a_process_file_the_wall_clock_decides(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_of(monkeypatch, None)
    with pytest.raises(WireTimeout):
        patience.wait_for_answer(pair[0], 1, 0.05)


def test_processor_time_of_this_process_is_known_on_linux() -> None:
    used = patience.cpu_seconds(os.getpid())
    assert used is None or used >= 0.0
    assert patience.cpu_seconds(2**30) is None
