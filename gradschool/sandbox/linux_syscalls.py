"""Linux system-call numbers of x86_64 and aarch64: those that the filters name.

From 424 on, both machines share their numbers.
"""

# fmt: off
from __future__ import annotations

X86_64: dict[str, int] = {
    "read": 0, "write": 1, "readv": 19, "writev": 20, "pread64": 17, "preadv": 295, "preadv2": 327, "lseek":
    8, "close": 3, "close_range": 436, "fstat": 5, "stat": 4, "lstat": 6, "newfstatat": 262, "statx": 332,
    "statfs": 137, "fstatfs": 138, "access": 21, "faccessat": 269, "faccessat2": 439, "open": 2, "openat":
    257, "getdents64": 217, "readlink": 89, "readlinkat": 267, "getcwd": 79, "dup": 32, "dup3": 292, "dup2":
    33, "fcntl": 72, "poll": 7, "ppoll": 271, "select": 23, "pselect6": 270, "mmap": 9, "mprotect": 10,
    "munmap": 11, "mremap": 25, "brk": 12, "madvise": 28, "msync": 26, "mincore": 27, "membarrier": 324,
    "futex": 202, "rseq": 334, "set_robust_list": 273, "get_robust_list": 274, "sched_yield": 24,
    "sched_getaffinity": 204, "getcpu": 309, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "rt_sigpending": 127, "sigaltstack": 131, "restart_syscall": 219, "pause": 34, "nanosleep": 35,
    "clock_nanosleep": 230, "clock_gettime": 228, "clock_getres": 229, "gettimeofday": 96, "time": 201,
    "times": 100, "getitimer": 36, "setitimer": 38, "alarm": 37, "getpid": 39, "getppid": 110, "gettid":
    186, "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108, "getgroups": 115, "getresuid": 118,
    "getresgid": 120, "getpgrp": 111, "getpgid": 121, "getsid": 124, "uname": 63, "sysinfo": 99,
    "getrusage": 98, "getrlimit": 97, "prlimit64": 302, "getpriority": 140, "get_mempolicy": 239,
    "getrandom": 318, "ioctl": 16, "exit": 60, "exit_group": 231, "kill": 62, "tkill": 200, "tgkill": 234,
    "fork": 57, "vfork": 58, "clone": 56, "clone3": 435, "execve": 59, "execveat": 322, "socket": 41,
    "socketpair": 53, "connect": 42, "bind": 49, "listen": 50, "accept": 43, "accept4": 288, "sendto": 44,
    "sendmsg": 46, "sendmmsg": 307, "recvmsg": 47, "recvmmsg": 299, "recvfrom": 45, "ptrace": 101,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_open": 434, "pidfd_getfd": 438,
    "pidfd_send_signal": 424, "process_madvise": 440, "process_mrelease": 448, "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "io_setup": 206, "io_submit": 209, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "mount": 165,
    "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "add_key": 248, "request_key": 249, "keyctl": 250, "shmget": 29, "shmat": 30, "shmctl": 31, "shmdt": 67,
    "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "semget": 64, "semop": 65, "semctl": 66,
    "semtimedop": 220, "mq_open": 240, "mq_unlink": 241, "mq_timedsend": 242, "mq_timedreceive": 243,
    "memfd_create": 319, "memfd_secret": 447, "setuid": 105, "setgid": 106, "setreuid": 113, "setregid":
    114, "setresuid": 117, "setresgid": 119, "setfsuid": 122, "setfsgid": 123, "setgroups": 116, "capset":
    126, "personality": 135, "setrlimit": 160, "prctl": 157, "seccomp": 317, "landlock_create_ruleset": 444,
    "landlock_add_rule": 445, "landlock_restrict_self": 446, "init_module": 175, "finit_module": 313,
    "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "swapon": 167,
    "swapoff": 168, "acct": 163, "quotactl": 179, "syslog": 103, "settimeofday": 164, "clock_settime": 227,
    "clock_adjtime": 305, "adjtimex": 159, "sethostname": 170, "setdomainname": 171, "inotify_init": 253,
    "inotify_init1": 294, "fanotify_init": 300, "fanotify_mark": 301, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "migrate_pages": 256, "move_pages": 279, "mbind": 237, "set_mempolicy": 238,
    "lookup_dcookie": 212, "ioperm": 173, "iopl": 172, "modify_ldt": 154, "setsid": 112, "setpgid": 109,
    "setpriority": 141, "sched_setscheduler": 144, "sched_setparam": 142, "sched_setattr": 314,
    "ioprio_set": 251, "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "mknod": 133, "mknodat":
    259, "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "lchown": 94, "fchown": 93, "fchownat":
    260, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "utime": 132, "utimes": 235, "utimensat": 280,
    "futimesat": 261, "vhangup": 153, "nfsservctl": 180, "fchmodat2": 452,
}

AARCH64: dict[str, int] = {
    "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "preadv": 69, "preadv2": 286,
    "lseek": 62, "close": 57, "close_range": 436, "fstat": 80, "newfstatat": 79, "statx": 291, "statfs": 43,
    "fstatfs": 44, "faccessat": 48, "faccessat2": 439, "openat": 56, "getdents64": 61, "readlinkat": 78,
    "getcwd": 17, "dup": 23, "dup3": 24, "fcntl": 25, "ppoll": 73, "pselect6": 72, "mmap": 222, "mprotect":
    226, "munmap": 215, "mremap": 216, "brk": 214, "madvise": 233, "msync": 227, "mincore": 232,
    "membarrier": 283, "futex": 98, "rseq": 293, "set_robust_list": 99, "get_robust_list": 100,
    "sched_yield": 124, "sched_getaffinity": 123, "getcpu": 168, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigreturn": 139, "rt_sigpending": 136, "sigaltstack": 132, "restart_syscall": 128, "nanosleep": 101,
    "clock_nanosleep": 115, "clock_gettime": 113, "clock_getres": 114, "gettimeofday": 169, "times": 153,
    "getitimer": 102, "setitimer": 103, "getpid": 172, "getppid": 173, "gettid": 178, "getuid": 174,
    "geteuid": 175, "getgid": 176, "getegid": 177, "getgroups": 158, "getresuid": 148, "getresgid": 150,
    "getpgid": 155, "getsid": 156, "uname": 160, "sysinfo": 179, "getrusage": 165, "getrlimit": 163,
    "prlimit64": 261, "getpriority": 141, "get_mempolicy": 236, "getrandom": 278, "ioctl": 29, "exit": 93,
    "exit_group": 94, "kill": 129, "tkill": 130, "tgkill": 131, "clone": 220, "clone3": 435, "execve": 221,
    "execveat": 281, "socket": 198, "socketpair": 199, "connect": 203, "bind": 200, "listen": 201, "accept":
    202, "accept4": 242, "sendto": 206, "sendmsg": 211, "sendmmsg": 269, "recvmsg": 212, "recvmmsg": 243,
    "recvfrom": 207, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
    "pidfd_open": 434, "pidfd_getfd": 438, "pidfd_send_signal": 424, "process_madvise": 440,
    "process_mrelease": 448, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "io_setup": 0, "io_submit": 2, "bpf": 280,
    "perf_event_open": 241, "userfaultfd": 282, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
    "unshare": 97, "setns": 268, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "mount_setattr": 442, "add_key": 217, "request_key": 218, "keyctl": 219,
    "shmget": 194, "shmat": 196, "shmctl": 195, "shmdt": 197, "msgget": 186, "msgsnd": 189, "msgrcv": 188,
    "msgctl": 187, "semget": 190, "semop": 193, "semctl": 191, "semtimedop": 192, "mq_open": 180,
    "mq_unlink": 181, "mq_timedsend": 182, "mq_timedreceive": 183, "memfd_create": 279, "memfd_secret": 447,
    "setuid": 146, "setgid": 144, "setreuid": 145, "setregid": 143, "setresuid": 147, "setresgid": 149,
    "setfsuid": 151, "setfsgid": 152, "setgroups": 159, "capset": 91, "personality": 92, "setrlimit": 164,
    "prctl": 167, "seccomp": 277, "landlock_create_ruleset": 444, "landlock_add_rule": 445,
    "landlock_restrict_self": 446, "init_module": 105, "finit_module": 273, "delete_module": 106,
    "kexec_load": 104, "kexec_file_load": 294, "reboot": 142, "swapon": 224, "swapoff": 225, "acct": 89,
    "quotactl": 60, "syslog": 116, "settimeofday": 170, "clock_settime": 112, "clock_adjtime": 266,
    "adjtimex": 171, "sethostname": 161, "setdomainname": 162, "inotify_init1": 26, "fanotify_init": 262,
    "fanotify_mark": 263, "name_to_handle_at": 264, "open_by_handle_at": 265, "migrate_pages": 238,
    "move_pages": 239, "mbind": 235, "set_mempolicy": 237, "lookup_dcookie": 18, "setsid": 157, "setpgid":
    154, "setpriority": 140, "sched_setscheduler": 119, "sched_setparam": 118, "sched_setattr": 274,
    "ioprio_set": 30, "linkat": 37, "symlinkat": 36, "mknodat": 33, "fchmod": 52, "fchmodat": 53, "fchown":
    55, "fchownat": 54, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "utimensat": 88, "vhangup": 58,
    "nfsservctl": 42, "fchmodat2": 452,
}
