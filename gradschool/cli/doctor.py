"""`gradschool doctor`: what will run the kernels, how well grading is isolated, what is missing."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from gradschool.errors import DeviceError, UsageError

# One package of each extra stands for all of it.
EXTRAS = {"lab": ("jupyterlab", "ipywidgets", "matplotlib"), "grade": ("nbgrader",), "torch": ("torch",)}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say which device runs the kernels, what is wrong with it, and how to get a better one."""
    findings = examine()
    if as_json:
        typer.echo(json.dumps(findings, indent=2))
    else:
        _print(findings)
    if not findings["usable"]:
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """Return everything `doctor` knows, as JSON data."""
    device = _device()
    return {
        "usable": device["works"],
        "device": device,
        "sandbox": _sandbox(),
        "versions": _versions(),
        "extras": {
            extra: [name for name in names if not _installed(name)] for extra, names in EXTRAS.items()
        },
        "course": _course(),
    }


def _device() -> dict[str, Any]:
    import msgspec

    from gradschool.gpu.device import open_backend
    from gradschool.gpu.selftest import first_kernel_ms

    try:
        backend = open_backend()
        found = msgspec.to_builtins(backend.info)
    except DeviceError as error:
        return {"works": False, "problem": error.message, "advice": error.help}
    try:
        found |= {"works": True, "first_kernel_ms": round(first_kernel_ms(backend), 1)}
    except DeviceError as error:
        found |= {"works": False, "problem": error.message, "advice": error.help}
    finally:
        backend.close()
    return found


def _sandbox() -> dict[str, Any]:
    from gradschool.sandbox.lockdown import capabilities

    found = capabilities()
    return {
        "level": found.level,
        "mechanisms": _mechanisms(),
        "protections": [
            {"name": each.name, "available": each.available, "sentence": each.sentence}
            for each in found.protections
        ],
    }


def _mechanisms() -> list[str]:
    """What the protections are made of here, and what would bring those that are missing."""
    from gradschool.sandbox import linux_landlock, linux_seccomp
    from gradschool.sandbox.limits import GPU_LIMITS, MIB, Limits

    python = Limits()
    limits = (
        f"Limits: Python {(python.address_space_bytes or 0) // MIB:,} MiB, {python.n_files} open files, "
        f"{python.cpu_s} s of processor time; kernels {(GPU_LIMITS.address_space_bytes or 0) // MIB:,} MiB, "
        "open where a GPU needs it."
    )
    if sys.platform == "win32":
        return ["Windows: a process of its own with a scrubbed environment and deadlines, and no limits."]
    if sys.platform != "linux":
        return [f"{platform.system()}: the system ignores limits of memory; the others hold.", limits]
    abi = linux_landlock.abi()
    filtered = linux_seccomp.available()
    return [
        _landlock_words(abi),
        "seccomp: Python may make the system calls on a list, a graphics driver all but those on another."
        if filtered
        else "seccomp: none. It needs a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or 64-bit ARM.",
        limits,
        "Processes: each is held by a descriptor (pidfd), so that no other can be meant."
        if hasattr(os, "pidfd_open")
        else "Processes: no pidfd here, so each submission gets a fresh interpreter.",
    ]


def _landlock_words(abi: int) -> str:
    """Say what this version of Landlock guards."""
    if abi == 0:
        return "Landlock: none. It needs Linux 5.13, and `landlock` in /sys/kernel/security/lsm."
    guarded = ["files", *["TCP"] * (abi >= 4), *["signals and abstract sockets"] * (abi >= 6)]
    rest = "" if abi >= 6 else " The system-call filter refuses the rest."
    return f"Landlock: version {abi}, which guards {', '.join(guarded)}.{rest}"


def _versions() -> dict[str, str]:
    names = ("gradschool", "numpy", "wgpu", "pytest")
    return {"python": platform.python_version(), "platform": platform.platform()} | {
        name: metadata.version(name) if _installed(name) else "missing" for name in names
    }


def _installed(name: str) -> bool:
    return name in sys.modules or find_spec(name) is not None


def _course() -> dict[str, Any]:
    from gradschool.pack import STAGE_ID, find_pack

    try:
        pack = find_pack()
        return {"root": str(pack.root), "kind": "checkout", "stages": [stage.id for stage in pack.stages]}
    except UsageError:
        pass
    here = Path.cwd()
    for folder in (here, here / "assignments", *here.parents):
        stages = sorted(
            path.name for path in folder.glob("*") if STAGE_ID.fullmatch(path.name) and path.is_dir()
        )
        if stages:
            return {"root": str(folder), "kind": "assignments", "stages": stages}
    return {"root": "", "kind": "none", "stages": []}


def _print(findings: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for title, lines in (
        ("device", _device_lines(findings["device"])),
        ("sandbox", _sandbox_lines(findings["sandbox"])),
        ("versions", [", ".join(f"{name} {value}" for name, value in findings["versions"].items())]),
        ("extras", _extras_lines(findings["extras"])),
        ("course", _course_lines(findings["course"])),
    ):
        for i, line in enumerate(lines):
            table.add_row("" if i else title, escape(line))
    console = Console(highlight=False)
    console.print(table)
    verdict = "Ready: kernels run here." if findings["usable"] else "Not ready: no kernel can run here."
    console.print(verdict, style="green" if findings["usable"] else "red")


def _device_lines(device: dict[str, Any]) -> list[str]:
    lines = []
    if "name" in device:
        kinds = {"gpu": "a real GPU", "software": "a software driver", "interpreter": "no driver"}
        lines += [
            f"{device['name']} ({kinds[device['kind']]})",
            device["driver"],
            f"Why this one: {device['why']}",
        ]
        lines += device["notes"]
    if "first_kernel_ms" in device:
        lines.append(f"A first kernel took {device['first_kernel_ms']:.0f} ms and gave the right numbers.")
    if "problem" in device:
        lines.append(device["problem"])
    if device.get("advice"):
        lines.append(f"For a better one: {device['advice']}")
    return lines


def _sandbox_lines(sandbox: dict[str, Any]) -> list[str]:
    meaning = {
        "full": "grading isolates every submission",
        "partial": "grading asks for --allow-weak-sandbox",
        "none": "grade only work you trust",
    }
    lines = [f"{sandbox['level']}: {meaning[sandbox['level']]}"]
    lines += [f"{'✓' if each['available'] else '✗'} {each['sentence']}" for each in sandbox["protections"]]
    return lines + sandbox["mechanisms"]


def _extras_lines(extras: dict[str, list[str]]) -> list[str]:
    lines = []
    for extra, missing in extras.items():
        lack = f'no ({", ".join(missing)}): pip install -e ".[{extra}]"'
        lines.append(f"{extra}: {lack if missing else 'yes'}")
    return lines


def _course_lines(course: dict[str, Any]) -> list[str]:
    if course["kind"] == "none":
        return ["No course in this folder or above it: change to the folder that holds the notebooks."]
    return [f"{course['root']} ({course['kind']}): {', '.join(course['stages'])}"]
