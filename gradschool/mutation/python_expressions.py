"""Mistakes inside a Python expression: an operator, a number, a term, an argument, a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from gradschool.mutation.edits import Edit
from gradschool.mutation.literals import other_numbers
from gradschool.mutation.python_tree import Tree, is_number

COMPARISONS = {
    ast.Lt: (">", ">="), ast.LtE: (">=", ">"), ast.Gt: ("<", "<="), ast.GtE: ("<=", "<"),
}  # fmt: skip
SYMBOLS = {ast.Sub: "-", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**", ast.FloorDiv: "//", ast.Mod: "%"}
TERMS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr)
SYMMETRIC = frozenset(["maximum", "minimum", "max", "min", "array_equal", "allclose", "isclose"])
FUNCTIONS = {
    "maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "argmax": "argmin",
    "argmin": "argmax", "sum": "mean", "mean": "sum", "exp": "expm1", "log": "log1p", "sin": "cos",
    "cos": "sin", "zeros": "ones", "ones": "zeros", "zeros_like": "ones_like", "ones_like": "zeros_like",
    "tril": "triu", "triu": "tril", "floor": "ceil", "ceil": "floor", "any": "all", "all": "any",
    "isneginf": "isposinf", "cumsum": "cumprod", "var": "std", "std": "var", "append": "insert",
    "update": "setdefault", "standard_normal": "random",
}  # fmt: skip
ELEMENTWISE = frozenset(
    "exp log sqrt abs tanh sin cos square sort cumsum diff sorted reversed float int bool asarray "
    "ascontiguousarray list tuple dict erf".split()
)


def comparison(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`a < b` becomes `a > b` and `a >= b`; mutmut has `a <= b`."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for one, op, other in zip(sides, node.ops, sides[1:], strict=False):
            start, end = tree.between(one, other)
            text = tree.text[start:end]
            for symbol in COMPARISONS.get(type(op), ()):
                old = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}[type(op)]
                yield Edit(start, end, text.replace(old, symbol, 1), "comparison")


def term(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """One side of `a + b`, or of `a and b`, is dropped."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, TERMS):
        yield Edit(*tree.span(node), tree.kept(node.left), "term")
        if isinstance(node.op, ast.Sub):
            yield Edit(*tree.span(node), f"-{tree.operand(node.right)}", "term")
        elif not isinstance(node.op, ast.Pow | ast.Div | ast.FloorDiv | ast.Mod):  # what is divided stays
            yield Edit(*tree.span(node), tree.kept(node.right), "term")
    if isinstance(node, ast.BoolOp):
        word = " and " if isinstance(node.op, ast.And) else " or "
        for left_out in node.values:
            rest = [tree.kept(value) for value in node.values if value is not left_out]
            yield Edit(*tree.span(node), word.join(rest), "term")


def operands(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`a - b` becomes `b - a`, `a @ b` becomes `b @ a`."""
    if isinstance(node, ast.BinOp) and type(node.op) in SYMBOLS:
        swapped = f"{tree.operand(node.right)} {SYMBOLS[type(node.op)]} {tree.operand(node.left)}"
        yield Edit(*tree.span(node), swapped, "swap")


def negation(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`-a` becomes `a`; a negative number is `constant`'s."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield Edit(*tree.span(node), tree.kept(node.operand), "negation")


def constant(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """A number becomes one more, one less, zero, or is off by a percent."""
    if isinstance(node, ast.Constant) and is_number(node):
        start, end = tree.span(node)
        for text in other_numbers(tree.text[start:end].replace("_", "")):
            yield Edit(start, end, text, "constant")


def argument(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`f(a, b)` becomes `f(b, a)`; the branches of `np.where` too."""
    if not isinstance(node, ast.Call) or name_of(node) in SYMMETRIC:
        return
    args = node.args[1:] if name_of(node) == "where" else node.args
    for one, other in pairwise(args):
        if isinstance(one, ast.Starred) or isinstance(other, ast.Starred):
            continue
        (start, middle), (after, end) = tree.span(one), tree.span(other)
        text = tree.text
        yield Edit(start, end, text[after:end] + text[middle:after] + text[start:middle], "argument")


def element(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`(a, b)` becomes `(b, a)`, in what is returned, assigned or indexed."""
    if isinstance(node, ast.Tuple | ast.List):
        for one, other in pairwise(node.elts):
            (start, middle), (after, end) = tree.span(one), tree.span(other)
            text = tree.text
            yield Edit(start, end, text[after:end] + text[middle:after] + text[start:middle], "swap")


def function(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`np.maximum` becomes `np.minimum`."""
    if isinstance(node, ast.Call) and name_of(node) in FUNCTIONS:
        end = tree.span(node.func)[1]
        name = name_of(node)
        yield Edit(end - len(name), end, FUNCTIONS[name], "function")


def unwrap(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`np.exp(x)` becomes `x`; of `np.maximum(a, b)` and `np.where(c, a, b)` one is left."""
    if not isinstance(node, ast.Call) or not node.args:
        return
    name, kept = name_of(node), []
    if name in ELEMENTWISE:
        kept = node.args[:1]
    elif name in ("maximum", "minimum", "max", "min", "clip", "where") and len(node.args) > 1:
        kept = node.args[1:] if name == "where" else node.args[:1] if name == "clip" else node.args
    for one in kept:
        yield Edit(*tree.span(node), tree.operand(one), "unwrap")


def choice(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`a if c else b` becomes `a`, and `b`."""
    if isinstance(node, ast.IfExp):
        for one in (node.body, node.orelse):
            yield Edit(*tree.span(node), tree.kept(one), "condition")


def filtered(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """The condition of a comprehension is dropped."""
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield Edit(*tree.span(test), "True", "condition")


def name_of(call: ast.Call) -> str:
    """Return the last word of what is called."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


EXPRESSION_OPERATORS = (
    comparison, term, operands, negation, constant, argument, element, function, unwrap, choice, filtered,
)  # fmt: skip
