from __future__ import annotations

from dataclasses import replace

import pytest

from gradschool.errors import KernelCompileError
from gradschool.gpu.backend import Backend, Layout
from gradschool.gpu.checked import CheckedKernel
from gradschool.gpu.naga import accepted, compile_error

HEAD = "@group(0) @binding(0) var<storage, read_write> o: array<f32>;\n@compute @workgroup_size(64) fn main() {\n"
LAYOUT: Layout = ((0, "read_write"),)
GOOD = CheckedKernel(HEAD + "  o[0] = 1.0;\n}\n", "kernel.wgsl", "main", (64, 1, 1), {}, None)


@pytest.mark.parametrize(
    ("body", "line", "words", "help"),
    [
        ("  o[0] = 1.0\n}\n", 4, "expected `;`", "line above"),
        ("  let n = 3u;\n  o[0] = n;\n}\n", 3, "`u32` to `f32`", "f32(x)"),
        ("  o[0] = foo;\n}\n", 3, "foo", "spelling"),
        ("  let a = 1;\n  a = 2;\n}\n", 3, "immutable", "`var`"),
    ],
)
def test_nagas_message_names_the_learners_file_and_line(
    wgpu_device: Backend, body: str, line: int, words: str, help: str
) -> None:
    with pytest.raises(KernelCompileError) as caught:
        wgpu_device.compile(replace(GOOD, source=HEAD + body), LAYOUT)
    error = caught.value
    assert (error.filename, error.line) == ("kernel.wgsl", line)
    assert words in error.message
    assert "┌─ kernel.wgsl:" in error.message
    assert "^" in error.message
    assert "wgpuDevice" not in error.message
    assert help in error.help


def test_the_same_text_and_layout_compile_once(wgpu_device: Backend) -> None:
    assert wgpu_device.compile(GOOD, LAYOUT) is wgpu_device.compile(replace(GOOD), LAYOUT)


def test_a_binding_of_another_kind_is_refused_by_the_layout(wgpu_device: Backend) -> None:
    with pytest.raises(KernelCompileError, match="binding: 0"):
        wgpu_device.compile(GOOD, ((0, "read"),))


def test_a_message_without_a_place_keeps_its_text() -> None:
    error = compile_error("Validation Error\n\nCaused by:\n  In wgpuDeviceX\n    something new\n", "k.wgsl")
    assert (error.message, error.line, error.help) == ("k.wgsl: something new", None, "")


def test_the_line_that_enables_subgroups_is_blanked_and_nothing_moves():
    source = "// a\n  enable subgroups;\nfn f() {}\n// enable subgroups;\n"
    assert accepted(source) == "// a\n" + " " * 19 + "\nfn f() {}\n// enable subgroups;\n"
