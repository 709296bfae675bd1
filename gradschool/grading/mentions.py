"""Which parts of a Python text name which others, read without running anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

_WORD = re.compile(r"[A-Za-z_]\w*(?:\.wgsl)?")


@dataclass(frozen=True)
class Mentions:
    """Names a text may refer to.

    Attributes:
        names: Identifiers, and every word in a string: `getattr` takes strings.
        strings: Words in strings alone; kernels are named by file, never by identifier.
    """

    names: frozenset[str] = frozenset()
    strings: frozenset[str] = frozenset()

    @classmethod
    def of_nodes(cls, nodes: Iterable[ast.AST]) -> Mentions:
        """Collect what the nodes of a syntax tree mention."""
        names: set[str] = set()
        strings: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.update(_WORD.findall(node.value))
            else:
                names.update(_identifiers(node))
        return cls(frozenset(names | strings), frozenset(strings))

    @classmethod
    def of_text(cls, *texts: str) -> Mentions:
        """Count every word of some texts as a mention."""
        words = frozenset(word for text in texts for word in _WORD.findall(text))
        return cls(words, words)

    def __or__(self, other: Mentions) -> Mentions:
        return Mentions(self.names | other.names, self.strings | other.strings)

    @cached_property
    def _pieces(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Ends and beginnings of names that are put together: `f"{op}_forward"` leaves `_forward`."""
        words = {word.removesuffix(".wgsl") for word in self.strings} - {"_", "__"}
        ends = tuple(word for word in words if word.startswith("_"))
        return ends, tuple(word for word in words if word.endswith("_"))

    def has(self, name: str) -> bool:
        """Whether `name` is mentioned, whole or in a piece."""
        ends, beginnings = self._pieces
        return name in self.names or name.endswith(ends) or name.startswith(beginnings)

    def has_kernel(self, file: str, *, built: bool) -> bool:
        """Whether the kernel `file` is mentioned, with or without its ending.

        Args:
            file: Its file name.
            built: A piece of its name is enough.
        """
        stem = file.removesuffix(".wgsl")
        ends, beginnings = self._pieces if built else ((), ())
        whole = file in self.strings or stem in self.strings
        return whole or stem.endswith(ends) or stem.startswith(beginnings)


def _identifiers(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.arg):  # a fixture is named by an argument
        yield node.arg
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.name for alias in node.names)
        yield from (getattr(node, "module", None) or "").split(".")


@dataclass(frozen=True)
class Part:
    """One statement at the top level of a file.

    Attributes:
        names: What it defines; empty for a statement that counts whatever is mentioned.
        text: Its source, decorators included.
        mentions: What it refers to.
        exercise: The exercise that it is a hidden test of.
    """

    names: frozenset[str]
    text: str
    mentions: Mentions
    exercise: str | None = None


def parts_of(source: str, *, is_lesson: bool = False) -> list[Part]:
    """Split Python text into its parts.

    Args:
        source: The text.
        is_lesson: Leave out calls at the top level and the docstrings of functions: the first are
            not run while grading, the second are prose for learners.
    """
    lines = source.splitlines()
    return [
        _part(node, lines, is_lesson)
        for node in ast.parse(source).body
        if not _is_docstring(node) and not (is_lesson and _is_call(node))
    ]


def closure(parts: Sequence[Part], mentions: Mentions) -> list[Part]:
    """Return, in order, the parts that `mentions` reaches, directly or through one another."""
    reached = {index for index, part in enumerate(parts) if not part.names}
    fresh = [parts[index] for index in reached]
    while True:
        for part in fresh:
            mentions |= part.mentions
        found = {
            index
            for index, part in enumerate(parts)
            if index not in reached and any(map(mentions.has, part.names))
        }
        if not found:
            return [parts[index] for index in sorted(reached)]
        fresh = [parts[index] for index in found]
        reached |= found


def _part(node: ast.stmt, lines: list[str], is_lesson: bool) -> Part:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    marks = [mark for mark in decorators if _mark_of(mark) == "exercise"]
    skipped = {id(mark) for mark in marks}
    first = min([node.lineno, *(mark.lineno for mark in decorators)])
    numbers = range(first, (node.end_lineno or first) + 1)
    body = getattr(node, "body", None)
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and body and _is_docstring(body[0]):
        skipped.add(id(body[0]))
        if is_lesson:
            prose = range(body[0].lineno, (body[0].end_lineno or 0) + 1)
            numbers = [number for number in numbers if number not in prose]
    return Part(
        names=_defined(node),
        text="\n".join(lines[number - 1] for number in numbers),
        mentions=Mentions.of_nodes(_walk(node, skipped)),
        exercise=next((_argument(mark) for mark in marks), None),
    )


def _walk(node: ast.AST, skipped: set[int]) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if id(child) not in skipped:
            yield from _walk(child, skipped)


def _defined(node: ast.stmt) -> frozenset[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        # What pytest finds by itself is never mentioned.
        found = "autouse" in ast.dump(ast.Tuple(node.decorator_list)) or node.name.startswith("pytest_")
        return frozenset() if found else frozenset({node.name})
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        return frozenset() if "pytestmark" in names else frozenset(names)
    return frozenset()


def _mark_of(mark: ast.expr) -> str:
    return mark.func.attr if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) else ""


def _argument(mark: ast.expr) -> str | None:
    value = mark.args[0] if isinstance(mark, ast.Call) and mark.args else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
