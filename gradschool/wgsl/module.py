"""What users of the interpreter hold: a compiled module, its bindings, and the result of a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradschool.errors import KernelError
from gradschool.wgsl import ast
from gradschool.wgsl.access_log import AccessLog
from gradschool.wgsl.check import check
from gradschool.wgsl.cost import Cost
from gradschool.wgsl.describe import (
    Binding,
    EntryPoint,
    binding_of,
    by_number,
    entry_point,
)
from gradschool.wgsl.errors import Source, WgslError
from gradschool.wgsl.findings import Finding
from gradschool.wgsl.parser import parse
from gradschool.wgsl.program import Program
from gradschool.wgsl.run import SUBGROUP_SIZE, BufferIn, OutOfSteps, Run

MAX_STEPS = 200_000
MAX_WORKGROUPS = 65_535
MAX_INVOCATIONS = 1 << 26
MAX_BUFFER_BYTES = 1 << 28
_RECURSION = 20_000


@dataclass(slots=True)
class RunResult:
    """What a run left behind.

    Attributes:
        buffers: Bytes of every buffer after the run, by binding.
        written: Per 4-byte word of each read_write buffer, whether the kernel wrote it (only with `detect`).
        findings: Problems found, hard ones first.
        steps: Loop iterations of all batches.
        cost: Counted work, when asked for.
    """

    buffers: dict[int, np.ndarray]
    written: dict[int, np.ndarray]
    findings: list[Finding]
    steps: int
    cost: Cost | None = None

    @property
    def hard(self) -> list[Finding]:
        """Findings after which the numbers cannot be trusted."""
        return [f for f in self.findings if f.hard]


@dataclass(slots=True)
class Module:
    """A compiled source."""

    source: Source
    functions: list[ast.Function]
    entry_points: dict[str, EntryPoint]
    bindings: tuple[Binding, ...]
    _programs: dict[tuple[str, bool], Program] = field(default_factory=dict)

    def _program(self, entry: str, cost: bool) -> Program:
        key = (entry, cost)
        if key not in self._programs:
            f = next(f for f in self.functions if f.entry is not None and f.name == entry)
            self._programs[key] = Program(self.source, f, cost)
        return self._programs[key]

    def run(
        self,
        entry: str = "main",
        *,
        workgroups: tuple[int, ...] = (1, 1, 1),
        buffers: Mapping[int, BufferIn | np.ndarray] | None = None,
        max_steps: int = MAX_STEPS,
        detect: bool = True,
        cost: bool = False,
        log: bool = False,
        subgroup_size: int = SUBGROUP_SIZE,
    ) -> RunResult:
        """Run an entry point.

        Args:
            entry: Its name.
            workgroups: How many workgroups along x, y and z.
            buffers: A buffer per binding; an array stands for `BufferIn` of its bytes.
            max_steps: Loop iterations of a batch of workgroups after which the run is stopped with a finding.
            detect: Look for races, divergent barriers, uninitialised and out-of-bounds accesses.
            cost: Count memory traffic and arithmetic.
            subgroup_size: Invocations of a subgroup: a power of two from 4 to 128.
            log: Count, and keep every access too: `cost` of the result is then an `AccessLog`.

        Returns:
            Buffers, findings and counts.

        Raises:
            KernelError: The entry point or a buffer is missing, or something is too large.
        """
        if entry not in self.entry_points:
            known = ", ".join(self.entry_points) or "none"
            raise KernelError(
                f"{self.source.file} has no entry point {entry}; it has {known}",
                help=f"name it {entry}",
            )
        point = self.entry_points[entry]
        counts = (*workgroups, 1, 1, 1)[:3]
        if subgroup_size not in (4, 8, 16, 32, 64, 128):
            raise KernelError(f"a subgroup has 4, 8, 16, 32, 64 or 128 invocations, not {subgroup_size}")
        self._check_dispatch(point, counts)
        given = {k: b if isinstance(b, BufferIn) else BufferIn(_bytes(b)) for k, b in (buffers or {}).items()}
        for b in point.bindings:
            self._check_buffer(b, given.get(b.binding))
        ledger = AccessLog(self.source) if log else Cost(self.source) if cost else None
        run = Run(
            self._program(entry, ledger is not None),
            point.workgroup_size,
            counts,
            max_steps,
            detect,
            ledger,
            subgroup_size,
        )
        self._execute(run, given)
        result = self._result(run, point, given, ledger)
        if detect and (run.ordered or run.stored) and not result.hard:
            again = Run(
                self._program(entry, False),
                point.workgroup_size,
                counts,
                max_steps,
                False,
                None,
                subgroup_size,
            )
            again.backwards, again.one_by_one = True, bool(run.stored)
            self._execute(again, given)
            _compare_orders(run, again, point)
            result.findings = _sorted(run)
        return result

    def _execute(self, run: Run, given: dict[int, BufferIn]) -> None:
        with np.errstate(all="ignore"):
            for info in run.program.infos.values():
                if info.space in ("uniform", "storage"):
                    run.bind(info, given[info.binding])
            try:
                if all(run.workgroups):
                    run.execute()
            except OutOfSteps:
                run.total_steps += run.steps
            except MemoryError:
                raise KernelError(
                    f"{self.source.file} needs more memory than the interpreter has",
                    help="use smaller arrays",
                ) from None

    @staticmethod
    def _check_dispatch(point: EntryPoint, counts: tuple[int, ...]) -> None:
        if any(n < 0 or n > MAX_WORKGROUPS for n in counts):
            raise KernelError(f"workgroups must be 0 to {MAX_WORKGROUPS} along each axis, got {counts}")
        sx, sy, sz = point.workgroup_size
        total = counts[0] * counts[1] * counts[2] * sx * sy * sz
        if total > MAX_INVOCATIONS:
            raise KernelError(f"{total} invocations are more than the interpreter runs ({MAX_INVOCATIONS})")

    @staticmethod
    def _check_buffer(b: Binding, given: BufferIn | None) -> None:
        if given is None:
            raise KernelError(
                f"binding {b.binding} ({b.name}) has no buffer",
                help="pass one under its binding number",
            )
        data = given.data
        if not (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 1):
            raise KernelError(f"the buffer of binding {b.binding} ({b.name}) must be a 1-D uint8 array")
        if len(data) < b.min_bytes:
            raise KernelError(
                f"binding {b.binding} ({b.name}) needs at least {b.min_bytes} bytes, got {len(data)}"
            )
        if len(data) > MAX_BUFFER_BYTES:
            raise KernelError(
                f"binding {b.binding} ({b.name}) has {len(data)} bytes; the limit is {MAX_BUFFER_BYTES}"
            )

    @staticmethod
    def _result(run: Run, point: EntryPoint, given: dict[int, BufferIn], ledger: Cost | None) -> RunResult:
        buffers: dict[int, np.ndarray] = {k: b.data.copy() for k, b in given.items()}
        written: dict[int, np.ndarray] = {}
        for b in point.bindings:
            memory: Any = run.memories[b.name]
            if b.access != "read_write":
                continue
            out = buffers[b.binding]
            granule = memory.info.layout.granule
            n_bytes = memory.size * granule
            found = memory.data.view(np.uint8)[:n_bytes]
            if memory.written is None:
                keep = memory.limit * granule
                out[:keep] = found[:keep]
                continue
            flags = memory.written[: memory.size]
            touched = np.repeat(flags, granule)
            touched[: memory.limit * granule] = True
            out[:n_bytes][touched] = found[touched]
            per_word = 4 // granule
            padded = np.zeros(-(-memory.size // per_word) * per_word, bool)
            padded[: memory.size] = flags
            written[b.binding] = np.asarray(padded.reshape(-1, per_word).any(axis=1))
        if ledger is not None:
            ledger.finish(run)
        return RunResult(buffers, written, _sorted(run), run.total_steps, ledger)


def _sorted(run: Run) -> list[Finding]:
    return sorted(run.found.values(), key=lambda f: (not f.hard, f.line))


def _compare_orders(run: Run, again: Run, point: EntryPoint) -> None:
    """Report results that changed when atomics took turns in the other order."""
    for b in point.bindings:
        mine, other = run.memories[b.name], again.memories[b.name]
        n_bytes = mine.limit * mine.info.layout.granule
        if b.access != "read_write":
            continue
        one, two = mine.data.view(np.uint8)[:n_bytes], other.data.view(np.uint8)[:n_bytes]
        if np.array_equal(one, two):
            continue
        if run.stored and not _equal_but_for_rounding(one, two):
            memory, line = next(iter(run.stored.items()))
            run.report_overwritten(memory, line, b.name)
        elif run.ordered:
            memory, line = next(iter(run.ordered.items()))
            run.report_order(memory, line, b.name)
        return


def _equal_but_for_rounding(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two buffers hold the same integers, or sums of floats that were taken in another order."""
    whole = len(one) // 4 * 4
    a, b = one[:whole].view(np.float32), two[:whole].view(np.float32)
    return np.array_equal(one[whole:], two[whole:]) and np.allclose(a, b, rtol=1e-3, atol=0, equal_nan=True)


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def compile_wgsl(
    source: str,
    filename: str = "kernel.wgsl",
    overrides: dict[str, float] | None = None,
) -> Module:
    """Parse and check a source.

    Args:
        source: WGSL text, at most 64 KiB.
        filename: Name for error messages.
        overrides: Values of `override` declarations by name.

    Returns:
        The module, ready to run.

    Raises:
        WgslError: The source breaks a rule of WGSL or a limit of the interpreter.
    """
    text = Source(source, filename)
    limit = sys.getrecursionlimit()
    # Frames of pure Python live on the heap, so a deep tree costs memory and not stack.
    sys.setrecursionlimit(max(limit, _RECURSION))
    try:
        checker = check(text, parse(text), overrides)
        entries = {f.name: entry_point(f) for f in checker.functions if f.entry is not None}
        decls = [
            d for d in checker.unit.decls if isinstance(d, ast.Decl) and d.space in ("uniform", "storage")
        ]
        module = Module(
            text,
            checker.functions,
            entries,
            tuple(sorted(map(binding_of, decls), key=by_number)),
        )
        for name in entries:
            module._program(name, False)
        return module
    except RecursionError:
        raise WgslError(
            "the source is nested too deeply",
            file=filename,
            help="split it into functions",
        ) from None
    finally:
        sys.setrecursionlimit(limit)
