"""The GPU worker: a locked-down process that runs learners' kernels and can be killed.

A kernel can hang its driver, crash it, or leave something behind in its memory; none of
that may reach the grader. The process receives text and bytes and answers with bytes. It
holds no reference kernel and no expected number.
"""

from __future__ import annotations

import contextlib

import numpy as np

from gradschool.errors import DeviceError, KernelError, KernelLimitError
from gradschool.gpu.backend import Backend
from gradschool.gpu.device import open_backend
from gradschool.gpu.jobs import MAX_TOTAL_BYTES, JobResult, execute
from gradschool.gpu.messages import MAX_FINDINGS, Done, Open, Opened, Refused, Run, refusal
from gradschool.sandbox.messages import Message
from gradschool.sandbox.stream import Stream, WireClosed
from gradschool.sandbox.wire import Channel, Protocol


def main(stream: Stream) -> None:
    """Serve one grader until it closes the connection."""
    channel: Channel[Open | Run] = Channel(stream, Protocol(Open | Run), MAX_TOTAL_BYTES)
    backend: Backend | None = None
    while True:
        try:
            message, arrays = channel.receive()
        except WireClosed:
            return
        if isinstance(message, Open):
            backend, answer = _open(message, backend)
            channel.send(answer)
        else:
            channel.send(*_answer(message, arrays, backend))


def _open(message: Open, old: Backend | None) -> tuple[Backend | None, Message]:
    if old is not None:
        with contextlib.suppress(Exception):
            old.close()
    try:
        backend = open_backend(message.device)
    except DeviceError as error:
        return None, refusal(error)
    return backend, Opened(backend.info)


def _answer(
    message: Run, arrays: list[np.ndarray], backend: Backend | None
) -> tuple[Message, list[np.ndarray]]:
    """Run one job; whatever goes wrong becomes a message."""
    try:
        if backend is None:
            raise DeviceError("The worker has no device.")
        indices = [binding.index for binding in message.job.bindings]
        if len(indices) != len(arrays):
            raise KernelLimitError(f"{len(arrays)} buffers were sent for {len(indices)} bindings.")
        return _pack(execute(message.job, dict(zip(indices, arrays, strict=True)), backend))
    except (KernelError, DeviceError) as error:
        return refusal(error), []
    except MemoryError:
        text = f"{message.job.filename} needs more memory than a graded kernel gets."
        return Refused("limit", text, "Use smaller arrays in workgroup and private memory."), []
    except Exception as error:
        # A fault of ours, in the interpreter say: the grader must hear of it, not the learner.
        return Refused("device", f"{type(error).__name__} in the GPU worker: {error}"[:2000], ""), []


def _pack(result: JobResult) -> tuple[Message, list[np.ndarray]]:
    arrays: list[np.ndarray] = []
    after = []
    for buffers in result.buffers_after:
        after.append(list(buffers))
        arrays += buffers.values()
    arrays += [mask.view(np.uint8) for mask in result.written.values()]
    return (
        Done(
            after,
            list(result.written),
            result.workgroup_size,
            result.findings[:MAX_FINDINGS],
            result.steps,
            result.cost,
        ),
        arrays,
    )
