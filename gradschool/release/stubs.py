"""What learners find where the solution was: a stub that still parses, and still compiles."""

from __future__ import annotations

import re

from gradschool.errors import PackError
from gradschool.lesson_file import BEGIN_SOLUTION, END_SOLUTION, strip_solution

YOUR_CODE = "YOUR CODE HERE"

_MAIN = re.compile(r"@compute\b[^{]*?\bfn\s+main\s*\([^{]*?\)\s*(?=\{)", re.DOTALL)
_MAIN_HEAD = re.compile(r"\bfn\s+main\s*\(")
_EMPTY_BODY = re.compile(r"\{\s*\}")
# A comment that never ends goes to the end of the file, and is looked through once.
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_WORKGROUP_SIZE = re.compile(r"@workgroup_size\s*\((?P<sizes>[^)]*)\)")
_DEFAULT_SIZES = {1: "64", 2: "8, 8", 3: "4, 4, 4"}


def stub_function(source: str, exercise: str) -> str:
    """Take the solution out of a lesson cell; calling the stub says what is still to be written.

    A region inside a function raises; one at the cell's top level (a constant, an import) is
    only marked, so that the cell itself still runs.

    Raises:
        PackError: A region is not closed, or closed without being opened.
    """
    stub = strip_solution(source, f"# {YOUR_CODE}", "###")
    call = f'raise NotImplementedError("{exercise}: your code here")'
    lines = []
    for line in stub.splitlines():
        lines.append(line)
        if line.strip() == f"# {YOUR_CODE}" and line != line.lstrip():
            lines.append(line.replace(f"# {YOUR_CODE}", call))
    return "\n".join(lines)


def stub_kernel(source: str, filename: str) -> str:
    """Take the solution out of a kernel and leave an entry point that compiles and does nothing.

    Raises:
        PackError: The kernel has no solution region, an unclosed one, or no entry point `main`.
    """
    if f"// {BEGIN_SOLUTION}" not in source or f"// {END_SOLUTION}" not in source:
        raise PackError(
            f"{filename} has no solution region, so its stub would be the solution.",
            help=f"Put '// {BEGIN_SOLUTION}' and '// {END_SOLUTION}' around what learners write.",
        )
    main = _MAIN.search(source)
    if main is None:
        raise PackError(f"{filename} has no entry point: '@compute @workgroup_size(...) fn main(...)'.")
    stub = strip_solution(source, f"// {YOUR_CODE}", "//").rstrip("\n") + "\n"
    if _MAIN.search(stub) is None:
        # The entry point was part of the solution: its signature is given, its body is not.
        head = _WORKGROUP_SIZE.sub(_literal_size, main[0]).strip()
        stub += f"\n{head} {{\n  // {YOUR_CODE}\n}}\n"
    return stub


def is_unwritten_kernel(source: str) -> bool:
    """Tell whether a kernel does nothing yet: the body of its `main` is empty but for comments."""
    # A learner's text may be made to be slow to read: no step here looks at it more than once.
    text = _COMMENT.sub("", source)
    head = _MAIN_HEAD.search(text)
    body = text.find("{", head.end()) if head else -1
    return body >= 0 and _EMPTY_BODY.match(text, body) is not None


def _literal_size(found: re.Match[str]) -> str:
    """A size named by a constant of the solution would not compile without it."""
    sizes = [size.strip() for size in found["sizes"].split(",") if size.strip()]
    if all(re.fullmatch(r"\d+u?", size) for size in sizes):
        return found[0]
    return f"@workgroup_size({_DEFAULT_SIZES[len(sizes)]})"
