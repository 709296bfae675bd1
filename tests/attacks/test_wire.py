"""Python that speaks for its worker: whatever it sends, it is an answer to be judged, or its own failure."""

from __future__ import annotations

from typing import Any

import pytest

LOST = {"double": 0.0}

# An insider's way to the worker that runs the code, its connection, and the descriptor below.
INSIDE = """
import gc, os, struct, time
from gradschool.sandbox import calls, messages, nodes, worker
gc.unfreeze()
me = next(item for item in gc.get_objects() if type(item) is worker.Worker)
channel = me._channel
wire = channel._stream.fileno()
side = messages.Side("", 0, (), (), 0.0)

def answer_with(change):
    real = calls._pack
    def pack(order, value, changed, side):
        message, arrays = real(order, value, changed, side)
        return (change(order, message) if order.name == "double" else message), arrays
    calls._pack = pack

def header(message):
    return struct.pack("<4sIQ", b"GS01", len(message), 0) + message

def nested(depth):
    return b"\\x92\\x90" + b"\\x91" * depth + b"\\xc0"
"""

# What is written to the descriptor itself.
RAW = {
    "random bytes": "os.urandom(4096)",
    "a frame of another protocol": "b'GET / HTTP/1.1\\r\\n\\r\\n' * 9",
    "a header that never comes": "struct.pack('<4sIQ', b'GS01', 1000, 0)",
    "a header of 4 GB": "struct.pack('<4sIQ', b'GS01', 0xFFFFFFFF, 0)",
    "arrays of 4 exabytes": "struct.pack('<4sIQ', b'GS01', 64, 1 << 62)",
    "an empty frame": "header(b'')",
    "a header that is no msgpack": "header(b'\\xc1' * 64)",
    "a header nested a million deep": "header(nested(900_000))",
    "a header with text that is no text": "header(b'\\x92\\x90\\xa3\\xff\\xfe\\xfd')",
    "arrays that were not announced": "struct.pack('<4sIQ', b'GS01', 2, 800) + b'\\x92\\x90'",
    "a shape of another size": (
        "struct.pack('<4sIQ', b'GS01', 13, 8) + b'\\x92\\x91\\x92\\xa7float64\\x91\\x09\\xc0'[:13] + b'x' * 8"
    ),
    "half a frame, and half again": "header(b'\\x92\\x90\\xc0')[:9]",
}

# What is sent as a message of the agreed form; and words of the record.
MESSAGES: dict[str, tuple[str, str]] = {
    "an answer before it was asked": (
        "channel.send(messages.Returned(99, None, [], side))\nreturn x * 2.0",
        "not asked",
    ),
    "the answer to the next call": (
        "channel.send(messages.Returned(2, None, [], side))\nreturn x * 2.0",
        "not asked",
    ),
    "a second answer": (
        "me._caller.answer(channel, messages.RunCall(1, 'halve', [nodes.ArrayNode(0)], {}, 1 << 20, 9), [x * 6.0])\n"
        "return x * 2.0",
        "wrong",
    ),
    "that it is ready": ("channel.send(messages.Ready(()))\nreturn x * 2.0", "not asked"),
    "that it failed": ("channel.send(messages.Failed('the grader is broken'))\nreturn x * 2.0", "not asked"),
    "a cell in place of an answer": (
        "channel.send(messages.CellDone(0, None, (), (), side))\nreturn x * 2.0",
        "not asked",
    ),
    "a changed argument there never was": (
        "answer_with(lambda order, m: messages.Returned(m.id, m.value, [messages.Changed(-99, None, True)], m.side))\n"
        "return x * 2.0",
        "cannot be read",
    ),
    "a changed argument under a name": (
        "answer_with(lambda order, m: messages.Returned(m.id, m.value, [messages.Changed('y' * 200, None, True)], m.side))\n"
        "return x * 2.0",
        "cannot be read",
    ),
    "an array that was not sent": (
        "answer_with(lambda order, m: messages.Returned(m.id, nodes.ArrayNode(7), [], m.side))\nreturn x * 2.0",
        "cannot be read",
    ),
    "a scalar with axes": (
        "answer_with(lambda order, m: messages.Returned(m.id, nodes.ScalarNode(0), [], m.side))\nreturn x * 2.0",
        "cannot be read",
    ),
    "a function to call": (
        "answer_with(lambda order, m: messages.Returned(m.id, nodes.FunctionNode('exp'), [], m.side))\nreturn x * 2.0",
        "cannot be read",
    ),
    "a generator to draw from": (
        "answer_with(lambda order, m: messages.Returned(m.id, nodes.SeedNode(1), [], m.side))\nreturn x * 2.0",
        "cannot be read",
    ),
    "an int that is none": (
        "answer_with(lambda order, m: messages.Returned(m.id, nodes.BigIntNode('0xg'), [], m.side))\nreturn x * 2.0",
        "cannot be read",
    ),
    "an int of sixteen thousand bits": (
        "answer_with(lambda order, m: messages.Returned(m.id, nodes.BigIntNode('f' * 4096), [], m.side))\nreturn x * 2.0",
        "a int",
    ),
    "lists in lists in lists": (
        "tree = None\nfor _ in range(60): tree = nodes.ListNode([tree])\n"
        "answer_with(lambda order, m: messages.Returned(m.id, tree, [], m.side))\nreturn x * 2.0",
        "cannot be read",
    ),
    "fifty thousand parts": ("return [0.0] * 49_990", "a list of 49990"),
    "sixteen thousand arrays": ("return [np.zeros(1) for _ in range(16_000)]", "a list of 16000"),
    "time that is no number": (
        "answer_with(lambda order, m: messages.Returned(m.id, None, [], messages.Side('', -1, (), (), float('nan'))))\n"
        "return x * 2.0",
        "None",
    ),
    "an exception with everything in it": (
        "problem = messages.Problem('T' * 200, (), 'w' * 4000, 1 << 62, 1 << 62, ('t' * 4000,) * 64)\n"
        "answer_with(lambda order, m: messages.Raised(order.id, problem, m.side))\nreturn x * 2.0",
        "double raised",
    ),
    "that it is still to be written": (
        "answer_with(lambda order, m: messages.Raised(order.id, messages.Problem('NotImplementedError', (), "
        "'halve: your code here', None, None, ()), m.side))\nreturn x * 2.0",
        "not written yet",
    ),
    "that it is another function's turn": (
        "answer_with(lambda order, m: messages.Missing(order.id, 'halve', 'f' * 200))\nreturn x * 2.0",
        "not a function",
    ),
    "that more was refused than there is": (
        "many = messages.Side('p' * 60_000, 1 << 62, ('w' * 4000,) * 64, tuple((str(i) * 3000)[:4000] for i in range(64)), 0.0)\n"
        "answer_with(lambda order, m: messages.Returned(m.id, None, [], many))\nreturn x * 2.0",
        "None",
    ),
    "for the course's own function": (
        "reply, _ = me._device.exchange(messages.CallCourse('double', [nodes.ArrayNode(0)], {}), [x])\n"
        "raise RuntimeError(reply.text)",
        "not the course's to answer",
    ),
    "for the course's kernel": (
        "return gs.kernel('scale_shift.wgsl')(x=x.astype(np.float32), alpha=2.0, beta=0.0).astype(float)",
        "No kernel can be launched here",
    ),
    "for the device without end": (
        "while True:\n    me._device.exchange(messages.Download(0), [])",
        "did not return within 3 s",
    ),
    "requests and takes no reply": (
        "while True: channel.send(messages.Download(0), [])",
        "did not return within 3 s",
    ),
    "its answer byte by byte": (
        "frame = header(b'\\x92\\x90' + b'\\xc0' * 9)\n"
        "for byte in frame[:-1]:\n    os.write(wire, bytes([byte]))\n    time.sleep(0.1)\nreturn x * 2.0",
        "double",
    ),
    "nothing any more": ("os.close(wire)\ntime.sleep(60)", "double ended the Python process"),
    "what it reads back to itself": (
        "other = os.dup(wire)\nos.set_blocking(other, True)\nos.read(other, 1)",
        "did not return within 3 s",
    ),
}

LOADING: dict[str, dict[str, Any]] = {
    "a second report of every cell": {
        "first": (
            INSIDE + "real = me._run_cell\n"
            "def run(order):\n    done = real(order)\n    channel.send(done)\n    return done\nme._run_cell = run",
        ),
        "loses": {"double": 0.0, "halve": 0.0},
        "says": ("disturbed the connection",),
    },
    "a report too many at the end": {
        "last": (INSIDE + "channel.send(messages.CellDone(99, None, (), (), side))",),
        "says": ("disturbed the connection",),
    },
    "its list of functions, never": {
        "last": (INSIDE + "me._functions = lambda: os._exit(0)",),
        "says": ("ended the Python process",),
    },
    "its list of functions, never, from the start": {
        "first": (INSIDE + "me._functions = lambda: os._exit(0)",),
        "loses": {"double": 0.0, "halve": 0.0},
        "says": ("ended the Python process",),
    },
    "names of functions that are no names": {
        "last": (INSIDE + "me._functions = lambda: ('<b>' * 60,) * 5000",),
        "says": (),
    },
    "that a cell defines everything": {
        "last": (
            INSIDE + "channel.send(messages.CellDone(9, None, ('double',) * 999, ('halve',) * 999, side))\n",
        ),
        "says": ("disturbed the connection",),
    },
}


def _body(code: str) -> str:
    lines = [*INSIDE.splitlines(), *code.splitlines()]
    return "def double(x):\n" + "\n".join(f"    {line}" for line in lines) + "\n"


TABLE: dict[str, dict[str, Any]] = {
    **{
        f"writes {name}": {
            "double": _body(f"os.write(wire, {data})\ntime.sleep(60)"),
            "loses": LOST,
            "says": ("double",),
        }
        for name, data in RAW.items()
    },
    **{
        f"sends {name}": {"double": _body(code), "loses": LOST, "says": (words,)}
        for name, (code, words) in MESSAGES.items()
    },
    **{f"gives {name}": entry for name, entry in LOADING.items()},
}


@pytest.fixture(scope="module")
def graded(grade_attacks):
    return grade_attacks(TABLE)


@pytest.mark.parametrize("name", [*TABLE, "aaron", "mira", "zoe"])
def test_a_forged_message_is_judged_or_is_the_sender_s_failure(graded, name: str) -> None:
    graded.expect(name)


def test_no_message_of_a_sender_grows_beyond_a_paragraph(graded) -> None:
    for student, record in graded.records.items():
        assert len(record.problems) <= 45, student
        assert max(len(text) for text in [*record.problems, ""]) <= 400, student
        assert max(len(item.message) for item in record.exercises) < 1_000, student
