"""The child: takes in one submission's cells and answers calls with plain data.

Everything here runs in the same process as the learner's code and is trusted by
nobody; the grader checks what comes back.
"""

from __future__ import annotations

import ast
import os
import random
import sys
import types
from typing import Any

import numpy as np

import gradschool
from gradschool.errors import WireError
from gradschool.sandbox import inert, problems
from gradschool.sandbox.calls import Caller
from gradschool.sandbox.capture import Attempts, Capture
from gradschool.sandbox.cells import definitions, is_definition, names_defined, without_magics
from gradschool.sandbox.messages import (
    CellDone,
    Functions,
    ListFunctions,
    Problem,
    RunCall,
    RunCell,
    StandIns,
    ToWorker,
)
from gradschool.sandbox.readable import readable_prefixes
from gradschool.sandbox.remote_kernels import RemoteDevice, RemoteKernel
from gradschool.sandbox.stand_ins import StandIn
from gradschool.sandbox.stream import Stream
from gradschool.sandbox.wire import Channel, Protocol

_HARMLESS = ("start", "check", "show_kernel", "hint", "display")


class Worker:
    """One submission's namespace.

    Args:
        channel: The connection to the grader.
    """

    def __init__(self, channel: Channel[ToWorker]) -> None:
        self._channel = channel
        self._attempts = Attempts()
        self._module = types.ModuleType("__main__")
        self._namespace = self._module.__dict__
        self._caller = Caller(self._namespace, Capture(self._attempts))
        self._device = RemoteDevice(channel)

    def prepare(self) -> None:
        """Make this process look like a fresh notebook."""
        sys.modules["__main__"] = self._module
        sys.argv = ["notebook"]
        # Every worker starts at the same point; a result does not depend on luck.
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        inert.install([*_HARMLESS, *_notebook_names()])
        gradschool.__dict__.update(kernel=self._device.kernel, to_device=self._device.to_device)
        self._namespace["display"] = self._namespace["get_ipython"] = inert.Inert()
        # The course's own folder is on the path of an editable install; nothing there is for students.
        sys.path[:] = [entry for entry in sys.path if entry.startswith(readable_prefixes())]
        self._attempts.install(readable_prefixes())

    def serve(self) -> None:
        """Answer until the grader closes the connection."""
        while True:
            try:
                order, arrays = self._channel.receive()
            except WireError:
                return
            if isinstance(order, RunCell):
                self._channel.send(self._run_cell(order))
            elif isinstance(order, RunCall):
                self._device.in_call = True
                self._caller.answer(self._channel, order, arrays)
                self._device.in_call = False
            elif isinstance(order, StandIns):
                self._stand_in(order)
            elif isinstance(order, ListFunctions):
                self._channel.send(Functions(self._functions()))

    def _stand_in(self, order: StandIns) -> None:
        for name in order.names:
            own = self._namespace.get(name)
            if not isinstance(own, StandIn):
                self._namespace[name] = StandIn(name, own, self._device.exchange)

    def _functions(self) -> tuple[str, ...]:
        own = (name for name in self._namespace if isinstance(name, str) and not name.startswith("__"))
        short = (name for name in own if len(name) <= 200 and callable(self._namespace[name]))
        return tuple(
            name for name in short if type(self._namespace[name]) not in (inert.Inert, RemoteKernel)
        )[:5_000]

    def _run_cell(self, order: RunCell) -> CellDone:
        capture = Capture(self._attempts)
        named = names_defined(order.source)
        problem: Problem | None = None
        with capture.record(order.max_print):
            try:
                problem = self._execute(order)
            except BaseException as error:  # SystemExit and KeyboardInterrupt are the learner's too
                problem = problems.describe(error)
        present = tuple(name for name in named if name in self._namespace)
        lost = tuple(name for name in named if name not in self._namespace)
        return CellDone(order.index, problem, present, lost if problem else (), capture.side())

    def _execute(self, order: RunCell) -> Problem | None:
        source = without_magics(order.source)
        filename = problems.register(order.index, source)
        tree = ast.parse(source, filename)
        if order.definitions_only:
            return self._execute_each(definitions(tree), filename)
        if not any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body) or _from_future(tree):
            exec(_compile(tree, filename), self._namespace)
            return None
        return self._execute_past_imports(tree, filename)

    def _execute_past_imports(self, tree: ast.Module, filename: str) -> Problem | None:
        """Run a cell whose imports may fail one by one; a library that grading lacks must not cost the rest."""
        first: Problem | None = None
        for node in tree.body:
            try:
                exec(_compile(ast.Module([node], []), filename), self._namespace)
            except Exception as error:
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    return first or problems.describe(error)
                first = first or problems.describe(error)
        return first

    def _execute_each(self, nodes: list[ast.stmt], filename: str) -> Problem | None:
        """Run definitions of a cell that is not graded; its imports and constants may fail in peace."""
        first: Problem | None = None
        for node in nodes:
            try:
                exec(_compile(ast.Module([node], []), filename), self._namespace)
            except BaseException as error:
                first = first or (problems.describe(error) if is_definition(node) else None)
        return first


def main(stream: Stream) -> None:
    """Serve one submission over a connection, then end the process."""
    status = 0
    try:
        worker = Worker(Channel(stream, Protocol[ToWorker](ToWorker)))
        worker.prepare()
        worker.serve()
    except BaseException:
        status = 4
    finally:
        # No exit handlers, no flushing: nothing of the learner's runs after the last answer.
        os._exit(status)


def _compile(source: Any, filename: str) -> types.CodeType:
    return compile(source, filename, "exec", dont_inherit=True)


def _from_future(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)


def _notebook_names() -> list[str]:
    """What the package offers to notebooks, except its data sets."""
    lazy: dict[str, str] = getattr(gradschool, "_LAZY", {})
    return [name for name, module in lazy.items() if module != "gradschool.data"]
