"""The template environment: everything escaped, nothing fetched."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gradschool.report.text import clean, percent, points, spans, stage_title


def render(template: str, **values: Any) -> bytes:
    """Return the page made from `template`, as UTF-8."""
    return _environment().get_template(template).render(**values).encode("utf-8", "replace")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,  # every page quotes student text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clean=clean, points=points, spans=spans, stage_title=stage_title)
    environment.globals.update(percent=percent)
    return environment
