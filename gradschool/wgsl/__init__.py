"""A WGSL interpreter for compute shaders, vectorised over invocations with NumPy.

It is the device of last resort, and it sees what a GPU hides: data races, divergent barriers, accesses outside a
buffer, and reads of memory that nothing has written.
"""

from gradschool.wgsl.access_log import AccessLog
from gradschool.wgsl.describe import Binding, BindingType, EntryPoint
from gradschool.wgsl.errors import WgslError
from gradschool.wgsl.findings import Finding
from gradschool.wgsl.module import Module, RunResult, compile_wgsl
from gradschool.wgsl.run import BufferIn

__all__ = [
    "AccessLog",
    "Binding",
    "BindingType",
    "BufferIn",
    "EntryPoint",
    "Finding",
    "Module",
    "RunResult",
    "WgslError",
    "compile_wgsl",
]
