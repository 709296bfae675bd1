"""The contract of a WGSL kernel, read from the header comment that opens its file.

The header is written for people and read by the runtime, the graders and the tests:
the same words give shapes to check, buffers to bind and workgroups to launch.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from gradschool.errors import KernelError, PackError

Access = Literal["uniform", "read", "read_write"]
ArrayRole = Literal["input", "output", "zeroed", "inout"]
NUMPY_DTYPES = {"f32": "float32", "i32": "int32", "u32": "uint32", "f16": "float16"}

_LABELS = ("Stage", "Source", "Shapes", "Bindings", "Dispatch", "Guard", "Numerics")
_SHAPE = re.compile(
    r"(?P<names>\w+(?:\s*,\s*\w+)*)\s*:\s*\((?P<dims>[^()]*)\)\s*(?P<dtype>f32|i32|u32|f16)\b"
)
_DISPATCH = re.compile(r"(?P<unit>workgroups|invocations)\s*=\s*\((?P<axes>[^;:]*)\)")
_FIELD = re.compile(r"(?P<name>\w+)\s*:\s*(?P<type>f32|i32|u32)\s*,?")
_STRUCT = re.compile(r"struct\s+Params\s*\{(?P<body>[^}]*)\}")


@dataclass(frozen=True)
class ArraySpec:
    """One storage buffer: its name, dtype and symbolic shape.

    Attributes:
        dims: One expression per axis in the names of `Params` fields, e.g. `n_rows`.
        role: `input` is read only; `output` arrives undefined and must be written whole;
            `zeroed` arrives as zeros; `inout` is the caller's data, updated in place.
    """

    name: str
    binding: int
    dtype: str
    dims: tuple[str, ...]
    role: ArrayRole

    @property
    def numpy_dtype(self) -> str:
        """The NumPy name of the element type."""
        return NUMPY_DTYPES[self.dtype]

    def shape(self, params: Mapping[str, float]) -> tuple[int, ...]:
        """Return the shape for concrete `params`."""
        return tuple(int(evaluate(dim, params)) for dim in self.dims)


@dataclass(frozen=True)
class Contract:
    """What a kernel promises and how to launch it.

    Attributes:
        fields: `(name, type)` of each field of the uniform `Params`, in order.
        params_binding: Binding index of the uniform, or None for a kernel without one.
        unit: Whether `axes` count `workgroups` exactly, or `invocations` to be covered.
        header: The whole header comment, the text compared between stub and reference.
    """

    name: str
    formula: str
    stage: str
    source: str
    guard: str
    numerics: str
    arrays: tuple[ArraySpec, ...]
    fields: tuple[tuple[str, str], ...]
    params_binding: int | None
    unit: Literal["workgroups", "invocations"]
    axes: tuple[str, ...]
    header: str

    @cached_property
    def inputs(self) -> tuple[ArraySpec, ...]:
        """Arrays the caller provides."""
        return tuple(spec for spec in self.arrays if spec.role in ("input", "inout"))

    @cached_property
    def outputs(self) -> tuple[ArraySpec, ...]:
        """Arrays the kernel writes."""
        return tuple(spec for spec in self.arrays if spec.role != "input")

    def extent(self, params: Mapping[str, float]) -> tuple[int, int, int]:
        """Return how many workgroups or invocations (see `unit`) a launch needs."""
        x, y, z = ([int(evaluate(axis, params)) for axis in self.axes] + [1, 1])[:3]
        return x, y, z

    def workgroups(
        self, params: Mapping[str, float], workgroup_size: tuple[int, int, int]
    ) -> tuple[int, int, int]:
        """Return the workgroups to launch for `params` with the learner's `workgroup_size`.

        Raises:
            KernelError: An axis needs more than WebGPU's 65,535 workgroups.
        """
        extent = self.extent(params)
        if self.unit == "invocations":
            extent = tuple(-(-n // size) for n, size in zip(extent, workgroup_size, strict=True))
        if max(extent) > 65_535:
            raise KernelError(
                f"{self.name}.wgsl would need {max(extent)} workgroups on one axis; WebGPU allows 65535.",
                help="Use a larger @workgroup_size, or split the data.",
            )
        return extent[0], extent[1], extent[2]

    def infer_params(
        self, shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, float]
    ) -> dict[str, float]:
        """Fill `Params` from the shapes of the arrays passed and from `given`.

        Raises:
            KernelError: Two arrays disagree on a size, an array has the wrong rank or
                shape, or a field is neither a size of an array nor given.
        """
        params: dict[str, float] = {}
        for spec in self.arrays:
            shape = shapes.get(spec.name)
            if shape is None:
                continue
            if len(shape) != len(spec.dims):
                raise KernelError(
                    f"{self.name}: {spec.name} has shape {shape}, but the contract says ({', '.join(spec.dims)}).",
                    help=f"Reshape {spec.name} to {len(spec.dims)} axes before the call.",
                )
            for dim, size in zip(spec.dims, shape, strict=True):
                if dim.isidentifier() and params.setdefault(dim, size) != size:
                    raise KernelError(
                        f"{self.name}: {spec.name} has shape {shape}, which makes {dim} = {size}, "
                        f"but another array makes {dim} = {params[dim]}.",
                        help=f"Every array that names {dim} must agree on it.",
                    )
        for name, value in given.items():
            if params.setdefault(name, value) != value:
                raise KernelError(
                    f"{self.name}: {name} = {value} was given, but the arrays make it {params[name]}."
                )
        self._check_params(params, given)
        self._check_shapes(shapes, params)
        return params

    def _check_params(self, params: dict[str, float], given: Mapping[str, float]) -> None:
        names = [name for name, _ in self.fields]
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise KernelError(
                f"{self.name} has no argument {unknown[0]!r}.",
                help=f"Its arrays are {', '.join(spec.name for spec in self.inputs)}; its params are {', '.join(names)}.",
            )
        for name in names:
            if name not in params:
                raise KernelError(f"{self.name} needs {name}.", help=f"Pass it by keyword: {name}=...")

    def _check_shapes(self, shapes: Mapping[str, tuple[int, ...]], params: dict[str, float]) -> None:
        for spec in self.arrays:
            shape = shapes.get(spec.name)
            if shape is not None and shape != spec.shape(params):
                raise KernelError(
                    f"{self.name}: {spec.name} has shape {shape}, but the contract says "
                    f"({', '.join(spec.dims)}) = {spec.shape(params)}."
                )


def evaluate(expression: str, names: Mapping[str, float]) -> float:
    """Evaluate arithmetic over `names`: + - *, `//`, `ceil(a / b)`, `min`, `max`.

    Raises:
        PackError: The expression holds anything else, or an unknown name.
    """
    try:
        return _evaluate(_parse(expression), names)
    except (SyntaxError, KeyError, TypeError) as error:
        raise PackError(f"The contract's expression {expression!r} cannot be evaluated: {error}.") from error


@lru_cache(maxsize=1_000)
def _parse(expression: str) -> ast.expr:
    """Parse once: a kernel's few expressions are evaluated at every launch."""
    return ast.parse(expression.strip(), mode="eval").body


_OPERATORS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
}
_FUNCTIONS = {"ceil": math.ceil, "min": min, "max": max}


def _evaluate(node: ast.expr, names: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_evaluate(node.left, names), _evaluate(node.right, names))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _FUNCTIONS[node.func.id](*(_evaluate(arg, names) for arg in node.args))
    raise TypeError(f"{ast.unparse(node)!r} is not simple arithmetic")


def load_contract(path: Path) -> Contract:
    """Read the contract of the kernel file at `path`."""
    return parse_contract(path.read_text(encoding="utf-8"), path.name)


def parse_contract(text: str, filename: str) -> Contract:
    """Read the contract from the header of kernel source `text`.

    Raises:
        PackError: A label is missing, or a line does not say what it must.
    """
    lines = []
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        lines.append(line)
    header = "\n".join(lines)
    labels = _read_labels(lines)
    name, _, formula = lines[0][2:].strip().partition(":") if lines else ("", "", "")
    missing = [label for label in _LABELS if label not in labels]
    if missing or name + ".wgsl" != filename:
        raise PackError(
            f"{filename}: the header lacks {', '.join(missing) or 'the first line `// name: formula`'}.",
            help="Every kernel opens with: name, Stage, Source, Shapes, Bindings, Dispatch, Guard, Numerics.",
        )
    arrays, params_binding = _read_arrays(labels, filename)
    struct = _STRUCT.search(text)
    dispatch = _DISPATCH.search(labels["Dispatch"])
    if dispatch is None:
        raise PackError(f"{filename}: the Dispatch line needs `workgroups = (...)` or `invocations = (...)`.")
    return Contract(
        name=name,
        formula=formula.strip(),
        stage=labels["Stage"],
        source=labels["Source"],
        guard=labels["Guard"],
        numerics=labels["Numerics"],
        arrays=arrays,
        fields=tuple((m["name"], m["type"]) for m in _FIELD.finditer(struct["body"])) if struct else (),
        params_binding=params_binding,
        unit="workgroups" if dispatch["unit"] == "workgroups" else "invocations",
        axes=_split_axes(dispatch["axes"]),
        header=header,
    )


def _read_labels(lines: list[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    current = None
    for line in lines[1:]:
        text = line[2:]
        words = text.split(maxsplit=1)
        if words and words[0] in _LABELS and not text.startswith("   "):
            current = words[0]
            labels[current] = words[1].strip() if len(words) > 1 else ""
        elif current and text.strip():
            labels[current] += " " + text.strip()
    return labels


def _read_arrays(labels: dict[str, str], filename: str) -> tuple[tuple[ArraySpec, ...], int | None]:
    shapes: dict[str, tuple[tuple[str, ...], str]] = {}
    for part in labels["Shapes"].split(";"):
        found = _SHAPE.search(part)
        if found:
            dims = tuple(dim.strip() for dim in found["dims"].split(",") if dim.strip())
            for name in found["names"].split(","):
                shapes[name.strip()] = (dims, found["dtype"])
    arrays: list[ArraySpec] = []
    params_binding = None
    for part in labels["Bindings"].split("|"):
        index, name, access, *role = part.split()
        if access == "uniform":
            params_binding = int(index)
            continue
        if name not in shapes:
            raise PackError(f"{filename}: binding {index} is {name}, which the Shapes line does not name.")
        dims, dtype = shapes[name]
        arrays.append(ArraySpec(name, int(index), dtype, dims, _array_role(access, role, filename)))
    return tuple(arrays), params_binding


def _array_role(access: str, role: list[str], filename: str) -> ArrayRole:
    if access == "read" and not role:
        return "input"
    if access == "read_write" and not role:
        return "output"
    if access == "read_write" and role == ["zeroed"]:
        return "zeroed"
    if access == "read_write" and role == ["inout"]:
        return "inout"
    raise PackError(
        f"{filename}: a binding is '{access} {' '.join(role)}'; know read, read_write, zeroed, inout."
    )


def _split_axes(text: str) -> tuple[str, ...]:
    """Split `ceil(n / 4), m, 1` at the commas outside parentheses."""
    tree = ast.parse(f"({text},)", mode="eval").body
    assert isinstance(tree, ast.Tuple)
    return tuple(ast.unparse(axis) for axis in tree.elts)
