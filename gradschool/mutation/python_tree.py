"""Python's syntax tree of one cell, with the piece of text that each node came from."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# An operand of these needs parentheses when it moves next to another operator.
_LOOSE = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Lambda, ast.NamedExpr)


class Tree:
    """A parsed cell."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.module = ast.parse(text)
        self._lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self.function = next(node for node in self.module.body if isinstance(node, ast.FunctionDef))

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        """Return where a node's text is, without parentheses around it."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, line: int, column: int) -> int:
        # Python counts columns in bytes of UTF-8.
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)

    def of(self, node: ast.expr | ast.stmt) -> str:
        """Return a node's text, without parentheses around it."""
        start, end = self.span(node)
        return self.text[start:end]

    def operand(self, node: ast.expr) -> str:
        """Return an expression's text, in parentheses where it has an operator of its own."""
        return f"({self.of(node)})" if isinstance(node, _LOOSE) else self.of(node)

    def kept(self, node: ast.expr) -> str:
        """Return the text of an operand with the parentheses that it has in the source."""
        start, end = self.span(node)
        before, after = self.text[:start].rstrip(), self.text[end:].lstrip()
        return f"({self.of(node)})" if before.endswith("(") and after.startswith(")") else self.of(node)

    def between(self, left: ast.expr, right: ast.expr) -> tuple[int, int]:
        """Return where the text between two neighbours is."""
        return self.span(left)[1], self.span(right)[0]

    def walk(self) -> Iterator[ast.AST]:
        """Yield every node of the function's body, parents first, but none in a `raise` or an annotation."""
        for statement in self.function.body:
            yield from _walk(statement)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, ast.Raise | ast.arguments):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child)


def is_number(node: ast.AST | None, value: float | None = None) -> bool:
    """Whether a node is a literal number, a negative one too; of that `value` if one is given."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return is_number(node.operand, None if value is None else -value)
    is_numeric = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return is_numeric and (value is None or node.value == value)  # type: ignore[union-attr]
