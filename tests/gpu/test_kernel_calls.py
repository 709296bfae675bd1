from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradschool.errors import KernelCompileError, KernelError, KernelLimitError
from gradschool.gpu import device_log, to_device
from gradschool.gpu.backend import Backend
from gradschool.gpu.kernel import Kernel, load_kernel, pack_params, workgroup_size


def ramp(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


@pytest.mark.parametrize("n", [1, 3, 63, 64, 65, 1000])
def test_arrays_go_in_and_come_out(on_backend: Backend, scale: Kernel, n: int) -> None:
    out = scale(x=ramp(n), alpha=2.5)
    assert (type(out), out.dtype, out.shape) == (np.ndarray, np.float32, (n,))
    assert np.array_equal(out, 2.5 * ramp(n))


def test_an_empty_array_gives_an_empty_array(on_backend: Backend, scale: Kernel) -> None:
    assert scale(x=ramp(0), alpha=1.0).shape == (0,)


def test_a_result_can_be_written_to(on_backend: Backend, scale: Kernel) -> None:
    out = scale(x=ramp(3), alpha=1)
    out += 1
    assert out.tolist() == [1, 2, 3]


def test_a_slice_is_laid_out_anew(on_backend: Backend, scale: Kernel) -> None:
    assert np.array_equal(scale(x=ramp(20)[::2], alpha=1), ramp(20)[::2])


def test_a_kernel_runs_again_with_another_size_and_value(on_backend: Backend, scale: Kernel) -> None:
    scale(x=ramp(5), alpha=2)
    assert scale(x=ramp(2), alpha=3).tolist() == [0, 3]


def test_an_inout_array_is_returned_and_the_callers_copy_kept(on_backend: Backend, step: Kernel) -> None:
    w, grad = np.ones((3, 5), np.float32), np.full((3, 5), 2, np.float32)
    out = step(w=w, grad=grad, lr=0.25)
    assert list(out) == ["w", "count"]
    assert np.array_equal(out["w"], np.full((3, 5), 0.5, np.float32))
    assert np.array_equal(w, np.ones((3, 5)))


def test_a_zeroed_output_arrives_as_zeros_every_time(on_backend: Backend, step: Kernel) -> None:
    w = np.ones((3, 5), np.float32)
    counts = [step(w=w, grad=w, lr=0.0)["count"].tolist() for _ in range(2)]
    assert counts == [[15], [15]]


BAD_CALLS = {
    "float64": ({"x": np.ones(3), "alpha": 1}, "float64", "astype(np.float32)"),
    "int64": ({"x": np.ones(3, np.int64), "alpha": 1}, "int64", "astype(np.float32)"),
    "list": ({"x": [1.0], "alpha": 1}, "a list", "np.asarray"),
    "none": ({"x": None, "alpha": 1}, "None", "np.asarray"),
    "rank": ({"x": np.ones((3, 1), np.float32), "alpha": 1}, "(3, 1)", "Reshape"),
    "missing array": ({"alpha": 1}, "needs the array x", "x (n) f32"),
    "missing param": ({"x": ramp(3)}, "needs alpha", "alpha=..."),
    "unknown name": ({"x": ramp(3), "alpha": 1, "beta": 2}, "'beta'", "x (n) f32; alpha"),
    "output given": ({"x": ramp(3), "alpha": 1, "out": ramp(3)}, "makes out itself", "Leave out="),
    "param is an array": ({"x": ramp(3), "alpha": ramp(2)}, "one number", ""),
    "param is text": ({"x": ramp(3), "alpha": "2"}, "str", ""),
    "size disagrees": ({"x": ramp(3), "alpha": 1, "n": 4}, "n = 4", ""),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_a_wrong_call_is_one_sentence_and_what_to_do(on_backend: Backend, scale: Kernel, case: str) -> None:
    arguments, message, help = BAD_CALLS[case]
    with pytest.raises(KernelError) as caught:
        scale(**arguments)
    assert message in caught.value.message
    assert help in caught.value.help


def test_arrays_by_position_are_refused(on_backend: Backend, scale: Kernel) -> None:
    with pytest.raises(KernelError, match="by name"):
        scale(ramp(3), alpha=1)


def test_arrays_that_disagree_on_a_size_are_refused(on_backend: Backend, step: Kernel) -> None:
    with pytest.raises(KernelError, match="n_cols"):
        step(w=np.ones((3, 5), np.float32), grad=np.ones((3, 4), np.float32), lr=1)


CHANGED = {
    "wrong kind": (
        ("<storage, read> x", "<storage, read_write> x"),
        "@binding(1) x as var<storage, read_write>",
    ),
    "missing": (
        ("@group(0) @binding(1) var<storage, read> x: array<f32>;", "const x = array(1f, 2f);"),
        "@binding(1) x",
    ),
    "extra": (
        ("const WORK", "@group(0) @binding(7) var<storage, read> y: array<f32>;\nconst WORK"),
        "@binding(7) y",
    ),
    "other group": (("@group(0) @binding(1)", "@group(1) @binding(1)"), "@group(1)"),
    "entry point": (("fn main", "fn scale"), "no entry point main; it has scale"),
    "workgroup": (("32u * 2u", "32u * 9u"), "288"),
    "workgroup memory": (("const WORK", "var<workgroup> t: array<f32, 4097>;\nconst WORK"), "16400"),
    "syntax": (("params.n) {", "params.n {"), "scale.wgsl"),
    "type": (("params.alpha *", "params.n *"), "scale.wgsl"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_kernel_that_breaks_its_contract_is_refused(on_backend: Backend, scale: Kernel, case: str) -> None:
    (old, new), words = CHANGED[case]
    source = scale.source.replace(old, new)
    if case == "workgroup memory":
        source = source.replace("global_id.x < params.n)", "global_id.x < params.n + u32(t[0]))")
    assert source != scale.source
    with pytest.raises(KernelError) as caught:
        Kernel(source, "scale.wgsl")(x=ramp(3), alpha=1)
    assert words in str(caught.value)


def test_a_compile_error_points_at_the_learners_line(on_backend: Backend, scale: Kernel) -> None:
    source = scale.source.replace("params.alpha * x[global_id.x];", "params.alpha * y[global_id.x];")
    with pytest.raises(KernelCompileError) as caught:
        Kernel(source, "scale.wgsl")(x=ramp(3), alpha=1)
    assert caught.value.filename == "scale.wgsl"
    assert caught.value.line == 1 + source[: source.index("y[global_id")].count("\n")
    assert "^" in caught.value.message


# Each makes a hostile text from a good one.
HOSTILE: dict[str, Callable[[str], str]] = {
    "3,000 parentheses": lambda text: text.replace(
        "params.alpha *", "(" * 3000 + "params.alpha" + ")" * 3000 + " *"
    ),
    "9,000 minus signs": lambda text: text.replace("params.alpha *", "- " * 9000 + "params.alpha *"),
    "pointer to a component": lambda text: text.replace(
        "@compute", "fn f(p: ptr<function, f32>) -> f32 { return *p; }\n\n@compute"
    ).replace("if (", "var v = vec2f(1, 2);\n  let q = f(&v[1]);\n  if ("),
    "16 MB private array": lambda text: text.replace(
        "@compute", "var<private> big: array<f32, 4194304>;\n@compute"
    ).replace("params.alpha *", "big[params.n] *"),
    "70 KB of text": lambda text: text + "// " + "x" * 70_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_text_that_crashes_drivers_never_reaches_one(on_backend: Backend, scale: Kernel, case: str) -> None:
    source = HOSTILE[case](scale.source)
    with pytest.raises(KernelError, match=r"scale\.wgsl"):
        Kernel(source, "scale.wgsl")(x=ramp(3), alpha=1)


def test_a_missing_file_names_its_neighbours(tmp_path: Path, scale: Kernel) -> None:
    (tmp_path / "scale.wgsl").write_text(scale.source)
    with pytest.raises(KernelError) as caught:
        load_kernel(tmp_path / "scael.wgsl")
    assert "scale.wgsl" in caught.value.help


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b" \n\n", "is empty"), (b"\xff\xfe\x00", "UTF-8"), (b"x" * 70_000, "70,000 bytes")],
)
def test_a_file_that_is_no_kernel_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "scale.wgsl"
    path.write_bytes(content)
    with pytest.raises((KernelCompileError, KernelLimitError), match=words):
        load_kernel(path)


def test_a_lost_header_says_to_copy_it_back(tmp_path: Path, scale: Kernel) -> None:
    path = tmp_path / "scale.wgsl"
    path.write_text("".join(scale.source.partition("struct")[1:]))
    with pytest.raises(KernelCompileError) as caught:
        load_kernel(path)
    assert "assignment" in caught.value.help


def test_the_workgroup_size_is_evaluated(scale: Kernel) -> None:
    assert scale.workgroup_size == workgroup_size(scale.source, "scale.wgsl") == (64, 1, 1)


def test_params_are_packed_in_order_and_padded(step: Kernel) -> None:
    packed = pack_params(step.contract, {"n_rows": 2, "n_cols": 3, "lr": 0.5})
    assert packed.nbytes == 16
    assert packed.view(np.uint32)[:2].tolist() == [2, 3]
    assert packed.view(np.float32)[2] == 0.5


@pytest.mark.parametrize("value", [-1, 1.5, 2**32, float("nan"), float("inf"), True])
def test_a_param_that_does_not_fit_its_type_is_refused(step: Kernel, value: float) -> None:
    with pytest.raises(KernelError, match="n_rows"):
        pack_params(step.contract, {"n_rows": value, "n_cols": 3, "lr": 0.5})


def test_too_many_workgroups_are_refused(on_backend: Backend, step: Kernel) -> None:
    rows = np.ones((65_536, 1), np.float32)
    with pytest.raises(KernelError, match="65535"):
        step(w=rows, grad=rows, lr=1)


def test_a_log_tells_what_went_to_the_device_and_back(on_backend: Backend, scale: Kernel) -> None:
    kernel, x = scale, ramp(5)
    with device_log() as log:
        kernel(x=kernel(x=to_device(x), alpha=2.0), alpha=2.0).numpy()
        assert (log.launches, log.n_returns) == (["scale.wgsl"] * 2, 0)
        kernel(x=x, alpha=1.0)
    kernel(x=x, alpha=1.0)
    assert (len(log.launches), log.n_uploads, log.n_downloads, log.n_returns) == (3, 2, 2, 1)
