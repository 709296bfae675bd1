"""What a locked-down process may read: Python and its libraries, nothing of the course."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from gradschool.errors import SandboxError

PACKAGE_DIR = Path(__file__).resolve().parents[1]

_SYSTEM = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
)
_GPU_SYSTEM = (
    *("/usr/share", "/usr/local/share", "/usr/local/nvidia", "/usr/local/cuda", "/opt/rocm", "/etc/vulkan"),
    *("/etc/drirc", "/etc/OpenCL", "/etc/nvidia", "/etc/glvnd", "/sys", "/proc/self", "/proc/cpuinfo"),
    *(
        "/proc/meminfo",
        "/proc/driver",
        "/proc/devices",
        "/proc/modules",
        "/proc/sys/vm",
        "/run/opengl-driver",
    ),
)
_GPU_DEVICES = ("/dev/dri", "/dev/kfd", "/dev/dxg", "/dev/null", "/dev/zero", "/dev/urandom")
DRIVER_VARIABLES = (
    *("VK_DRIVER_FILES", "VK_ADD_DRIVER_FILES", "VK_ICD_FILENAMES", "LD_LIBRARY_PATH", "LIBGL_DRIVERS_PATH"),
    *("WGPUPY_WGPU_ADAPTER_NAME", "WGPU_BACKEND_TYPE", "LP_NUM_THREADS", "MESA_LOADER_DRIVER_OVERRIDE"),
)


@cache
def python_folders() -> tuple[Path, ...]:
    """Folders of this interpreter, its packages and this package, without duplicates."""
    paths = sysconfig.get_paths()
    folders = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix, sys.base_exec_prefix)]
    folders += [*site.getsitepackages(), *user_site(), str(PACKAGE_DIR)]
    # Not all of sys.path: an editable install puts the whole course on it.
    folders += [entry for entry in sys.path if os.path.basename(entry) in ("site-packages", "dist-packages")]
    folders += ["/nix/store"] if sys.base_prefix.startswith("/nix/store") else []
    return tuple(_unique(folders))


def user_site() -> list[str]:
    """The user's own package folder, where Python uses one."""
    folder = site.getusersitepackages()
    return [folder] if site.ENABLE_USER_SITE and folder in sys.path else []


def readable_paths(profile: str, environment: Mapping[str, str]) -> list[Path]:
    """Everything a profile may read.

    Args:
        profile: "numpy" or "gpu".
        environment: Where driver variables may name further folders.
    """
    paths = [*python_folders(), *(Path(path) for path in _SYSTEM)]
    if profile == "gpu":
        paths += [Path(path) for path in _GPU_SYSTEM]
        paths += _driver_folders(environment)
    return [path for path in paths if path.exists()]


@cache
def readable_prefixes() -> tuple[str, ...]:
    """What a worker may read, as text to compare paths with."""
    return tuple(str(path) for path in readable_paths("numpy", {}))


def device_paths() -> list[Path]:
    """Device files that a GPU driver opens for reading and writing."""
    devices = [Path(path) for path in _GPU_DEVICES] + sorted(Path("/dev").glob("nvidia*"))
    return [path for path in devices if path.exists()]


def refuse_exposed(hidden: Iterable[Path], readable: Iterable[Path]) -> None:
    """Stop when something hidden lies inside something readable.

    Landlock can allow a folder but not take a part of it back.

    Raises:
        SandboxError: With both folders named.
    """
    readable = [path.resolve() for path in readable]
    for path in hidden:
        resolved = path.resolve()
        for folder in readable:
            if resolved.is_relative_to(folder):
                raise SandboxError(
                    f"{path} must stay hidden from student code, but lies inside {folder}, which Python needs to read.",
                    help="Move the course to a folder of its own, for example under your home folder.",
                )


def _driver_folders(environment: Mapping[str, str]) -> list[Path]:
    folders = []
    for name in DRIVER_VARIABLES:
        for entry in environment.get(name, "").split(os.pathsep):
            path = Path(entry)
            if path.is_absolute() and len(path.parts) > 2:
                folders.append(path.parent if path.suffix in (".json", ".so") else path)
    return folders


def _unique(folders: Iterable[str]) -> list[Path]:
    kept: list[Path] = []
    for folder in folders:
        path = Path(folder)
        if path.is_dir() and not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept
