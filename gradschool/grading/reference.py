"""Reference functions of a stage, loaded from its lesson into the grader's own process.

Only the grader's trusted side imports this: references are the oracle, and a
misconception is the reference with one edit.
"""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Iterable, Mapping
from functools import lru_cache

import gradschool
from gradschool.errors import PackError
from gradschool.grading.kernel_desk import CourseDevice, course_kernels
from gradschool.pack import Stage


class ReferenceModule(types.ModuleType):
    """A namespace that holds a lesson's functions and nothing that runs a lesson."""


def load_reference(stage: Stage, replace: Mapping[str, str] | None = None) -> ReferenceModule:
    """Execute the lesson's definitions and return them as a module.

    Setup cells give imports, solution and plain cells give functions and constants; demo
    and check cells are left out. Calls at the top level (`gs.start(...)`) are left out too.

    Args:
        stage: The stage whose lesson is loaded.
        replace: Source to use instead of the lesson's for some exercises, by name.

    Raises:
        PackError: A cell cannot be executed.
    """
    replace = replace or {}
    module = ReferenceModule(f"reference_{stage.id}")
    for cell in stage.cells:
        if cell.role in ("markdown", "demo", "check"):
            continue
        source = replace.get(cell.exercise or "", cell.source)
        try:
            exec(_compile(source, str(stage.lesson), cell.line), module.__dict__)
            if module.__dict__.get("gs") is gradschool:
                # The lesson's functions launch the course's kernels, wherever this process runs.
                module.__dict__["gs"] = CourseDevice(course_kernels(stage.shaders))
        except Exception as error:
            raise PackError(
                f"{stage.lesson}:{cell.line}: the cell raises {type(error).__name__}: {error}."
            ) from error
    return module


@lru_cache(maxsize=2_000)
def _compile(source: str, lesson: str, line: int) -> types.CodeType:
    """Compile a cell; a misconception's module shares all cells but one with the reference."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not _is_call(node)]
    # Line numbers of the lesson file make a traceback point at the real line.
    ast.increment_lineno(tree, line - 1)
    return compile(tree, lesson, "exec")


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


class Signatures:
    """What exercise functions take and return, read from their source.

    Args:
        sources: Source texts that define the functions; what does not parse is left out.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self.arguments: dict[str, tuple[str, ...]] = {}
        self.n_returned: dict[str, int] = {}
        self.returns: dict[str, str] = {}
        self.result_names: dict[str, tuple[str, ...]] = {}
        for source in sources:
            try:
                body = ast.parse(source).body
            except SyntaxError:
                continue
            for node in body:
                if isinstance(node, ast.FunctionDef):
                    self._add(node)

    @classmethod
    def of_stage(cls, stage: Stage) -> Signatures:
        """Read the signatures from the stage's reference lesson."""
        return cls(cell.source for cell in stage.cells if cell.role == "solution")

    def _add(self, node: ast.FunctionDef) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self.arguments[node.name] = tuple(argument.arg for argument in arguments)
        self.returns[node.name] = ast.unparse(node.returns) if node.returns else ""
        self.n_returned[node.name] = _count_returned(node.returns)
        self.result_names[node.name] = _result_names(node)


def _result_names(function: ast.FunctionDef) -> tuple[str, ...]:
    """What the values of the last `return` are called: by a name the docstring tells learners, or by place."""
    found = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
    if not found:
        return ()
    values = found[-1].elts if isinstance(found[-1], ast.Tuple) else [found[-1]]
    known = set(re.findall(r"\w+", ast.get_docstring(function) or ""))
    single = "the result" if len(values) == 1 else ""
    return tuple(
        value.id if isinstance(value, ast.Name) and value.id in known else single or f"value {place}"
        for place, value in enumerate(values, 1)
    )


def _count_returned(annotation: ast.expr | None) -> int:
    """How many values a return annotation names; 0 when it does not say."""
    if annotation is None:
        return 0
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "tuple":
        elements = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        open_ended = any(isinstance(element, ast.Constant) and element.value is ... for element in elements)
        return 0 if open_ended else len(elements)
    return 0 if ast.unparse(annotation) in ("tuple", "Any", "object") else 1
