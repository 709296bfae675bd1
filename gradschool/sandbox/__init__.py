"""Isolation: student Python runs in locked-down processes that answer with plain data.

The grader's side is `Zygote` and its workers; `spawn_locked` starts any other
locked-down process; `capabilities` says what this platform can do.
"""

from gradschool.sandbox.client import CallResult, Worker, Zygote
from gradschool.sandbox.functions import FunctionRef
from gradschool.sandbox.limits import GPU_LIMITS, Limits
from gradschool.sandbox.loading import CellReport, CellSource, LoadReport
from gradschool.sandbox.lockdown import Capabilities, Protection, capabilities
from gradschool.sandbox.values import Seed

__all__ = [
    "GPU_LIMITS",
    "CallResult",
    "Capabilities",
    "CellReport",
    "CellSource",
    "FunctionRef",
    "Limits",
    "LoadReport",
    "Protection",
    "Seed",
    "Worker",
    "Zygote",
    "capabilities",
]
