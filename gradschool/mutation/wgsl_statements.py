"""Mistakes in WGSL statements: what is left out, guarded wrongly, or looped over once too often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradschool.mutation.edits import Edit
from gradschool.mutation.wgsl_tree import Tree, walk
from gradschool.wgsl import ast

ASSIGNMENTS = {
    "+=": ("-=", "="), "-=": ("+=", "="), "*=": ("/=", "="), "/=": ("*=", "="), "%=": ("=",),
    "<<=": (">>=",), ">>=": ("<<=",), "&=": ("|=",), "|=": ("&=",), "^=": ("|=",),
}  # fmt: skip
BARRIERS = {"workgroupBarrier": "storageBarrier", "storageBarrier": "workgroupBarrier"}


def statement(node: Any, tree: Tree) -> Iterator[Edit]:
    """An assignment, a call, a `break`, a `return` or a loop is dropped."""
    for one in _statements_in(node):
        if isinstance(one, ast.Assign | ast.Jump | ast.Loop):
            yield Edit(*tree.span(one), ";", "statement")
        elif isinstance(one, ast.Return) and one.value is None:
            yield Edit(*tree.span(one), ";", "guard")
        elif isinstance(one, ast.CallStmt):
            is_barrier = one.call.callee.name in BARRIERS
            yield Edit(*tree.span(one), ";", "barrier" if is_barrier else "statement")


def barrier(node: Any, tree: Tree) -> Iterator[Edit]:
    """`workgroupBarrier()` becomes `storageBarrier()`."""
    if isinstance(node, ast.CallStmt) and node.call.callee.name in BARRIERS:
        name = node.call.callee.name
        yield Edit(node.pos, node.pos + len(name), BARRIERS[name], "barrier")


def guard(node: Any, tree: Tree) -> Iterator[Edit]:
    """`if (c)` becomes `if (true)` and `if (false)`."""
    if isinstance(node, ast.If):
        for text in ("true", "false"):
            yield Edit(*tree.span(node.condition), text, "guard")


def assignment(node: Any, tree: Tree) -> Iterator[Edit]:
    """`a += b` becomes `a -= b` and `a = b`."""
    if not isinstance(node, ast.Assign) or node.target is None:
        return
    for op in ASSIGNMENTS.get(node.op, ()):
        if tree.text.startswith(node.op, node.pos):
            yield Edit(node.pos, node.pos + len(node.op), op, "assignment")
        elif op != "=":  # i++
            yield Edit(node.pos, node.pos + 2, op[0] * 2, "assignment")


def initial(node: Any, tree: Tree) -> Iterator[Edit]:
    """A variable begins one further on; numbers are `constant`'s."""
    if isinstance(node, ast.Loop) and isinstance(node.init, ast.Decl) and node.init.init is not None:
        if not isinstance(node.init.init, ast.Literal):
            start, end = tree.outer(node.init.init)
            yield Edit(start, end, f"{tree.text[start:end]} + 1", "loop")


def bound(node: Any, tree: Tree) -> Iterator[Edit]:
    """A loop ends one early or late, or is never entered."""
    if not isinstance(node, ast.Loop) or not isinstance(node.condition, ast.Binary):
        return
    yield Edit(*tree.span(node.condition), "false", "loop")
    if node.condition.op in ("<", "<=", ">", ">=") and not isinstance(node.condition.right, ast.Literal):
        start, end = tree.outer(node.condition.right)
        for change in ("+ 1", "- 1"):
            yield Edit(start, end, f"{tree.text[start:end]} {change}", "loop")


def step(node: Any, tree: Tree) -> Iterator[Edit]:
    """A loop takes steps of another size."""
    if not isinstance(node, ast.Loop) or not isinstance(node.update, ast.Assign):
        return
    update = node.update
    if update.target is None or not update.op.startswith(("+", "-")):
        return
    if not tree.text.startswith(update.op, update.pos):  # i++
        yield Edit(update.pos, update.pos + 2, f"{update.op} 2", "loop")
    elif not isinstance(update.value, ast.Literal):
        start, end = tree.outer(update.value)
        for text in ("1", f"{tree.text[start:end]} + 1"):
            yield Edit(start, end, text, "loop")


def jump(node: Any, tree: Tree) -> Iterator[Edit]:
    """`break` becomes `continue`."""
    if isinstance(node, ast.Jump):
        other = "continue" if node.kind == "break" else "break"
        yield Edit(node.pos, node.pos + len(node.kind), other, "statement")


def name(node: Any, tree: Tree) -> Iterator[Edit]:
    """One built-in input or one size is taken for another of its type."""
    if isinstance(node, ast.Function):
        inputs = [param.name for param in node.params if any(a.name == "builtin" for a in param.attributes)]
        yield from _confused(node, inputs, lambda one: one.name if isinstance(one, ast.Ident) else None)


def field(node: Any, tree: Tree) -> Iterator[Edit]:
    """`params.n_rows` becomes `params.n_cols`."""
    if not isinstance(node, ast.StructDecl):
        return
    types: dict[str, list[str]] = {}
    for member in node.fields:
        types.setdefault(tree.text[member.type_expr.pos :].split(",")[0].split("\n")[0], []).append(
            member.name
        )
    for names in types.values():
        for decl in tree.unit.decls:
            yield from _confused(decl, names, lambda one: one.name if isinstance(one, ast.Member) else None)


def _confused(root: Any, names: list[str], name_of: Any) -> Iterator[Edit]:
    """Put the next of `names` in the place of each; the last is followed by the first."""
    if len(names) < 2:
        return
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    for one in walk(root):
        found = name_of(one)
        if found in following:
            start = one.name_pos if isinstance(one, ast.Member) else one.pos
            yield Edit(start, start + len(found), following[found], "name")


def _statements_in(node: Any) -> Iterator[ast.Stmt]:
    if isinstance(node, ast.Block):
        yield from node.body


STATEMENT_OPERATORS = (
    statement, barrier, guard, assignment, initial, bound, step, jump, name, field,
)  # fmt: skip
