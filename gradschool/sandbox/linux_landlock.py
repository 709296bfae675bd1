"""Landlock: which files a process may open, set by the process itself, without root.

A ruleset lists what stays allowed; everything else that the kernel's version
of Landlock knows about is refused, in this process and all it starts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from gradschool.sandbox.linux_libc import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_LOG_SAME_EXEC_OFF = 1  # since ABI 7: do not fill the audit log with refusals

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

READ = _READ_FILE | _READ_DIR
WRITE = 0x7FFF & ~_EXECUTE  # read, write, create and remove; never execute
DEVICE = _READ_FILE | _READ_DIR | _WRITE_FILE | _IOCTL_DEV


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """Landlock's version in the running kernel; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    try:
        return syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def handled_rights(version: int) -> int:
    """The file rights that this version can refuse."""
    return (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1


def make_ruleset(rules: Iterable[tuple[Path, int]]) -> int:
    """Make a ruleset that allows these paths and nothing else.

    Args:
        rules: Folders or files with the rights they keep: `READ`, `WRITE` or
            `DEVICE`. Missing paths are skipped.

    Returns:
        The ruleset's file descriptor; the caller closes it.

    Raises:
        OSError: The kernel has no Landlock, or it is switched off.
    """
    version = abi()
    if version == 0:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    rights = handled_rights(version)
    attr = _RulesetAttr(rights, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(attr), size, 0)
    try:
        for path, allowed in rules:
            _add_rule(ruleset, path, allowed & rights)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def restrict_self(ruleset: int) -> None:
    """Put the calling thread, and all it starts later, under a ruleset for good."""
    syscall(_RESTRICT_SELF, ruleset, _LOG_SAME_EXEC_OFF if abi() >= 7 else 0)


def _add_rule(ruleset: int, path: Path, allowed: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there, or out of reach already: nothing to allow
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            allowed &= _FILE_RIGHTS
        rule = _PathBeneath(allowed, fd)
        syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(fd)
