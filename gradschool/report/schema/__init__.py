"""JSON Schemas of the records that others read, one file per version."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def load_schema(name: str) -> dict[str, Any]:
    """Return the shipped schema `name`, such as `grade-record.v1`."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))


def publish(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema made from types as it is shipped: with its dialect, the same on every Python.

    Descriptions are docstrings, whose indentation differs between Python versions.
    """
    return {"$schema": DIALECT, **_tidy(schema)}


def _tidy(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(item) if key == "description" and isinstance(item, str) else _tidy(item)
            for key, item in value.items()
        }
    return [_tidy(item) for item in value] if isinstance(value, list) else value
