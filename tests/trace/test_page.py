"""The page of a trace in a real browser: its script steps through the run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradschool.tracing.page import trace_page
from gradschool.tracing.record import trace_file

ROW_SUM = Path(__file__).parents[2] / "shaders" / "00_first_kernel" / "row_sum.wgsl"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = "--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-sync"
FILL = "node => node.children[0].style.fill"


@pytest.fixture
def page() -> Iterator[Any]:
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
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser.new_page()
        browser.close()


def part(page: Any, name: str) -> str:
    return page.inner_text(f'[data-part="{name}"]')


def test_the_page_steps_through_the_run_and_shows_the_race(page: Any, tmp_path: Path) -> None:
    text = ROW_SUM.read_text()
    at = text.rindex("    workgroupBarrier();")
    kernel = tmp_path / "row_sum.wgsl"
    kernel.write_text(text[:at] + text[at:].replace("    workgroupBarrier();\n", "", 1))
    traced = trace_file(kernel)
    file = tmp_path / "trace.html"
    file.write_text(trace_page(traced.launch, traced.story), encoding="utf-8")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())

    race = traced.story.first_race
    assert race is not None
    assert part(page, "count") == f"step {race.second + 1} of {len(traced.story.frames)}"
    assert part(page, "race").startswith("Race: invocation 0 reads partial[16]")
    number = list(traced.story.variables).index("partial")
    assert page.eval_on_selector(f'[data-key="{number}:16"]', FILL) == "rgb(217, 48, 37)"

    page.click('[data-part="first"]')
    assert part(page, "said") == "Invocations 0-63 of workgroups 0-1 read 128 elements of x."
    assert part(page, "race") == ""
    page.click('[data-part="barrier"]')
    assert part(page, "said").endswith("wait at workgroupBarrier().")
    page.click('[data-part="torace"]')
    assert part(page, "race").startswith("Race: invocation 0 reads partial[16]")
    page.select_option('[data-part="group"]', "1")
    assert part(page, "race").startswith("Race: invocation")
    assert errors == []
