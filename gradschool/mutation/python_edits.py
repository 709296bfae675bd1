"""Small mistakes in Python: our own operators on the syntax tree, and those that mutmut has."""

from __future__ import annotations

from collections.abc import Iterator

from gradschool.mutation.edits import Edit
from gradschool.mutation.mutmut_edits import mutmut_edits
from gradschool.mutation.python_arrays import ARRAY_OPERATORS
from gradschool.mutation.python_expressions import EXPRESSION_OPERATORS
from gradschool.mutation.python_statements import STATEMENT_OPERATORS
from gradschool.mutation.python_tree import Tree

OPERATORS = (*EXPRESSION_OPERATORS, *ARRAY_OPERATORS, *STATEMENT_OPERATORS)


def python_edits(source: str) -> Iterator[Edit]:
    """Yield every edit that one of the operators makes of a cell that defines one function.

    Raises:
        UsageError: mutmut is not installed.
    """
    tree = Tree(source)
    for node in tree.walk():
        for operator in OPERATORS:
            yield from operator(node, tree)
    yield from mutmut_edits(source)
