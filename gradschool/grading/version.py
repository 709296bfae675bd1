"""The version of a grader: the package's, and a digest of what judges a stage or one exercise.

A record whose version differs was made by another grader. What judges an exercise is read from the
texts alone: its hidden tests, its mistakes, and whatever of the test file, the lesson and the kernels
these name, directly or through one another. A word that only looks like a mention costs a regrade that
was not needed; a mention that is missed would leave a wrong grade, so every doubt counts as a mention.
Prose, docstrings of the lesson, hints, visible checks and alternatives judge nobody.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import gradschool
from gradschool.errors import PackError
from gradschool.grading.mentions import Mentions, Part, closure, parts_of
from gradschool.notebook.place import find_kernel
from gradschool.pack import Stage

_N_DIGITS = 12
_LAUNCHES = re.compile(r"\b(gs|gradschool)\.kernel\b")


@lru_cache(maxsize=64)
def grader_version(stage: Stage) -> str:
    """Return `<package version>+<12 hex digits>` over everything that judges the stage."""
    return _version(json.dumps(list(exercise_versions(stage).items())))


@lru_cache(maxsize=64)
def exercise_versions(stage: Stage) -> Mapping[str, str]:
    """Return `<package version>+<12 hex digits>` by exercise, over what judges each."""
    judges = _Judges(stage)
    return {exercise.id: _version(json.dumps(judges.of(exercise.id))) for exercise in stage.exercises}


@lru_cache(maxsize=64)
def needed_functions(stage: Stage) -> Mapping[str, frozenset[str]]:
    """Return by exercise which names of the lesson it or its hidden tests may use, as far as texts tell."""
    judges = _Judges(stage)
    return {exercise.id: judges.functions_of(exercise.id) for exercise in stage.exercises}


def forget_versions() -> None:
    """Read the files again at the next question; they were edited while this process ran."""
    grader_version.cache_clear()
    exercise_versions.cache_clear()
    needed_functions.cache_clear()


def _version(text: str) -> str:
    return f"{gradschool.__version__}+{hashlib.sha256(text.encode()).hexdigest()[:_N_DIGITS]}"


class _Judges:
    """The texts that may judge a stage's exercises, in parts that name each other.

    Args:
        stage: The stage.
    """

    def __init__(self, stage: Stage) -> None:
        self._tests = {path: parts_of(_read(path)) for path in sorted(stage.graders.glob("test_*.py"))}
        self._helpers = [path for path in sorted(stage.graders.glob("*.py")) if path not in self._tests]
        self._lesson = [
            part
            for cell in stage.cells
            if cell.role not in ("markdown", "demo", "check")
            for part in parts_of(cell.source, is_lesson=True)
        ]
        self._mistakes = _mistakes(stage)
        self._shaders = stage.shaders
        names = {path.name for path in stage.root.glob("shaders/*/*.wgsl")}
        found = ((name, find_kernel(stage.shaders, name)) for name in sorted(names))
        self._kernels = {name: path for name, path in found if path is not None}

    def of(self, exercise: str) -> list[tuple[str, str]]:
        """Return what can change a verdict about `exercise`: pairs of a file's name and text."""
        mistakes = self._mistakes.get(exercise, [])
        mentions = Mentions.of_text(*mistakes)
        judges = [("mistake", text) for text in mistakes]
        for path, parts in self._tests.items():
            reached = _reached(parts, exercise)
            judges += [(path.name, part.text) for part in reached]
            mentions |= _mentions(reached)
        judges += [(path.name, _read(path)) for path in self._helpers if mentions.has(path.stem)]
        lesson = closure(self._lesson, mentions | Mentions(frozenset({exercise})))
        judges += [("lesson", part.text) for part in lesson]
        mentions |= _mentions(lesson)
        # Who drives kernels from Python may choose others than the reference does.
        drives = not exercise.endswith(".wgsl") and any(_LAUNCHES.search(part.text) for part in lesson)
        judges += [
            (name, _read(path))
            for name, path in self._kernels.items()
            if drives or name == exercise or mentions.has_kernel(name, built=path.parent == self._shaders)
        ]
        return judges

    def functions_of(self, exercise: str) -> frozenset[str]:
        """Return every name of the lesson that `exercise` or its hidden tests reach."""
        mentions = Mentions(frozenset({exercise}))
        for parts in self._tests.values():
            mentions |= _mentions(_reached(parts, exercise))
        return frozenset(name for part in closure(self._lesson, mentions) for name in part.names)


def _reached(parts: list[Part], exercise: str) -> list[Part]:
    """The hidden tests of `exercise` in one file, and what they use there."""
    tests = [part for part in parts if part.exercise == exercise]
    if not tests:
        return []
    names = frozenset(name for test in tests for name in test.names)
    return closure(parts, Mentions(names) | _mentions(tests))


def _mentions(parts: list[Part]) -> Mentions:
    mentions = Mentions()
    for part in parts:
        mentions |= part.mentions
    return mentions


def _mistakes(stage: Stage) -> dict[str, list[str]]:
    """Each exercise's entries of the catalogue, in its order: of equals the first is named."""
    found: dict[str, list[str]] = {}
    for path in sorted(stage.graders.glob("misconceptions*.toml")):
        try:
            entries = tomllib.loads(_read(path)).get("misconception", [])
        except tomllib.TOMLDecodeError as error:
            raise PackError(f"{path} is not TOML: {error}.") from error
        for entry in entries:
            found.setdefault(str(entry.get("exercise")), []).append(json.dumps(entry, sort_keys=True))
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
