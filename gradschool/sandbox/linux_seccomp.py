"""Seccomp: which system calls a process may make, as a classic BPF program.

Two policies. `numpy` lists what a single-threaded numerical Python needs and
refuses the rest. `gpu` allows what drivers need (they differ too much for a
list) and refuses what reaches out: processes, sockets, tracing, kernel objects. It
may make a memfd: Mesa 25 keeps device memory in one, and crashes without.
A refused call fails with EPERM, so Python raises PermissionError and the
learner reads an ordinary message.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NamedTuple

from gradschool.sandbox.linux_libc import prctl, syscall
from gradschool.sandbox.linux_syscalls import AARCH64, X86_64

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NR_OFFSET, _ARCH_OFFSET, _ARGS_OFFSET = 0, 4, 16
_FIRST_SHARED_NR = 424

_ALLOWED = """
read write readv writev pread64 preadv preadv2 lseek close close_range fstat stat lstat newfstatat statx statfs fstatfs
access faccessat faccessat2 getdents64 readlink readlinkat getcwd dup dup2 dup3 poll ppoll select pselect6 mmap mprotect
munmap mremap brk madvise msync mincore membarrier futex rseq set_robust_list get_robust_list sched_yield
sched_getaffinity getcpu rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending sigaltstack restart_syscall pause
nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times getitimer setitimer alarm getpid getppid
gettid getuid geteuid getgid getegid getgroups getresuid getresgid getpgrp getpgid getsid uname sysinfo getrusage
getrlimit getpriority get_mempolicy getrandom exit exit_group
""".split()

_DENIED = """
fork vfork execve execveat socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg recvmsg recvmmsg
recvfrom ptrace process_vm_readv process_vm_writev kcmp pidfd_open pidfd_getfd pidfd_send_signal process_madvise
process_mrelease rt_sigqueueinfo rt_tgsigqueueinfo io_uring_setup io_uring_enter io_uring_register io_setup io_submit
bpf perf_event_open userfaultfd mount umount2 pivot_root chroot unshare setns open_tree move_mount fsopen fsconfig
fsmount fspick mount_setattr add_key request_key keyctl shmget shmat shmctl shmdt msgget msgsnd msgrcv msgctl semget
semop semctl semtimedop mq_open mq_unlink mq_timedsend mq_timedreceive memfd_secret setuid setgid setreuid
setregid setresuid setresgid setfsuid setfsgid setgroups capset personality setrlimit seccomp landlock_create_ruleset
landlock_add_rule landlock_restrict_self init_module finit_module delete_module kexec_load kexec_file_load reboot swapon
swapoff acct quotactl syslog settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname inotify_init
inotify_init1 fanotify_init fanotify_mark name_to_handle_at open_by_handle_at migrate_pages move_pages mbind
set_mempolicy lookup_dcookie ioperm iopl modify_ldt setsid setpgid setpriority sched_setscheduler sched_setparam
sched_setattr ioprio_set link linkat symlink symlinkat mknod mknodat chmod fchmod fchmodat fchmodat2 chown lchown fchown
fchownat setxattr lsetxattr fsetxattr utime utimes utimensat futimesat vhangup nfsservctl
""".split()

_CLONE_THREAD = 0x00010000
_OPEN_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)  # duplicate, flags; not F_SETOWN, which sends signals
_IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # is it a terminal, close-on-exec, ...
_PR_SET_NAME = 15


class _Machine(NamedTuple):
    audit_arch: int
    numbers: dict[str, int]


_MACHINES = {
    "x86_64": _Machine(0xC000003E, X86_64),
    "aarch64": _Machine(0xC00000B7, AARCH64),
}


class _Op(NamedTuple):
    """One BPF instruction; a jump target is a distance, or "refuse" for the block's end."""

    code: int
    k: int
    if_true: int | str = 0
    if_false: int | str = 0


def available() -> bool:
    """Whether this kernel and machine take a filter."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or sys.maxsize < 2**32:
        return False
    action = ctypes.c_uint32(_ERRNO)
    number = _MACHINES[platform.machine()].numbers["seccomp"]
    try:
        return syscall(number, 2, 0, ctypes.byref(action)) == 0  # SECCOMP_GET_ACTION_AVAIL
    except OSError:
        return False


def install(profile: str) -> None:
    """Filter the calling process, all its threads, for good. Needs no-new-privileges.

    Args:
        profile: "numpy" or "gpu".

    Raises:
        OSError: The kernel refused the filter.
    """
    code = build_filter(profile, platform.machine(), os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    program = Program(len(code) // 8, ctypes.addressof(buffer))
    number = _MACHINES[platform.machine()].numbers["seccomp"]
    try:
        thread = syscall(number, 1, 1, ctypes.byref(program))  # SET_MODE_FILTER, TSYNC
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        thread = prctl(22, 2, ctypes.byref(program))
    if thread > 0:
        raise OSError(errno.EBUSY, f"thread {thread} could not be put under the filter")


def build_filter(profile: str, machine: str, pid: int) -> bytes:
    """Assemble the BPF program.

    Args:
        profile: "numpy" or "gpu".
        machine: "x86_64" or "aarch64".
        pid: The process that may send signals to itself.

    Returns:
        `struct sock_filter` records, 8 bytes each.
    """
    audit_arch, numbers = _MACHINES[machine]
    ops = [
        _Op(_LD, _ARCH_OFFSET),
        _Op(_JEQ, audit_arch, 1, 0),
        _Op(_RET, _KILL),
        _Op(_LD, _NR_OFFSET),
    ]
    if machine == "x86_64":  # the x32 numbers would walk around every rule
        ops += [_Op(_JGE, 0x40000000, 0, 1), _Op(_RET, _KILL)]
    for name, verdict in _plain_rules(profile):
        if name in numbers:
            ops += [_Op(_JEQ, numbers[name], 0, 1), _Op(_RET, verdict)]
    for name, conditions in _argument_rules(profile, pid):
        if name in numbers:
            ops += _block(numbers[name], conditions)
    if profile == "numpy":
        # Newer calls are "not there", so that the C library falls back to older ones.
        ops += [
            _Op(_JGE, _FIRST_SHARED_NR, 0, 1),
            _Op(_RET, _ERRNO | errno.ENOSYS),
            _Op(_RET, _ERRNO | errno.EPERM),
        ]
    else:
        ops.append(_Op(_RET, _ALLOW))
    return b"".join(struct.pack("<HBBI", op.code, op.if_true, op.if_false, op.k) for op in ops)


def _plain_rules(profile: str) -> list[tuple[str, int]]:
    # The C library tries clone3 first; its flags lie in memory, where a filter cannot look.
    clone3 = ("clone3", _ERRNO | errno.ENOSYS)
    if profile == "numpy":
        return [*((name, _ALLOW) for name in _ALLOWED), clone3]
    return [*((name, _ERRNO | errno.EPERM) for name in _DENIED), clone3]


def _argument_rules(profile: str, pid: int) -> list[tuple[str, list[list[_Op]]]]:
    to_itself = [_argument_in(0, (pid,))]
    rules = [
        ("kill", to_itself),
        ("tkill", to_itself),
        ("tgkill", to_itself),
        ("prlimit64", [_argument_in(0, (0, pid)), _argument_is_null(2)]),  # ask, not set
    ]
    if profile == "numpy":
        return [
            *rules,
            ("openat", [_argument_lacks(2, _OPEN_FOR_WRITING)]),
            ("open", [_argument_lacks(1, _OPEN_FOR_WRITING)]),
            ("fcntl", [_argument_in(1, _FCNTL_COMMANDS)]),
            ("ioctl", [_argument_in(1, _IOCTL_REQUESTS)]),
        ]
    return [
        *rules,
        ("clone", [_argument_has(0, _CLONE_THREAD)]),
        ("prctl", [_argument_in(0, (_PR_SET_NAME,))]),
    ]


def _argument_in(index: int, values: tuple[int, ...]) -> list[_Op]:
    ops = [_Op(_LD, _ARGS_OFFSET + 8 * index)]
    for position, value in enumerate(values):
        last = position == len(values) - 1
        ops.append(_Op(_JEQ, value & 0xFFFFFFFF, len(values) - 1 - position, "refuse" if last else 0))
    return ops


def _argument_lacks(index: int, bits: int) -> list[_Op]:
    return [_Op(_LD, _ARGS_OFFSET + 8 * index), _Op(_JSET, bits, "refuse", 0)]


def _argument_has(index: int, bits: int) -> list[_Op]:
    return [_Op(_LD, _ARGS_OFFSET + 8 * index), _Op(_JSET, bits, 0, "refuse")]


def _argument_is_null(index: int) -> list[_Op]:
    low, high = _ARGS_OFFSET + 8 * index, _ARGS_OFFSET + 8 * index + 4
    return [_Op(_LD, low), _Op(_JEQ, 0, 0, "refuse"), _Op(_LD, high), _Op(_JEQ, 0, 0, "refuse")]


def _block(number: int, conditions: list[list[_Op]]) -> list[_Op]:
    """One call that is allowed when all conditions on its arguments hold."""
    body = [op for condition in conditions for op in condition]
    body += [_Op(_RET, _ALLOW), _Op(_RET, _ERRNO | errno.EPERM)]
    end = len(body) - 1
    for position, op in enumerate(body):
        body[position] = op._replace(
            if_true=end - position - 1 if op.if_true == "refuse" else op.if_true,
            if_false=end - position - 1 if op.if_false == "refuse" else op.if_false,
        )
    return [_Op(_JEQ, number, 0, len(body)), *body]
