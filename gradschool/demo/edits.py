"""Small accidents, written into a right answer as a learner would write them."""

from __future__ import annotations

import ast
import re
import textwrap

from gradschool.errors import PackError

_MAIN = re.compile(r"fn\s+main\s*\([^{]*\{[^\n]*\n")
_BARRIER = re.compile(r"^.*\b(?:workgroupBarrier|storageBarrier)\s*\(\s*\)\s*;.*\n", re.MULTILINE)


def insert_first(source: str, name: str, code: str) -> str:
    """Put `code` at the start of the function's body, after its docstring."""
    lines, first, _ = _body(source, name)
    return "\n".join([*lines[:first], textwrap.indent(code, "    "), *lines[first:]]) + "\n"


def replace_body(source: str, name: str, code: str) -> str:
    """Keep the function's signature and docstring, and let its body be `code`."""
    lines, first, last = _body(source, name)
    return "\n".join([*lines[:first], textwrap.indent(code, "    "), *lines[last:]]) + "\n"


def spoil_result(source: str, name: str) -> str:
    """Let every number the function returns come out as NaN."""
    code = f"""\
def {name}(*args, **kwargs):
    out = _{name}(*args, **kwargs)
    first = out[0] if isinstance(out, tuple) else out
    if isinstance(first, dict):
        spoiled = {{key: value * float("nan") for key, value in first.items()}}
    else:
        spoiled = first * float("nan")
    return (spoiled, *out[1:]) if isinstance(out, tuple) else spoiled
"""
    renamed = re.sub(rf"\bdef {name}\b", f"def _{name}", source, count=1)
    return f"{renamed.rstrip()}\n\n\n{code}"


def insert_in_main(kernel: str, code: str) -> str:
    """Put WGSL at the start of the kernel's entry point."""
    found = _MAIN.search(kernel)
    if not found:
        raise PackError("The kernel has no entry point main.")
    return kernel[: found.end()] + textwrap.indent(code, "  ") + kernel[found.end() :]


def has_barrier(kernel: str) -> bool:
    """Say whether the kernel waits anywhere."""
    return bool(_BARRIER.search(kernel))


def drop_barriers(kernel: str) -> str:
    """Remove every line that waits."""
    return _BARRIER.sub("", kernel)


def _body(source: str, name: str) -> tuple[list[str], int, int]:
    """The source's lines, and where the body begins (after the docstring) and ends."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            has_docstring = ast.get_docstring(node) is not None
            start = node.body[1].lineno if has_docstring and len(node.body) > 1 else node.body[0].lineno
            return source.rstrip("\n").split("\n"), start - 1, node.end_lineno or start
    raise PackError(f"The source does not define {name}.")
