"""Differently written correct answers of a stage, laid over the reference.

They prove that the graders judge what an answer computes, not how: other algorithms, other
summation orders, other workgroup sizes. Each must get full marks.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

from gradschool.errors import PackError
from gradschool.grading.fill import reference_functions, reference_kernels
from gradschool.pack import Stage

ANSWERS = "answers.py"


@dataclass(frozen=True)
class Alternative:
    """One overlay.

    Attributes:
        functions: Source by function name; each carries the file's imports and helpers.
        kernels: WGSL text by file name.
    """

    name: str
    functions: dict[str, str] = field(default_factory=dict)
    kernels: dict[str, str] = field(default_factory=dict)


def load_alternatives(stage: Stage) -> list[Alternative]:
    """Read `graders/NN_stage/alternatives/*/`, sorted by name.

    Raises:
        PackError: An overlay is empty, holds a file that is no answer, is not Python, or
            answers nothing the stage asks.
    """
    folder = stage.graders / "alternatives"
    if not folder.is_dir():
        return []
    exercises, kernels = set(reference_functions(stage)), set(reference_kernels(stage))
    overlays = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name != "__pycache__"]
    return [_load(path, exercises, kernels, stage.id) for path in overlays]


def _load(folder: Path, exercises: set[str], kernels: set[str], stage_id: str) -> Alternative:
    where = f"graders/{stage_id}/alternatives/{folder.name}"
    functions: dict[str, str] = {}
    texts: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.name == "__pycache__":
            continue
        if path.name == ANSWERS:
            functions = _read_answers(path, exercises, where)
        elif path.name in kernels:
            texts[path.name] = path.read_text(encoding="utf-8")
        else:
            raise PackError(
                f"{where}/{path.name} answers no exercise of {stage_id}.",
                help=f"An overlay holds {ANSWERS} and kernels named like: {', '.join(sorted(kernels))}.",
            )
    if not functions and not texts:
        raise PackError(f"{where} holds no answer.")
    return Alternative(folder.name, functions, texts)


def _read_answers(path: Path, exercises: set[str], where: str) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise PackError(f"{where}/{ANSWERS} is not Python: {error.msg} (line {error.lineno}).") from error
    answers: dict[str, str] = {}
    shared: list[str] = []
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name in exercises:
            if node.name in answers:
                raise PackError(f"{where}/{ANSWERS} defines {node.name} twice.")
            answers[node.name] = _source(text, node)
        elif not _is_docstring(node) and not _is_future(node):
            shared.append(_source(text, node))
    if not answers:
        raise PackError(f"{where}/{ANSWERS} defines no exercise of the stage.")
    # Each answer goes into its own notebook cell, so each carries what the file shares.
    prelude = "\n".join(shared)
    return {name: f"{prelude}\n\n\n{source}\n".lstrip("\n") for name, source in answers.items()}


def _source(text: str, node: ast.stmt) -> str:
    """The statement's lines, decorators included."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(item.lineno for item in decorators)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"
