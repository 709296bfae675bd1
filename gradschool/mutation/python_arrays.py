"""Mistakes with arrays: another axis, a slice off by one, a lost transpose or copy, another dtype."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradschool.mutation.edits import Edit
from gradschool.mutation.python_expressions import name_of
from gradschool.mutation.python_tree import Tree, is_number

AXES = {-1: ("0", "-2", "None"), 0: ("1", "-1", "None"), 1: ("0", "-1"), -2: ("-1", "0"), 2: ("1", "-1")}
DTYPES = {
    "float64": "float32", "float32": "float64", "int64": "int32", "int32": "int64", "uint32": "int32",
    "bool": "float", "float": "int", "int": "float", "integer": "floating", "floating": "integer",
}  # fmt: skip
# Methods and functions without which an array has the same numbers in another order, place or type.
RESHAPING = frozenset(
    "transpose swapaxes moveaxis reshape ravel flatten copy astype squeeze broadcast_to expand_dims flip "
    "repeat tolist item roll conj".split()
)
IN_PLACE = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def axis(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`axis=-1` becomes another axis; of several axes one is dropped."""
    if not isinstance(node, ast.keyword) or node.arg not in ("axis", "axes"):
        return
    value = node.value
    for number, others in AXES.items():
        if is_number(value, number):
            for text in others:
                yield Edit(*tree.span(value), text, "axis")
    if isinstance(value, ast.Tuple) and len(value.elts) > 1:
        for left_out in value.elts:
            rest = ", ".join(tree.of(one) for one in value.elts if one is not left_out)
            yield Edit(*tree.span(value), f"({rest},)", "axis")
    elif not is_number(value):
        yield Edit(*tree.span(value), "None", "axis")


def slices(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`x[a:b]` begins or ends one early or late, or at the array's own ends."""
    if not isinstance(node, ast.Slice) or not (node.lower or node.upper or node.step):
        return
    start, end = tree.span(node)
    lower = tree.of(node.lower) if node.lower else ""
    upper = tree.of(node.upper) if node.upper else ""
    step = f":{tree.of(node.step)}" if node.step else ""
    if not lower or not is_number(node.lower):
        for text in ("1",) if not lower else (f"{lower} + 1", f"{lower} - 1"):
            yield Edit(start, end, f"{text}:{upper}{step}", "slice")
    if not upper or not is_number(node.upper):
        for text in ("-1",) if not upper else (f"{upper} + 1", f"{upper} - 1"):
            yield Edit(start, end, f"{lower}:{text}{step}", "slice")
    for text in (f":{upper}{step}", f"{lower}:{step}", f"{lower}:{upper}"):
        yield Edit(start, end, text, "slice")


def index(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`x[i]` becomes `x[i + 1]` and `x[i - 1]`; numbers in brackets are `constant`'s."""
    if not isinstance(node, ast.Subscript):
        return
    places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for place in places:
        if isinstance(place, ast.Name | ast.BinOp | ast.Attribute):
            for change in ("+ 1", "- 1"):
                yield Edit(*tree.span(place), f"{tree.of(place)} {change}", "index")


def lost(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """A transpose, a reshape, a copy or a change of dtype is left out."""
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield Edit(*tree.span(node), tree.operand(node.value), "transpose")
    if not isinstance(node, ast.Call) or name_of(node) not in RESHAPING:
        return
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
    if isinstance(receiver, ast.Name) and receiver.id == "np":
        receiver = node.args[0] if node.args else None
    if receiver is not None:
        kind = "transpose" if name_of(node) in ("transpose", "swapaxes", "moveaxis") else "unwrap"
        yield Edit(*tree.span(node), tree.operand(receiver), kind)


def transposed(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """A factor of `a @ b` is transposed that should not be."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        for side in (node.left, node.right):
            if isinstance(side, ast.Name | ast.Subscript):
                yield Edit(*tree.span(side), f"{tree.of(side)}.T", "transpose")


def dtype(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`np.float64` becomes `np.float32`; an array keeps the dtype it was made from no longer."""
    if isinstance(node, ast.Attribute):
        if node.attr in DTYPES and isinstance(node.value, ast.Name) and node.value.id == "np":
            end = tree.span(node)[1]
            yield Edit(end - len(node.attr), end, DTYPES[node.attr], "dtype")
        elif node.attr == "dtype" and isinstance(node.ctx, ast.Load):
            yield Edit(*tree.span(node), "np.dtype(np.float64)", "dtype")
            yield Edit(*tree.span(node), "np.dtype(np.float32)", "dtype")
    if isinstance(node, ast.keyword) and node.arg == "dtype" and isinstance(node.value, ast.Name):
        if node.value.id in DTYPES:
            yield Edit(*tree.span(node.value), DTYPES[node.value.id], "dtype")


def in_place(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """`y = x + b` writes into `x` on the way, if `x` is an array that the caller owns."""
    if not isinstance(node, ast.Assign | ast.Return) or node.value is None:
        return
    start, end = tree.span(node)
    line_start = tree.text.rfind("\n", 0, start) + 1
    indent = tree.text[line_start:start]
    if indent.strip():  # not alone on its line
        return
    owned = callers_arrays(tree.function)
    for part in ast.walk(node.value):
        if isinstance(part, ast.BinOp) and isinstance(part.left, ast.Name) and part.left.id in owned:
            op = IN_PLACE.get(type(part.op))
            if op is None:
                continue
            name = part.left.id
            first, last = tree.span(part)
            rest = tree.text[start:first] + name + tree.text[last:end]
            yield Edit(start, end, f"{name} {op}= {tree.of(part.right)}\n{indent}{rest}", "in-place")


def subscripts(node: ast.AST, tree: Tree) -> Iterator[Edit]:
    """The output of an einsum is transposed, or one of its operands."""
    if not isinstance(node, ast.Call) or name_of(node) != "einsum" or not node.args:
        return
    text = node.args[0]
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        words = text.value
        for i in range(len(words) - 1):
            if words[i].isalpha() and words[i + 1].isalpha():
                swapped = words[:i] + words[i + 1] + words[i] + words[i + 2 :]
                yield Edit(*tree.span(text), f'"{swapped}"', "subscripts")


def callers_arrays(function: ast.FunctionDef) -> set[str]:
    """Return the names of the parameters that are arrays, and of what is unpacked from a cache."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    names = {one.arg for one in arguments if one.annotation and "np.ndarray" in ast.unparse(one.annotation)}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and "cache" in ast.unparse(node.value):
            for target in node.targets:
                if not isinstance(node.value, ast.Call):
                    names |= {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}
    return names


ARRAY_OPERATORS = (axis, slices, index, lost, transposed, dtype, in_place, subscripts)
