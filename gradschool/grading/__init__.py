"""Grading: hidden pytest tests judge a submission that runs somewhere else.

Graders import what they need from here::

    from gradschool.grading import expect_close, expect_equal, expect_raises, tolerance
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradschool.grading import tolerance
    from gradschool.grading.expect import Mismatch, expect_at_most, expect_close, expect_equal, expect_raises
    from gradschool.grading.session import GradingSession
    from gradschool.grading.visible import run_checks

_LAZY = {
    "Mismatch": "gradschool.grading.expect",
    "expect_at_most": "gradschool.grading.expect",
    "expect_close": "gradschool.grading.expect",
    "expect_equal": "gradschool.grading.expect",
    "expect_raises": "gradschool.grading.expect",
    "GradingSession": "gradschool.grading.session",
    "run_checks": "gradschool.grading.visible",
}

__all__ = [
    "GradingSession",
    "Mismatch",
    "expect_at_most",
    "expect_close",
    "expect_equal",
    "expect_raises",
    "run_checks",
    "tolerance",
]


def __getattr__(name: str) -> Any:
    if name == "tolerance":
        return import_module("gradschool.grading.tolerance")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gradschool.grading' has no attribute {name!r}")
