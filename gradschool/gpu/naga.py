"""Turn a message of wgpu's WGSL compiler into one about the learner's file."""

from __future__ import annotations

import re

from gradschool.errors import KernelCompileError

_PLACE = re.compile(r"┌─ (?P<file>.*):(?P<line>\d+):(?P<column>\d+)")
_HEAD = re.compile(r"^(Shader '[^']*' (parsing|validation) error: |Shader (parsing|validation) error: )")
_WRAPPING = ("Validation Error", "Caused by:")

# Words in naga's text, and what a learner does about them. The first match wins.
_HELP = (
    (
        "automatic conversions cannot convert",
        "WGSL never converts between u32, i32 and f32: write f32(x), u32(x) or i32(x).",
    ),
    ("doesn't match the shader", "Restore the @binding lines of the file: they are part of its contract."),
    (
        "missing from the pipeline layout",
        "Restore the @binding lines of the file: they are part of its contract.",
    ),
    (
        "not available in the pipeline layout",
        "Restore the @binding lines of the file: they are part of its contract.",
    ),
    ("Unable to find entry point", "Name the entry point main: `@compute @workgroup_size(64) fn main(...)`."),
    ("no definition in scope", "Check the spelling, and that it is declared above or passed in."),
    ("expected `;`", "A statement ends with `;`: look at the end of the line above."),
    ("immutable binding", "`let` names a value; declare a variable with `var` to change it."),
    ("writing to this location is not permitted", "This binding is read only; write to the read_write one."),
    ("Capability", "This device lacks a feature that the kernel enables."),
    ("f16", "Half precision needs `enable f16;` as the first line, and a device that has it."),
    ("workgroup_size", "WebGPU allows 256 invocations in a workgroup."),
    (
        "uniform control flow",
        "A barrier must be reached by every invocation of the workgroup: no return before it.",
    ),
    ("reserved", "This word is reserved in WGSL: choose another name."),
)


_SUBGROUPS = re.compile(r"^[ \t]*enable[ \t]+subgroups[ \t]*;", re.MULTILINE)


def accepted(source: str) -> str:
    """Return the source without `enable subgroups;`: naga has the operations, and refuses that line.

    Lines and columns stay where they are.
    """
    return _SUBGROUPS.sub(lambda found: " " * len(found[0]), source)


def compile_error(text: str, filename: str) -> KernelCompileError:
    """Return the error for naga's message `text` about the kernel in `filename`."""
    lines = [line.rstrip() for line in text.splitlines()]
    kept = [line for line in lines if line.strip() and not _is_wrapping(line)]
    place = _PLACE.search(text)
    body = "\n".join(_relabel(line, filename) for line in kept)
    body = _drop_repeated_note(body)
    where = f"{filename}, line {place['line']}" if place else filename
    return KernelCompileError(
        f"{where}: {body.strip()}",
        help=next((help for words, help in _HELP if words in text), ""),
        filename=filename,
        line=int(place["line"]) if place else None,
        column=int(place["column"]) if place else None,
    )


def plain(text: str) -> str:
    """Return naga's or wgpu's message on one line, without its wrapping."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _is_wrapping(line)]
    return " ".join(lines)[:500]


def _is_wrapping(line: str) -> bool:
    return line.strip() in _WRAPPING or line.strip().startswith("In wgpu")


def _relabel(line: str, filename: str) -> str:
    place = _PLACE.search(line)
    if place:
        return line.replace(place[0], f"┌─ {filename}:{place['line']}:{place['column']}")
    return _HEAD.sub("", line)


def _drop_repeated_note(body: str) -> str:
    """Drop the end: naga ends a validation error with its own note a second time."""
    lines = body.splitlines()
    if len(lines) > 1 and any(lines[-1].strip() in line for line in lines[:-1]):
        lines.pop()
    return "\n".join(lines)
