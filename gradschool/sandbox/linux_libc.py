"""The C library's calls that Python does not offer, through ctypes."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any


@cache
def libc() -> Any:
    """The C library this interpreter is linked with."""
    return ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *args: Any) -> int:
    """Make a raw system call.

    Args:
        number: The call's number on this machine.
        *args: Integers, None, or ctypes pointers.

    Raises:
        OSError: The kernel refused it.
    """
    converted = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return check(libc().syscall(ctypes.c_long(number), *converted))


def prctl(option: int, *args: Any) -> int:
    """Call `prctl(2)`; integer arguments are passed as unsigned long, as the kernel wants."""
    converted = [ctypes.c_ulong(arg) if isinstance(arg, int) else arg for arg in args]
    converted += [ctypes.c_ulong(0)] * (4 - len(converted))
    return check(libc().prctl(option, *converted))


def check(result: int) -> int:
    """Turn the C convention of -1 and errno into an OSError."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
