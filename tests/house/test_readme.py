"""Every command of the README runs, as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line[2:]
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "MPLBACKEND": "Agg"}


def run(command: str, folder: Path, *, expect: int = 0) -> str:
    done = subprocess.run(
        command, shell=True, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that a fresh clone would hold."""
    folder = tmp_path / "gradschool"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def install_and_demo(checkout: Path, command: str) -> None:
    """The first command, in a fresh virtual environment and without any driver."""
    subprocess.run([sys.executable, "-m", "venv", checkout / ".venv"], check=True)
    binaries = checkout / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "VK_DRIVER_FILES": "/nonexistent",
        "PIP_QUIET": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    done = subprocess.run(
        command.replace("gradschool demo", "gradschool demo --no-open --stage 00 --out demo"),
        shell=True, cwd=checkout, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as expected" in done.stdout
    assert "interpreter" in done.stdout
    installed = subprocess.run(
        [binaries / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert "torch" not in installed
    assert "nbgrader" not in installed


def ci_runs_it(checkout: Path, command: str) -> None:
    """The second command is this very run; CI takes it from the README."""
    assert "README.md" in (checkout / ".ci" / "run").read_text()
    resolves(checkout, command.split(" && ")[0])


def resolves(checkout: Path, command: str) -> None:
    run(command.replace("install", "install --dry-run --quiet"), ROOT)


def doctor(checkout: Path, command: str) -> None:
    assert "Ready: kernels run here." in run(command, checkout)


def jupyter_lab(checkout: Path, command: str) -> None:
    """The server answers and knows the folder of notebooks."""
    log = checkout / "lab.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            f"exec {command} --no-browser --allow-root --ServerApp.port=0 --IdentityProvider.token=t",
            shell=True, cwd=checkout, env=ENVIRONMENT, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        address = wait_for(
            lambda: re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)/", log.read_text()), 60
        )
        url = f"http://127.0.0.1:{address[1]}/api/contents?token=t"
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert b"01_perceptron" in answer.read()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def check(checkout: Path, command: str) -> None:
    """A released stage is not solved yet: every check fails, in sentences."""
    output = run(command, checkout, expect=1)
    assert "affine_forward is not written yet" in output
    assert "0 of" in output


def watch(checkout: Path, command: str) -> None:
    log = checkout / "watch.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            f"exec {command}", shell=True, cwd=checkout, env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
            stdout=output, stderr=output,
            # A suite that was started in the background hands down an ignored SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    try:
        wait_for(lambda: "sgd_step.wgsl is not written yet" in log.read_text(), 120)
        kernel = checkout / "assignments/01_perceptron/sgd_step.wgsl"
        reference = (ROOT / "shaders/01_perceptron/sgd_step.wgsl").read_text(encoding="utf-8")
        kernel.write_text(reference, encoding="utf-8")
        wait_for(lambda: re.search(r"pass\s+sgd_step\.wgsl", log.read_text()), 120)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def hint(checkout: Path, command: str) -> None:
    assert "softmax_forward: hint 1 of 3" in run(command, checkout)


def trace(checkout: Path, command: str) -> None:
    assert "transactions" in run(command, checkout)


def grade(checkout: Path, command: str) -> None:
    shutil.copytree(checkout / "assignments/00_first_kernel", checkout / "submissions/ada/00_first_kernel")
    run(command, checkout)
    assert (checkout / "results/ada/00_first_kernel.json").is_file()


def report(checkout: Path, command: str) -> None:
    grade(checkout, "gradschool grade submissions --out results")
    assert "ada" in run(command, checkout)


def nbgrader_course(checkout: Path, command: str) -> None:
    """The course is written; tests/nbgrader runs nbgrader's own commands on one."""
    run(command, checkout)
    assert (checkout / "course/nbgrader_config.py").is_file()
    assert (checkout / "course/source/00_first_kernel/00_first_kernel.ipynb").is_file()


def release(checkout: Path, command: str) -> None:
    run(command, checkout)
    run(f"{command} --check", checkout)


def verify(checkout: Path, command: str) -> None:
    """Every stage has a test of its own; here the command itself runs, on one exercise."""
    command = f"{command} 00 --exercise workgroups_for"
    assert "holds" in run(command, checkout)


RUNNERS: dict[str, Callable[[Path, str], None]] = {
    "python -m pip install -e . && gradschool demo": install_and_demo,
    'python -m pip install -e ".[dev]" && pytest': ci_runs_it,
    'python -m pip install -e ".[lab]"': resolves,
    'python -m pip install -e ".[grade]"': resolves,
    "gradschool doctor": doctor,
    "jupyter lab assignments": jupyter_lab,
    "gradschool check 01_perceptron": check,
    "gradschool watch 01_perceptron": watch,
    "gradschool hint softmax_forward": hint,
    "gradschool trace shaders/00_first_kernel/row_sum.wgsl": trace,
    "gradschool grade submissions --out results": grade,
    "gradschool report results": report,
    "gradschool release --nbgrader course": nbgrader_course,
    "gradschool release": release,
    "gradschool verify": verify,
}


def wait_for(condition: Callable, seconds: float):
    """Wait until `condition()` is true; a bound, not a measurement."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("nothing happened in time")


def test_every_command_of_the_readme_has_a_test() -> None:
    assert set(COMMANDS) == set(RUNNERS)


def test_the_readme_names_every_stage() -> None:
    named = re.findall(r"^\| `(\d\d_\w+)` \|", README, re.MULTILINE)
    assert named == sorted(path.name for path in (ROOT / "solutions").iterdir() if path.is_dir())


def test_the_first_command_comes_within_fifteen_lines() -> None:
    assert any(line.startswith("$ ") for line in README.splitlines()[:15])


@pytest.mark.skipif(sys.platform == "win32", reason="the README's console blocks are for a POSIX shell")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(checkout: Path, command: str) -> None:
    RUNNERS[command](checkout, command)
