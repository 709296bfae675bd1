"""Every small wrong answer that can be made from a reference by one change."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from textwrap import dedent

from gradschool.errors import PackError
from gradschool.grading.fill import remove_markers
from gradschool.mutation.edits import Edit, line_of, quote, solution_regions
from gradschool.mutation.python_edits import python_edits
from gradschool.mutation.wgsl_edits import wgsl_edits
from gradschool.pack import Stage
from gradschool.wgsl.errors import Source, WgslError
from gradschool.wgsl.lexer import tokenize


@dataclass(frozen=True)
class Mutant:
    """One changed reference.

    Attributes:
        id: `<exercise>:<operator>:<n>`; the same as long as the reference is.
        line: Line of the lesson or kernel file on which the change begins.
        old: Whole lines of the reference that are there once.
        new: What stands in their place.
        source: The whole answer, solution markers removed.
    """

    id: str
    stage: str
    exercise: str
    operator: str
    line: int
    old: str
    new: str
    source: str

    @property
    def is_kernel(self) -> bool:
        """Whether the answer is WGSL."""
        return self.exercise.endswith(".wgsl")


def mutants_of(stage: Stage, exercise: str) -> list[Mutant]:
    """Return the mutants of one exercise, in the order of its text.

    Only what lies between the solution markers is changed. Two changes that come to the same
    program are one mutant.

    Raises:
        PackError: The stage has no such exercise, or its reference cannot be read.
        UsageError: The package whose operators are used is not installed.
    """
    if exercise.endswith(".wgsl"):
        path = next((path for path in stage.kernels if path.name == exercise), None)
        if path is not None:
            text = path.read_text(encoding="utf-8")
            return _make(stage, exercise, text, 1, wgsl_edits(text, exercise), "//")
    for cell in stage.cells:
        if cell.role == "solution" and cell.exercise == exercise:
            edits = python_edits(cell.source)
            return _make(stage, exercise, cell.source, cell.line, edits, "###")
    raise PackError(f"There is no exercise {exercise!r} in {stage.id}.")


def key_for(exercise: str, source: str) -> Hashable | None:
    """Return what two spellings of one answer share, None if it is no program."""
    return wgsl_key(source) if exercise.endswith(".wgsl") else python_key(source)


def python_key(source: str) -> Hashable | None:
    """Return what two spellings of one Python program share, None if it is none."""
    try:
        module = ast.parse(source)
    except SyntaxError:
        return None
    lines = source.splitlines()
    parts = []
    for node in module.body:
        for part in node.body if isinstance(node, ast.FunctionDef) else [node]:
            # All but one statement are those of the mutant before.
            parts.append(_statement_key("\n".join(lines[part.lineno - 1 : part.end_lineno])))
    return tuple(parts)


@lru_cache(maxsize=1_000)
def _statement_key(text: str) -> str:
    return ast.dump(_Signs().visit(ast.parse(dedent(text))))


class _Signs(ast.NodeTransformer):
    """Makes `+1` and `-0` the numbers that they are."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.operand, ast.Constant) and type(node.operand.value) in (int, float):
            if isinstance(node.op, ast.UAdd) or not node.operand.value:
                return node.operand
        return node


def wgsl_key(source: str) -> Hashable | None:
    """Return what two spellings of one WGSL program share, None if it is none."""
    try:
        return tuple(token.text for token in tokenize(Source(source, "kernel.wgsl")))
    except WgslError:
        return None


def _make(
    stage: Stage,
    exercise: str,
    text: str,
    first_line: int,
    edits: Iterable[Edit],
    comment: str,
) -> list[Mutant]:
    regions = solution_regions(text, comment)
    reference = remove_markers(text)
    seen = {key_for(exercise, reference), None}
    counts: Counter[str] = Counter()
    mutants = []
    for edit in sorted(_inside(set(edits), regions)):
        source = remove_markers(edit.apply(text))
        key = key_for(exercise, source)
        if key in seen:
            continue
        seen.add(key)
        counts[edit.operator] += 1
        old, new = quote(reference, source)
        mutants.append(
            Mutant(
                id=f"{exercise}:{edit.operator}:{counts[edit.operator]}",
                stage=stage.id,
                exercise=exercise,
                operator=edit.operator,
                line=first_line + line_of(text, edit.start) - 1,
                old=old,
                new=new,
                source=source,
            )
        )
    return mutants


def _inside(edits: Iterable[Edit], regions: list[tuple[int, int]]) -> Iterator[Edit]:
    for edit in edits:
        if any(start <= edit.start and edit.end <= end for start, end in regions):
            yield edit
