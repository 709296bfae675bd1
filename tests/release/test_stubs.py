from __future__ import annotations

import pytest

from gradschool.errors import PackError
from gradschool.release.stubs import is_unwritten_kernel, stub_function, stub_kernel

WHOLE_MAIN = """\
@group(0) @binding(0) var<storage, read_write> out: array<f32>;

// BEGIN SOLUTION
const TILE = 16u;
@compute @workgroup_size(TILE, TILE)
fn main(
  @builtin(local_invocation_id) local_id: vec3u,
  @builtin(workgroup_id) group_id: vec3u,
) {
  out[local_id.x] = 1.0;
}
// END SOLUTION
"""


def test_an_entry_point_inside_the_solution_comes_back_without_its_body() -> None:
    stub = stub_kernel(WHOLE_MAIN, "fill.wgsl")
    assert "@compute @workgroup_size(8, 8)\nfn main(\n  @builtin(local_invocation_id)" in stub
    assert stub.endswith(") {\n  // YOUR CODE HERE\n}\n")
    assert "TILE" not in stub


def test_a_literal_workgroup_size_is_kept() -> None:
    stub = stub_kernel(WHOLE_MAIN.replace("(TILE, TILE)", "(4, 16)"), "fill.wgsl")
    assert "@workgroup_size(4, 16)" in stub


def test_a_kernel_without_a_solution_region_is_refused() -> None:
    with pytest.raises(PackError, match="no solution region"):
        stub_kernel(WHOLE_MAIN.replace("// BEGIN SOLUTION\n", ""), "fill.wgsl")


def test_a_kernel_without_an_entry_point_is_refused() -> None:
    with pytest.raises(PackError, match="no entry point"):
        stub_kernel(WHOLE_MAIN.replace("fn main", "fn start"), "fill.wgsl")


def test_every_region_of_a_function_is_taken_out_and_a_constant_still_runs() -> None:
    source = """\
### BEGIN SOLUTION
HIDDEN = 3
### END SOLUTION
def triple(x):
    if x is None:
        ### BEGIN SOLUTION
        return 0
        ### END SOLUTION
    ### BEGIN SOLUTION
    return HIDDEN * x
    ### END SOLUTION
"""
    stub = stub_function(source, "triple")
    assert stub.startswith("# YOUR CODE HERE\ndef triple(x):")
    assert stub.count("raise NotImplementedError") == 2
    assert "HIDDEN" not in stub
    exec(stub, {})


def test_a_stub_is_told_from_a_kernel_someone_began() -> None:
    stub = stub_kernel(WHOLE_MAIN, "fill.wgsl")
    assert is_unwritten_kernel(stub)
    assert is_unwritten_kernel(stub.replace("YOUR CODE HERE", "todo"))
    assert not is_unwritten_kernel(stub.replace("// YOUR CODE HERE", "// YOUR CODE HERE\n  out[0] = 1.0;"))
    assert not is_unwritten_kernel(WHOLE_MAIN)
