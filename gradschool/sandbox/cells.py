"""Notebook cells as Python: magics taken out, definitions found, parts kept.

Runs in the worker only: parsing a hostile cell may exhaust memory or crash the parser.
"""

from __future__ import annotations

import ast
import re

_ASSIGNED_MAGIC = re.compile(r"^(\s*)([\w, .\[\]]+?)\s*=\s*[%!].*$")
_MAGIC_LINE = re.compile(r"^(\s*)([%!]|\?{1,2}[\w.]+\s*$|[\w.]+\?{1,2}\s*$).*$")
_CELL_MAGIC = re.compile(r"^\s*%%(\w+)")
_PYTHON_CELL_MAGICS = ("time", "timeit", "capture", "prun", "python", "python3")
_DEFINITION = re.compile(r"^(?:async\s+def|def|class)\s+(\w+)", re.MULTILINE)

_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def without_magics(source: str) -> str:
    """Return a cell as Python, line for line.

    Plain Python is returned as it is. Otherwise magics (`%matplotlib inline`),
    shell lines (`!pip ...`) and help requests (`np.sum?`) become `pass`, so
    that line numbers stay those the learner sees.
    """
    first = next((line for line in source.splitlines() if line.strip()), "")
    magic = _CELL_MAGIC.match(first)
    if magic and magic[1] not in _PYTHON_CELL_MAGICS:
        return ""  # HTML, a shell script, a kernel: not Python
    if _parses(source):
        return source
    return "\n".join(_plain_line(line) for line in source.splitlines())


def names_defined(source: str) -> tuple[str, ...]:
    """Names of the functions and classes a text would define at its top level, even if it does not parse."""
    return tuple(dict.fromkeys(_DEFINITION.findall(source)))[:1_000]


def definitions(tree: ast.Module) -> list[ast.stmt]:
    """The statements of a cell that only define: functions, classes, imports, literal constants.

    A cell without a function or class gives nothing at all.
    """
    if not any(isinstance(node, _DEFINING) for node in tree.body):
        return []
    return [
        node
        for node in tree.body
        if isinstance(node, (*_DEFINING, ast.Import, ast.ImportFrom)) or _is_constant(node)
    ]


def is_definition(node: ast.stmt) -> bool:
    """Whether a statement defines a function or a class."""
    return isinstance(node, _DEFINING)


def _is_constant(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    try:
        ast.literal_eval(node.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _plain_line(line: str) -> str:
    assigned = _ASSIGNED_MAGIC.match(line)
    if assigned:
        return f"{assigned[1]}{assigned[2]} = None"
    magic = _MAGIC_LINE.match(line)
    return f"{magic[1]}pass" if magic else line


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
