"""The filter's program, run here by a small BPF machine: the same verdicts on both machines."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from gradschool.sandbox.linux_seccomp import build_filter
from gradschool.sandbox.linux_syscalls import AARCH64, X86_64

PID = 4321
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
MACHINES = {"x86_64": (0xC000003E, X86_64), "aarch64": (0xC00000B7, AARCH64)}


def verdict(profile: str, machine: str, name: str | int, *args: int, arch: int | None = None) -> int:
    audit_arch, numbers = MACHINES[machine]
    number = name if isinstance(name, int) else numbers[name]
    padded = [*args, *[0] * (6 - len(args))]
    data = struct.pack("<iIQ6Q", number, audit_arch if arch is None else arch, 0, *padded)
    return run(build_filter(profile, machine, PID), data)


def run(program: bytes, data: bytes) -> int:
    ops = list(struct.iter_unpack("<HBBI", program))
    place, value = 0, 0
    while True:
        code, if_true, if_false, k = ops[place]
        place += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, k)
        elif code == 0x06:
            return k
        else:
            holds = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code]
            place += if_true if holds else if_false


both = pytest.mark.parametrize("machine", MACHINES)
profiles = pytest.mark.parametrize("profile", ["numpy", "gpu"])


@both
@profiles
@pytest.mark.parametrize(
    "name", ["read", "write", "mmap", "munmap", "futex", "close", "fstat", "getrandom", "exit_group"]
)
def test_computing_is_allowed(machine, profile, name):
    assert verdict(profile, machine, name) == ALLOW


@both
@profiles
@pytest.mark.parametrize(
    "name",
    [
        *(
            "execve",
            "execveat",
            "socket",
            "socketpair",
            "connect",
            "bind",
            "sendto",
            "sendmsg",
            "recvmsg",
            "ptrace",
        ),
        *(
            "process_vm_readv",
            "process_vm_writev",
            "bpf",
            "perf_event_open",
            "userfaultfd",
            "mount",
        ),
        *(
            "unshare",
            "setns",
            "keyctl",
            "add_key",
            "shmget",
            "msgget",
            "semget",
            "mq_open",
            "seccomp",
            "capset",
        ),
        *("setuid", "setresuid", "setsid", "setpgid", "inotify_init1", "symlinkat", "fchmodat"),
        *("personality", "open_by_handle_at", "chroot", "pivot_root", "setpriority", "rt_sigqueueinfo"),
    ],
)
def test_reaching_out_is_refused(machine, profile, name):
    assert verdict(profile, machine, name) == EPERM


@both
@profiles
def test_newer_ways_out_are_said_not_to_exist_or_are_refused(machine, profile):
    for name in (
        "io_uring_setup",
        "pidfd_open",
        "pidfd_send_signal",
        "pidfd_getfd",
        "open_tree",
        "memfd_secret",
    ):
        assert verdict(profile, machine, name) in (ENOSYS, EPERM)
    assert verdict(profile, machine, "clone3") == ENOSYS


@both
def test_memory_files_are_for_drivers_only(machine):
    assert verdict("numpy", machine, "memfd_create") == EPERM
    assert verdict("gpu", machine, "memfd_create") == ALLOW


@both
def test_threads_are_for_drivers_and_processes_for_nobody(machine):
    thread, process = 0x003D0F00, 0x01200011
    assert verdict("numpy", machine, "clone", thread) == EPERM
    assert verdict("numpy", machine, "clone", process) == EPERM
    assert verdict("gpu", machine, "clone", thread) == ALLOW
    assert verdict("gpu", machine, "clone", process) == EPERM


@both
@profiles
def test_signals_reach_the_process_itself_and_no_other(machine, profile):
    for name in ("kill", "tgkill", "tkill"):
        assert verdict(profile, machine, name, PID, 6) == ALLOW
        for other in (1, 0, PID + 1, 2**32 - 1, 2**32 - PID):
            assert verdict(profile, machine, name, other, 9) == EPERM


@both
@profiles
def test_limits_may_be_read_but_not_changed(machine, profile):
    assert verdict(profile, machine, "prlimit64", 0, 7, 0, 0xDEAD) == ALLOW
    assert verdict(profile, machine, "prlimit64", 0, 7, 0xBEEF, 0) == EPERM
    assert verdict(profile, machine, "prlimit64", 0, 7, 0xBEEF << 32, 0) == EPERM
    assert verdict(profile, machine, "prlimit64", 1, 7, 0, 0xDEAD) == EPERM


@both
def test_files_open_for_reading_only(machine):
    assert verdict("numpy", machine, "openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC) == ALLOW
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_RDWR | os.O_CLOEXEC):
        assert verdict("numpy", machine, "openat", 0, 0, flags) == EPERM


@both
def test_file_control_cannot_ask_for_signals(machine):
    for command in (0, 1, 2, 3, 4, 1030):
        assert verdict("numpy", machine, "fcntl", 3, command) == ALLOW
    for command in (6, 8, 10, 15, 1024, 1033):
        assert verdict("numpy", machine, "fcntl", 3, command) == EPERM


@both
def test_ioctl_is_refused_but_for_asking_about_terminals(machine):
    assert verdict("numpy", machine, "ioctl", 1, 0x5401) == ALLOW
    assert verdict("numpy", machine, "ioctl", 1, 0x5412) == EPERM


@both
@profiles
def test_another_machine_s_calls_end_the_process(machine, profile):
    assert verdict(profile, machine, 0, arch=0x40000003) == KILL


def test_the_x32_numbers_end_the_process():
    assert verdict("numpy", "x86_64", 0x40000000 + X86_64["read"]) == KILL
    assert verdict("gpu", "x86_64", 0x40000000 + X86_64["execve"]) == KILL


@both
@profiles
def test_the_program_is_short_enough_for_the_kernel(machine, profile):
    assert len(build_filter(profile, machine, PID)) // 8 <= 4096
