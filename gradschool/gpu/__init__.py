"""WGSL kernels called from Python: choose a device, load a kernel, pass arrays.

Kept light: nothing here imports wgpu or the interpreter before a kernel is run.
"""

from __future__ import annotations

from gradschool.gpu.arrays import DeviceArray, to_device
from gradschool.gpu.device import DeviceInfo, device_info, open_backend
from gradschool.gpu.device_log import DeviceLog, device_log
from gradschool.gpu.kernel import Kernel, load_kernel

__all__ = [
    "DeviceArray",
    "DeviceInfo",
    "DeviceLog",
    "Kernel",
    "device_info",
    "device_log",
    "load_kernel",
    "open_backend",
    "to_device",
]
