"""Tolerances are proven tight: a test that lets coarse answers pass is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from gradschool.errors import PackError
from gradschool.grading.fill import reference_functions, reference_kernels
from gradschool.grading.options import GradeOptions
from gradschool.pack import Pack
from gradschool.verify.precision import CoarseSession, coarse, load_imprecise
from gradschool.verify.proofs import submission_of

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"
RANDOM = "rng.standard_normal(17)"
WHOLE = "rng.integers(-100, 100, size=17).astype(float)"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A pack whose tests compare random numbers."""
    shutil.copytree(TINY_PACK, tmp_path / "pack", ignore=shutil.ignore_patterns("__pycache__"))
    tests = tmp_path / "pack/graders/00_tiny/test_tiny.py"
    tests.write_text(tests.read_text().replace(WHOLE, RANDOM).replace("expect_equal", "expect_close"))
    return tmp_path / "pack"


def tolerates(root: Path, exercise: str) -> bool:
    pack = Pack(root)
    (stage,) = pack.stages
    files = submission_of(stage, reference_functions(stage), reference_kernels(stage))
    with CoarseSession(pack, GradeOptions(seed=3, device="interpreter")) as session:
        return session.tolerates(stage, files, exercise)


def edit(root: Path, old: str, new: str) -> None:
    path = root / "graders/00_tiny/test_tiny.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_tight_tests_notice_coarse_answers(root: Path) -> None:
    assert not tolerates(root, "double")


def test_a_loose_tolerance_is_found(root: Path) -> None:
    edit(root, "reference.double(x))", "reference.double(x), 1e-5)")
    assert tolerates(root, "double")


def test_a_kernel_whose_tests_see_only_small_integers_is_found(root: Path) -> None:
    assert tolerates(root, "scale_shift.wgsl")


def test_a_kernel_with_real_numbers_and_a_tight_tolerance_is_not(root: Path) -> None:
    edit(root, "rng.integers(-100, 100, size=65)", "rng.standard_normal(65)")
    edit(root, "2 * x + 1)", "2 * x + 1, 1e-6)")
    assert not tolerates(root, "scale_shift.wgsl")


@pytest.mark.parametrize(("n_bits", "step"), [(11, 2.0**-10), (24, 2.0**-23)])
def test_what_needs_more_bits_is_off_by_half_a_unit(n_bits: int, step: float) -> None:
    values = np.array([1 + 0.4 * step, 1 + 0.6 * step, -1 - 0.6 * step, 1e-300, 0.0, np.inf, np.nan])
    moved = coarse(values, n_bits)
    np.testing.assert_allclose(moved[:3], [1 - 0.1 * step, 1 + 1.1 * step, -1 - 1.1 * step], rtol=1e-15)
    assert 0 < abs(moved[3] / 1e-300 - 1) < step
    np.testing.assert_array_equal(moved[4:], values[4:])


def test_what_so_many_bits_hold_stays() -> None:
    values = np.array([0.0, 1.0, -3.0, 2.0**20 + 2.0**4, 2.0**-1000], np.float64)
    np.testing.assert_array_equal(coarse(values, 17), values)
    np.testing.assert_array_equal(coarse(values[:4].astype(np.float32), 17), values[:4])


def test_the_list_of_exceptions_gives_reasons(root: Path) -> None:
    (stage,) = Pack(root).stages
    path = root / "graders/00_tiny/imprecise.toml"
    assert load_imprecise(stage) == {}
    path.write_text('double = "It is drawn at random."')
    assert load_imprecise(stage) == {"double": "It is drawn at random."}
    for wrong in ('nothing = "It is drawn at random."', 'double = ""', "double = 1", "double ="):
        path.write_text(wrong)
        with pytest.raises(PackError, match=r"imprecise\.toml"):
            load_imprecise(stage)
