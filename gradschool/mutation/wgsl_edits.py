"""Small mistakes in WGSL, made on the interpreter's syntax tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gradschool.mutation.edits import Edit
from gradschool.mutation.wgsl_expressions import EXPRESSION_OPERATORS
from gradschool.mutation.wgsl_statements import STATEMENT_OPERATORS
from gradschool.mutation.wgsl_tree import Tree

Operator = Callable[[object, Tree], Iterator[Edit]]

OPERATORS = (*EXPRESSION_OPERATORS, *STATEMENT_OPERATORS)


def wgsl_edits(text: str, name: str = "kernel.wgsl") -> Iterator[Edit]:
    """Yield every edit that one of the operators makes of a kernel.

    Args:
        text: The whole kernel.
        name: Its file, for errors.

    Raises:
        WgslError: The text is not WGSL.
    """
    tree = Tree(text, name)
    for node in tree.walk():
        for operator in OPERATORS:
            yield from operator(node, tree)
