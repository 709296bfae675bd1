"""Perceptron to transformer, in NumPy and WGSL, graded.

What a lesson uses lives at this level: `start`, `check`, `kernel`, `show_kernel`, `hint`.
They are loaded on first use, so that `import gradschool` costs nothing in a sandboxed worker.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradschool.data import load_canvas_digits, load_digits, load_iris
    from gradschool.gpu import device_log, to_device
    from gradschool.notebook import check, hint, kernel, show_kernel, start
    from gradschool.tracing import trace

__version__ = "0.1.0"

_LAZY = {
    "start": "gradschool.notebook",
    "check": "gradschool.notebook",
    "kernel": "gradschool.notebook",
    "show_kernel": "gradschool.notebook",
    "hint": "gradschool.notebook",
    "to_device": "gradschool.gpu",
    "device_log": "gradschool.gpu",
    "trace": "gradschool.tracing",
    "load_canvas_digits": "gradschool.data",
    "load_digits": "gradschool.data",
    "load_iris": "gradschool.data",
}

__all__ = [
    "__version__",
    "check",
    "device_log",
    "hint",
    "kernel",
    "load_canvas_digits",
    "load_digits",
    "load_iris",
    "show_kernel",
    "start",
    "to_device",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gradschool' has no attribute {name!r}")
