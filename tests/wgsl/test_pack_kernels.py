"""Every kernel of the course and every alternative: the interpreter and the device give the same numbers.

Integers are bit-equal. Floats may differ by what WGSL leaves open: the order in which a driver
fuses and rounds, and the precision of exp, log, sqrt and division.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from gradschool.contract import load_contract
from gradschool.gpu.checked import check_kernel
from gradschool.pack import find_pack
from gradschool.tracing.example import make_example
from gradschool.tracing.launch import array_bytes, make_buffers

PACK = find_pack(Path(__file__))

# Relative to the largest value of the result: a few hundred roundings of f32.
BOUND = 3e-5


def committed() -> set[str]:
    """Files git knows, so that a stage that is being written is not judged; all of them without git."""
    found = subprocess.run(
        ["git", "ls-files", "shaders", "graders"], cwd=PACK.root, capture_output=True, text=True, check=False
    )
    return set(found.stdout.split())


def kernels() -> list[tuple[Path, Path]]:
    """Pairs of a kernel and the file that holds its contract."""
    known = committed()
    pairs = []
    for stage in PACK.stages:
        for path in stage.kernels:
            others = sorted(stage.graders.glob(f"alternatives/*/{path.name}"))
            pairs += [(file, path) for file in (path, *others)]
    return [pair for pair in pairs if not known or str(pair[0].relative_to(PACK.root)) in known]


def name_of(pair: tuple[Path, Path]) -> str:
    file, reference = pair
    return f"{file.parent.name}-{reference.stem}"


@pytest.mark.parametrize("pair", kernels(), ids=name_of)
def test_interpreter_and_device_agree_on_a_kernel_of_the_course(device, pair):
    file, reference = pair
    contract = load_contract(reference)
    kernel = check_kernel(file.read_text(encoding="utf-8"), file.name)
    for seed in (0, 1):
        example = make_example(contract, seed=seed)
        buffers = make_buffers(contract, example)
        groups = contract.workgroups(example.params, kernel.workgroup_size)
        mine = kernel.module.run(workgroups=groups, buffers=buffers)
        # A right answer may read padding that reaches no result; the course's own kernels set an example.
        told = [finding for finding in mine.findings if finding.hard or file == reference]
        assert [finding.message for finding in told] == []
        theirs = device.run(
            kernel.source, kernel.module, groups, {index: b.data for index, b in buffers.items()}
        )
        for spec in contract.outputs:
            n_bytes = array_bytes(spec, example.params)
            got = mine.buffers[spec.binding][:n_bytes].view(spec.numpy_dtype)
            want = theirs[spec.binding][:n_bytes].view(spec.numpy_dtype)
            if want.dtype.kind != "f":
                np.testing.assert_array_equal(got, want, err_msg=spec.name)
                continue
            size = float(np.abs(want[np.isfinite(want)]).max(initial=1e-30))
            np.testing.assert_allclose(got, want, rtol=0, atol=BOUND * size, err_msg=spec.name)
