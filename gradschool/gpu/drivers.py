"""What is known about Vulkan drivers: where they come from, and which ones are wrong."""

from __future__ import annotations

import ctypes
import glob
import os
import re
import shutil
import sys

_MESA = re.compile(r"Mesa (\d+)\.(\d+)")

# The first of these programs that exists says which family the machine belongs to.
_INSTALL = {
    "apt-get": "apt-get install -y mesa-vulkan-drivers",
    "dnf": "dnf install -y mesa-vulkan-drivers vulkan-loader",
    "zypper": "zypper install -y Mesa-vulkan-drivers libvulkan1",
    "pacman": "pacman -S --noconfirm vulkan-swrast vulkan-icd-loader",
    "apk": "apk add mesa-vulkan-swrast vulkan-loader",
    "emerge": "emerge media-libs/mesa media-libs/vulkan-loader",
}

OLD_LAVAPIPE = (
    "This lavapipe ends every loop after 65,535 iterations without a word: an endless loop returns, "
    "and a long correct loop gives wrong numbers. Mesa 25 does not."
)
SLOW = "A software driver: right for learning and for grades, slow for training."


def loader_present() -> bool:
    """Whether the library that finds Vulkan drivers can be loaded; only Linux needs one."""
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return False
    return True


def may_have_gpu() -> bool:
    """Whether this machine shows the device files of a real GPU; always true off Linux."""
    if sys.platform != "linux":
        return True
    return any(
        glob.glob(pattern) for pattern in ("/dev/nvidia[0-9]*", "/dev/dri/renderD*", "/dev/dxg", "/dev/kfd")
    )


def install_command() -> str:
    """The one command that gets a software Vulkan driver here."""
    if sys.platform == "darwin":
        return "Nothing to install: macOS 10.13 or later brings Metal. Check `pip show wgpu`."
    if sys.platform == "win32":
        return "Nothing to install: update the graphics driver through Windows Update."
    for program, command in _INSTALL.items():
        if shutil.which(program):
            return _as_root(command)
    return "Install Mesa's Vulkan drivers with this system's package manager."


def known_faults(device: str, description: str) -> tuple[list[str], str]:
    """What is wrong with a software driver, and the command that gets a better one."""
    notes, advice = [SLOW], ""
    if is_old_lavapipe(device, description):
        notes.append(OLD_LAVAPIPE)
        advice = _backport() if _debian_release() == "bookworm" else "Upgrade Mesa to 25 or later."
    return notes, advice


def is_old_lavapipe(device: str, description: str) -> bool:
    """Whether this is the driver that cuts loops short: lavapipe before Mesa 25."""
    version = _MESA.search(description)
    return "llvmpipe" in device and version is not None and int(version[1]) < 25


def _backport() -> str:
    """The command for Debian 12, which offers Mesa 25 beside its own."""
    install = _as_root("apt-get install -y -t bookworm-backports mesa-vulkan-drivers")
    if glob.glob("/var/lib/apt/lists/*bookworm-backports*"):
        return install
    sources = "/etc/apt/sources.list.d/debian.sources"
    if not os.path.exists(sources):
        return f"{install} (after adding bookworm-backports to /etc/apt/sources.list)"
    enable = _as_root(f"sed -i 's/bookworm-updates/& bookworm-backports/' {sources}")
    return f"{enable} && {_as_root('apt-get update')} && {install}"


def _debian_release() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            found = re.search(r'^VERSION_CODENAME="?(\w+)', file.read(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _as_root(command: str) -> str:
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return command if is_root else f"sudo {command}"
