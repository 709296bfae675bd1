"""Mistakes inside a WGSL expression: an operator, a number, an index, a name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from gradschool.mutation.edits import Edit
from gradschool.mutation.literals import other_numbers
from gradschool.mutation.wgsl_tree import Tree
from gradschool.wgsl import ast

ARITHMETIC = {
    "+": "-", "-": "+", "*": "/", "/": "*", "%": "/",
    "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "|", "&&": "||", "||": "&&",
}  # fmt: skip
COMPARISONS = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
}  # fmt: skip
FUNCTIONS = {
    "max": "min", "min": "max", "exp": "exp2", "log": "log2", "sin": "cos", "cos": "sin",
    "sqrt": "inverseSqrt", "inverseSqrt": "sqrt", "floor": "ceil", "ceil": "floor",
    "atomicAdd": "atomicSub", "atomicSub": "atomicAdd", "atomicMax": "atomicMin", "atomicMin": "atomicMax",
    "any": "all", "all": "any", "subgroupAdd": "subgroupMax", "subgroupMax": "subgroupAdd",
}  # fmt: skip
SYMMETRIC = frozenset(["max", "min", "dot", "distance"])
UNWRAPPED = frozenset(
    "exp exp2 log sqrt inverseSqrt tanh abs sign floor ceil round fract sin cos pow max min clamp select".split()
)
COMPONENTS = {"x": "y", "y": "x", "z": "x", "w": "x"}


def operator(node: Any, tree: Tree) -> Iterator[Edit]:
    """`a + b` becomes `a - b`."""
    if isinstance(node, ast.Binary) and node.op in ARITHMETIC:
        yield Edit(node.pos, node.pos + len(node.op), ARITHMETIC[node.op], "operator")


def comparison(node: Any, tree: Tree) -> Iterator[Edit]:
    """`a < b` becomes `a <= b`, and its opposite."""
    if isinstance(node, ast.Binary):
        for op in COMPARISONS.get(node.op, ()):
            yield Edit(node.pos, node.pos + len(node.op), op, "comparison")


def term(node: Any, tree: Tree) -> Iterator[Edit]:
    """One side of `a + b` is dropped."""
    if isinstance(node, ast.Binary) and node.op in ARITHMETIC:
        start, end = tree.span(node)
        yield Edit(start, end, tree.kept(node.left), "term")
        if node.op not in ("/", "%", "<<", ">>"):  # nobody forgets what is divided
            yield Edit(start, end, tree.kept(node.right), "term")


def operands(node: Any, tree: Tree) -> Iterator[Edit]:
    """`a - b` becomes `b - a`."""
    if isinstance(node, ast.Binary) and node.op in ("-", "/", "%", "<<", ">>"):
        swapped = f"{tree.operand(node.right)} {node.op} {tree.operand(node.left)}"
        yield Edit(*tree.span(node), swapped, "swap")


def negation(node: Any, tree: Tree) -> Iterator[Edit]:
    """`-a` becomes `a`, `!a` becomes `a`."""
    if isinstance(node, ast.Unary) and node.op in "-!~":
        yield Edit(*tree.span(node), tree.kept(node.operand), "negation")


def constant(node: Any, tree: Tree) -> Iterator[Edit]:
    """A number becomes one more, one less, zero, or is off by a percent; a power of two is doubled."""
    # The 1 of `i++` is in no text.
    if not isinstance(node, ast.Literal) or not tree.text.startswith(node.text, node.pos):
        return
    start, end = node.pos, node.pos + len(node.text)
    if node.kind == "bool":
        yield Edit(start, end, "false" if node.text == "true" else "true", "constant")
    elif node.kind in ("int", "float"):
        suffix = node.text[-1] if node.text[-1] in "iufh" else ""
        for text in other_numbers(node.text.removesuffix(suffix), signed=suffix != "u"):
            yield Edit(start, end, text + suffix, "constant")
    elif node.kind == "hex":
        suffix = node.text[-1] if node.text[-1] in "iu" else ""
        value = int(node.text.removesuffix(suffix), 16)
        yield Edit(start, end, hex(value ^ 1) + suffix, "constant")
    elif "p" in node.text:
        suffix = node.text[-1] if node.text[-1] in "fh" else ""
        digits, _, exponent = node.text.removesuffix(suffix).partition("p")
        yield Edit(start, end, f"{digits}p{int(exponent) + 1}{suffix}", "constant")


def index(node: Any, tree: Tree) -> Iterator[Edit]:
    """`a[i]` becomes `a[i + 1]` and `a[i - 1]`; a number in brackets is `constant`'s."""
    if isinstance(node, ast.Index) and not isinstance(node.index, ast.Literal):
        start, end = tree.outer(node.index)
        for change in ("+ 1", "- 1"):
            yield Edit(start, end, f"{tree.text[start:end]} {change}", "index")


def component(node: Any, tree: Tree) -> Iterator[Edit]:
    """`global_id.x` becomes `global_id.y`."""
    if isinstance(node, ast.Member) and node.name in COMPONENTS:
        yield Edit(node.name_pos, node.name_pos + 1, COMPONENTS[node.name], "component")


def function(node: Any, tree: Tree) -> Iterator[Edit]:
    """`max` becomes `min`."""
    if isinstance(node, ast.Call) and node.callee.name in FUNCTIONS:
        name = node.callee.name
        yield Edit(node.pos, node.pos + len(name), FUNCTIONS[name], "function")


def argument(node: Any, tree: Tree) -> Iterator[Edit]:
    """`f(a, b)` becomes `f(b, a)`."""
    if not isinstance(node, ast.Call) or node.callee.name in SYMMETRIC:
        return
    for one, other in pairwise(node.args):
        (start, middle), (after, end) = tree.outer(one), tree.outer(other)
        text = tree.text
        swapped = text[after:end] + text[middle:after] + text[start:middle]
        yield Edit(start, end, swapped, "argument")


def unwrap(node: Any, tree: Tree) -> Iterator[Edit]:
    """`exp(x)` becomes `x`; of `max(a, b)` one is left."""
    if isinstance(node, ast.Call) and node.callee.name in UNWRAPPED:
        for one in node.args:
            yield Edit(*tree.span(node), tree.operand(one), "unwrap")


EXPRESSION_OPERATORS = (
    operator, comparison, term, operands, negation, constant, index, component, function, argument, unwrap,
)  # fmt: skip
