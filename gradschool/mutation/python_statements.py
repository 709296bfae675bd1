"""Mistakes in Python statements: what is left out, guarded wrongly, or looped over once too little."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradschool.mutation.edits import Edit
from gradschool.mutation.python_tree import Tree


def raised(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """A `raise` is dropped, or raises another error."""
    if not isinstance(node, ast.Raise) or node.exc is None:
        return
    yield Edit(*tree.span(node), "pass", "raise")
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if isinstance(error, ast.Name):
        other = "TypeError" if error.id == "ValueError" else "ValueError"
        yield Edit(*tree.span(error), other, "raise")


def condition(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`if c:` becomes `if True:` and `if False:`."""
    if isinstance(node, ast.If):
        # That a guard never raises is `raised`'s, that it always does is caught by anything.
        is_guard = not node.orelse and all(isinstance(one, ast.Raise) for one in node.body)
        for text in () if is_guard else ("True", "False"):
            yield Edit(*tree.span(node.test), text, "condition")
    if isinstance(node, ast.While):
        yield Edit(*tree.span(node.test), "False", "condition")


def statement(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """A statement is dropped, if what it names exists without it."""
    if isinstance(node, ast.AugAssign | ast.Continue | ast.Break) or _is_call(node) or _is_again(node, tree):
        yield Edit(*tree.span(node), "pass", "statement")  # type: ignore[arg-type]


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def _is_again(node: ast.AST, tree: Tree) -> bool:
    """Whether a statement assigns to a part of something, or to a name that has a value by then."""
    if not isinstance(node, ast.Assign):
        return False
    targets = node.targets[0]
    targets = targets.elts if isinstance(targets, ast.Tuple) else [targets]
    return any(
        isinstance(target, ast.Subscript | ast.Attribute)
        or (isinstance(target, ast.Name) and _is_set_before(target, tree))
        for target in targets
    )


def _is_set_before(name: ast.Name, tree: Tree) -> bool:
    arguments = tree.function.args
    if any(one.arg == name.id for one in [*arguments.args, *arguments.kwonlyargs]):
        return True
    return any(
        isinstance(other, ast.Name)
        and isinstance(other.ctx, ast.Store)
        and other.id == name.id
        and other.lineno < name.lineno
        for other in ast.walk(tree.function)
    )


def turns(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """A loop leaves out its last or its first turn."""
    if isinstance(node, ast.For):
        text = tree.of(node.iter)
        yield Edit(*tree.span(node.iter), f"list({text})[:-1]", "loop")
        yield Edit(*tree.span(node.iter), f"list({text})[1:]", "loop")


STATEMENT_OPERATORS = (raised, condition, statement, turns)
