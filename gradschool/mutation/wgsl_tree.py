"""The interpreter's syntax tree of a kernel, with the piece of text that each node came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from gradschool.wgsl import ast
from gradschool.wgsl.errors import Source
from gradschool.wgsl.lexer import tokenize
from gradschool.wgsl.parser import Parser

Span = tuple[int, int]


class SpanParser(Parser):
    """The interpreter's parser, which notes where each expression and statement begins and ends.

    Attributes:
        bare: Offsets of a node without parentheses around it.
        outer: The same with them.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source, tokenize(source))
        self.bare: dict[Any, Span] = {}
        self.outer: dict[Any, Span] = {}

    def _noted(self, parse: Any) -> Any:
        start = self.token.pos
        node = parse()
        if node is not None:
            last = self.tokens[self.index - 1]
            span = (start, last.pos + len(last.text))
            # A node comes by here once per level of the grammar: innermost first.
            self.bare.setdefault(node, span)
            self.outer[node] = span
        return node

    def expression(self) -> ast.Expr:
        """Parse one expression."""
        return self._noted(super().expression)

    def _relational(self) -> ast.Expr:
        return self._noted(super()._relational)

    def _shift(self) -> ast.Expr:
        return self._noted(super()._shift)

    def _additive(self) -> ast.Expr:
        return self._noted(super()._additive)

    def _multiplicative(self) -> ast.Expr:
        return self._noted(super()._multiplicative)

    def _unary(self) -> ast.Expr:
        return self._noted(super()._unary)

    def block(self) -> ast.Block:
        """Parse `{ ... }`."""
        return self._noted(super().block)

    def statement(self) -> ast.Stmt | None:
        """Parse one statement."""
        return self._noted(super().statement)

    def simple_statement(self) -> ast.Stmt | None:
        """Parse a declaration, an assignment or a call, without the semicolon."""
        return self._noted(super().simple_statement)


class Tree:
    """A parsed kernel.

    Raises:
        WgslError: The text is not WGSL.
    """

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        parser = SpanParser(Source(text, name))
        self.unit = parser.parse()
        self._bare, self._outer = parser.bare, parser.outer

    def span(self, node: ast.Expr | ast.Stmt) -> Span:
        """Return where a node's text is, without parentheses around it; a statement includes its semicolon."""
        if isinstance(node, ast.Stmt):
            return self._outer[node]
        if node in self._bare:
            return self._bare[node]
        # The left part of a chain `a + b + c` is made on the way.
        assert isinstance(node, ast.Binary), node
        return self.outer(node.left)[0], self.outer(node.right)[1]

    def outer(self, node: ast.Expr) -> Span:
        """Return where a node's text is, with the parentheses around it."""
        return self._outer.get(node) or self.span(node)

    def of(self, node: ast.Expr | ast.Stmt) -> str:
        """Return a node's text, without parentheses around it."""
        start, end = self.span(node)
        return self.text[start:end]

    def kept(self, node: ast.Expr) -> str:
        """Return an expression's text, with the parentheses that it has in the source."""
        start, end = self.outer(node)
        return self.text[start:end]

    def operand(self, node: ast.Expr) -> str:
        """Return an expression's text, in parentheses where it has an operator of its own."""
        text = self.of(node)
        return f"({text})" if isinstance(node, ast.Binary) else text

    def walk(self) -> Iterator[Any]:
        """Yield every node, parents first."""
        for decl in self.unit.decls:
            yield from walk(decl)


def walk(node: Any) -> Iterator[Any]:
    """Yield a node and all below it, in the order of the text."""
    yield node
    for field in fields(node):
        # What the checker resolves would lead back up the tree.
        if field.name in ("decl", "target") and not isinstance(node, ast.Assign):
            continue
        value = getattr(node, field.name)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Expr | ast.Stmt | ast.Attribute | ast.Case | ast.FieldDecl):
                yield from walk(child)
