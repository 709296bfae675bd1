"""The released notebook in JupyterLab, in a real browser: run it, open a kernel, write it, check it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.pack import Pack

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = "--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-sync"
TOKEN = "browser-test"
DEADLINE_S = 120

OUTPUTS = """() => {
  const cells = jupyterapp.shell.currentWidget.content.model.cells, found = {};
  for (let i = 0; i < cells.length; i++) {
    const cell = cells.get(i).toJSON();
    found[cell.id] = (cell.outputs || []).map(o => ({
      type: o.output_type, stream: o.name || "",
      text: [].concat((o.data || {})["text/plain"] || o.text || o.traceback || []).join("\\n"),
      html: !!(o.data || {})["text/html"],
    }));
  }
  return found;
}"""
READY = """() => {
  const widget = window.jupyterapp && jupyterapp.shell.currentWidget;
  return widget && widget.sessionContext && widget.sessionContext.session;
}"""
RUN_ALL = """async () => {
  const context = jupyterapp.shell.currentWidget.sessionContext;
  await context.ready;
  await context.session.kernel.info;
  await jupyterapp.commands.execute("notebook:run-all-cells");
}"""


@pytest.fixture
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if sync_playwright is None or CHROMIUM is None:
        missing = "playwright is not installed" if sync_playwright is None else "no Chromium on PATH"
        if os.environ.get("GRADSCHOOL_REQUIRE_BROWSER"):
            pytest.fail(f"GRADSCHOOL_REQUIRE_BROWSER is set, and {missing}")
        pytest.skip(missing)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield opened
        opened.close()


@pytest.fixture
def lab(stage_folder: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab whose files are the learner's folder."""
    stage = Pack(TINY_PACK).stages[0]
    path = stage_folder / "00_tiny.ipynb"
    path.write_text(json.dumps(fill_notebook(json.loads(path.read_text()), reference_functions(stage))))
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"),
            *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={stage_folder}"),
            "--LabApp.expose_app_in_browser=True",
        ],
        env=os.environ | own | {"GRADSCHOOL_DEVICE": "interpreter"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield _address(server, tmp_path / "JUPYTER_RUNTIME_DIR")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _address(server: subprocess.Popen[bytes], runtime: Path) -> str:
    """Wait until the server answers; it writes the port it chose into its runtime folder."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and server.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            try:
                url = json.loads(path.read_text())["url"]
                urllib.request.urlopen(f"{url}api?token={TOKEN}", timeout=5).close()
                return url
            except (ValueError, KeyError, OSError, urllib.error.URLError):
                continue
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start: {server.poll()}")


def test_a_learner_runs_the_notebook_writes_the_kernel_and_checks_it(browser: Any, lab: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(DEADLINE_S * 1000)
    page.goto(f"{lab}lab/tree/00_tiny.ipynb?token={TOKEN}")
    page.wait_for_function(READY)
    page.evaluate(RUN_ALL)

    outputs = page.evaluate(OUTPUTS)
    assert [part["text"] for part in outputs["double-check"]] == ["✓ double: the check passed"]
    assert outputs["double-check"][0]["html"]
    assert "not written yet" in outputs["scale_shift_wgsl-check"][0]["text"]
    everything = [part for parts in outputs.values() for part in parts]
    assert not [part for part in everything if part["stream"] == "stderr"]
    [error] = [part for part in everything if part["type"] == "error"]
    assert "scale_shift.wgsl is not written yet" in error["text"]
    assert "Traceback" not in error["text"]

    page.locator("a", has_text="scale_shift.wgsl").first.click()
    page.wait_for_function("() => jupyterapp.shell.currentWidget.title.label === 'scale_shift.wgsl'")
    kernel = reference_kernels(Pack(TINY_PACK).stages[0])["scale_shift.wgsl"]
    page.evaluate(
        """async text => {
          const context = jupyterapp.shell.currentWidget.context;
          await context.ready;
          context.model.sharedModel.setSource(text);
          await context.save();
          jupyterapp.shell.currentWidget.close();
        }""",
        kernel,
    )
    page.wait_for_function(READY)
    page.evaluate(RUN_ALL)
    outputs = page.evaluate(OUTPUTS)
    assert outputs["scale_shift_wgsl-check"][0]["text"] == "✓ scale_shift.wgsl: the check passed"
    printed = [part["text"] for parts in outputs.values() for part in parts if part["stream"] == "stdout"]
    assert printed == ["[1. 3. 5. 7. 9.]\n"]
