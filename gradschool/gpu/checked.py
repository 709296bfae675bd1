"""Read a kernel with our own strict front end before any driver sees it.

Some texts crash a driver, and then the process; others pass here and fail in a browser.
So every kernel is read by the interpreter's parser first, and held to WebGPU's default
limits, whatever the device at hand would put up with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gradschool.errors import DeviceError, GradschoolError, KernelCompileError, KernelLimitError
from gradschool.gpu.backend import BindingKind, Layout

MAX_SOURCE_BYTES = 64 * 1024
KERNELS_KEPT = 64

_KIND_WORDS: dict[BindingKind, str] = {
    "uniform": "var<uniform>",
    "read": "var<storage, read>",
    "read_write": "var<storage, read_write>",
}


@dataclass(frozen=True, eq=False)
class CheckedKernel:
    """A kernel whose text is valid and within WebGPU's limits.

    Attributes:
        workgroup_size: Three sizes, constants evaluated.
        bindings: Kind and variable name by binding index of group 0.
        module: The interpreter's compiled module.
    """

    source: str
    filename: str
    entry: str
    workgroup_size: tuple[int, int, int]
    bindings: Mapping[int, tuple[BindingKind, str]]
    module: Any


def decode_source(raw: bytes, filename: str) -> str:
    """Return the text of a kernel file.

    Raises:
        KernelLimitError: It is larger than any kernel of the course.
        KernelCompileError: It is empty, or not text.
    """
    _check_size(len(raw), filename)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KernelCompileError(
            f"{filename} is not a text file: byte {error.start} is not UTF-8.",
            help="Save it as plain UTF-8 text.",
            filename=filename,
        ) from None
    _check_empty(text, filename)
    return text.replace("\r\n", "\n")


@lru_cache(maxsize=KERNELS_KEPT)
def check_kernel(source: str, filename: str, entry: str = "main") -> CheckedKernel:
    """Parse and check a kernel.

    Raises:
        KernelCompileError: It is empty, not valid WGSL, or has no entry point of that name.
        KernelLimitError: It is larger than WebGPU or the grader allow.
    """
    _check_size(len(source.encode("utf-8", "surrogatepass")), filename)
    _check_empty(source, filename)
    module = _compile(source, filename)
    point = module.entry_points.get(entry)
    if point is None:
        found = ", ".join(name[:40] for name in sorted(module.entry_points)[:8]) or "none"
        raise KernelCompileError(
            f"{filename} has no entry point {entry}; it has {found}.",
            help=f"The kernel starts at `@compute @workgroup_size(64) fn {entry}(...)`.",
            filename=filename,
        )
    x, y, z = (*point.workgroup_size, 1, 1)[:3]
    return CheckedKernel(source, filename, entry, (x, y, z), _bindings(module, filename), module)


def check_bindings(kernel: CheckedKernel, layout: Layout, names: Mapping[int, str]) -> None:
    """Compare the bindings a kernel declares with those it will be given.

    Args:
        kernel: The learner's kernel.
        layout: What the contract says.
        names: The contract's name of each binding.

    Raises:
        KernelCompileError: One is missing, new, or of another kind.
    """
    wanted = dict(layout)
    for index in sorted({*wanted, *kernel.bindings}):
        kind, found = wanted.get(index), kernel.bindings.get(index)
        name = names.get(index, "") or ("params" if kind == "uniform" else "")
        if kind is None and found is not None:
            what = f"declares @binding({index}) {found[1]}, which its contract does not have"
        elif kind is not None and found is None:
            what = f"does not declare @binding({index}) {name}, which its contract has".replace("  ", " ")
        elif kind is not None and found is not None and found[0] != kind:
            what = (
                f"declares @binding({index}) {found[1]} as {_KIND_WORDS[found[0]]}, "
                f"but its contract says {_KIND_WORDS[kind]}"
            )
        else:
            continue
        raise KernelCompileError(
            f"{kernel.filename} {what}.",
            help="Copy the @binding lines back from the assignment; write below them.",
            filename=kernel.filename,
        )


def _check_size(n_bytes: int, filename: str) -> None:
    if n_bytes > MAX_SOURCE_BYTES:
        raise KernelLimitError(
            f"{filename} has {n_bytes:,} bytes; a kernel may have {MAX_SOURCE_BYTES:,}.",
            help="Use loops in place of unrolled code.",
        )


def _check_empty(text: str, filename: str) -> None:
    if not text.strip():
        raise KernelCompileError(
            f"{filename} is empty.",
            help="Copy the file from the assignment and start again.",
            filename=filename,
        )


def _compile(source: str, filename: str) -> Any:
    from gradschool.wgsl import WgslError, compile_wgsl

    try:
        return compile_wgsl(source, filename)
    except WgslError as error:
        text = str(error)
        if error.help:
            text = re.sub(r"\n\s*(= )?help: .*", "", text, flags=re.DOTALL)
        raise KernelCompileError(
            text, help=error.help, filename=filename, line=error.line or None, column=error.column or None
        ) from None
    except GradschoolError:
        raise
    except RecursionError:
        raise KernelLimitError(
            f"{filename} is nested too deeply to be read.", help="Split long expressions into several `let`."
        ) from None
    except Exception as error:
        # A fault of ours, which must not look like the learner's.
        raise DeviceError(
            f"Reading {filename} failed inside gradschool: {type(error).__name__}: {error}.",
            help="Please report it, with the kernel.",
        ) from error


def _bindings(module: Any, filename: str) -> dict[int, tuple[BindingKind, str]]:
    found: dict[int, tuple[BindingKind, str]] = {}
    for binding in module.bindings:
        if binding.group != 0:
            raise KernelCompileError(
                f"{filename}: {binding.name} is in @group({binding.group}); every binding of a kernel is in @group(0).",
                help="Copy the @binding lines back from the assignment.",
                filename=filename,
            )
        kind = "uniform" if binding.address_space == "uniform" else binding.access
        found[binding.binding] = (kind, binding.name)
    return found
