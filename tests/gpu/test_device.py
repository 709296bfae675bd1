from __future__ import annotations

import builtins
import ctypes
import os
import subprocess
import sys

import pytest

from gradschool.errors import DeviceError, UsageError
from gradschool.gpu import device, drivers, wgpu_setup
from gradschool.gpu.backend import Backend

NO_DRIVER = {"VK_DRIVER_FILES": "/nonexistent.json", "VK_ICD_FILENAMES": "/nonexistent.json"}


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("word", ["cuda", "GPU0", "true"])
def test_an_unknown_device_word_is_refused_with_the_known_ones(word: str) -> None:
    with pytest.raises(UsageError, match="interpreter"):
        device.read_choice(word)


@pytest.mark.parametrize(("value", "choice"), [("", "auto"), (" Software ", "software"), ("gpu", "gpu")])
def test_the_environment_names_the_device(monkeypatch: pytest.MonkeyPatch, value: str, choice: str) -> None:
    monkeypatch.setenv("GRADSCHOOL_DEVICE", value)
    assert device.read_choice() == choice


def test_the_interpreter_can_be_asked_for() -> None:
    info = device.open_backend("interpreter").info
    assert (info.kind, "asks for it" in info.why) == ("interpreter", True)


def test_without_a_vulkan_loader_the_interpreter_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "loader_present", lambda: False)
    info = device.open_backend("auto").info
    assert info.kind == "interpreter"
    assert "libvulkan" in info.why
    assert info.advice == drivers.install_command()


def test_without_a_vulkan_loader_a_named_device_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "loader_present", lambda: False)
    with pytest.raises(DeviceError, match="libvulkan"):
        device.open_backend("gpu")


def test_a_wgpu_that_cannot_be_imported_leaves_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("wgpu"):
            raise OSError("GLIBC_2.99 not found")
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    real_import = builtins.__import__
    monkeypatch.setattr(drivers, "loader_present", lambda: True)
    monkeypatch.setattr(builtins, "__import__", refuse)
    info = device.open_backend("auto").info
    assert info.kind == "interpreter"
    assert "GLIBC_2.99" in info.why


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux finds drivers through these variables")
def test_without_a_driver_the_interpreter_takes_over() -> None:
    code = (
        "from gradschool.gpu import device_info; i = device_info(); print(i.kind, '|', i.why, '|', i.advice)"
    )
    done = run_python(code, **NO_DRIVER)
    kind, why, advice = (part.strip() for part in done.stdout.split("|"))
    assert (kind, bool(why), bool(advice)) == ("interpreter", True, True)


def test_opening_a_device_writes_nothing_to_stderr(wgpu_device: Backend) -> None:
    done = run_python("from gradschool.gpu import device_info; print(device_info().kind)")
    assert (done.stdout.strip() in ("gpu", "software"), done.stderr) == (True, "")


def test_opening_a_device_leaves_the_environment_as_it_was(wgpu_device: Backend) -> None:
    code = "import os; from gradschool.gpu import device_info; device_info(); print('XDG_RUNTIME_DIR' in os.environ)"
    assert run_python(code).stdout.strip() == "False"


def test_the_device_has_webgpus_default_limits(wgpu_device: Backend) -> None:
    limits = wgpu_device._device.limits  # type: ignore[attr-defined]
    for name, value in wgpu_setup.WEBGPU_LIMITS.items():
        assert limits[name] <= value, name


def test_the_default_device_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSCHOOL_DEVICE", "interpreter")
    assert device.default_backend() is device.default_backend()


@pytest.mark.parametrize(
    ("name", "description", "old"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", "Mesa 22.3.6 (LLVM 15.0.6)", True),
        ("llvmpipe (LLVM 19.1.4, 256 bits)", "Mesa 25.0.7-2~bpo12+1 (LLVM 19.1.4)", False),
        ("SwiftShader Device (LLVM 10.0.0)", "SwiftShader driver", False),
        ("NVIDIA H200", "570.86", False),
    ],
)
def test_the_lavapipe_that_cuts_loops_short_is_known(name: str, description: str, old: bool) -> None:
    assert drivers.is_old_lavapipe(name, description) is old
    notes, _ = drivers.known_faults(name, description)
    assert any("65,535" in note for note in notes) is old


@pytest.mark.skipif(sys.platform != "linux", reason="the loader is a file only on Linux")
def test_the_loader_is_looked_for_under_the_name_that_wgpu_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not drivers.loader_present()
