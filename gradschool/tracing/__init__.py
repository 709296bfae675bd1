"""Watch a kernel run: what each line costs, which invocation touches which element, and where they race."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from gradschool.tracing.record import Trace, trace_file

__all__ = ["Trace", "trace", "trace_file"]


def trace(kernel: str, **arguments: Any) -> Trace:
    """Run a kernel in the interpreter and show what it does, step by step.

    In a notebook the result shows itself: the listing with its counts, and a picture that
    can be stepped through.

    Args:
        kernel: File name of a kernel of this stage, or a path to one.
        arguments: Arrays by binding name and fields of `Params` by name. What is left out gets
            small defaults, so `gs.trace("row_sum.wgsl")` works.

    Raises:
        GradschoolError: There is no such kernel, it does not compile, or the arguments do not fit.
    """
    path = Path(kernel)
    if not path.is_file():
        from gradschool.notebook import _place

        path = _place(sys._getframe(1).f_globals).kernel(kernel)
    arrays = {name: value for name, value in arguments.items() if np.ndim(value)}
    params = {name: value for name, value in arguments.items() if name not in arrays}
    return trace_file(path, arrays, params)
