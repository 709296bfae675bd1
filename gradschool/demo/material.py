"""What a demo class is made of: one stage's released assignment and known answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradschool.grading.alternatives import Alternative, load_alternatives
from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.grading.misconceptions import Misconception, load_misconceptions
from gradschool.pack import Stage
from gradschool.release import build_assignment

Files = dict[str, bytes]


@dataclass(frozen=True)
class Material:
    """One stage, taken apart.

    Attributes:
        released: The files a learner receives, by relative path.
        functions: Reference source by function name, in the lesson's order.
        kernels: Reference WGSL by file name.
        points: What each exercise is worth, in the record's order.
    """

    stage: Stage
    released: Files
    functions: dict[str, str]
    kernels: dict[str, str]
    misconceptions: list[Misconception]
    alternatives: list[Alternative]
    points: dict[str, int]

    @property
    def notebook_name(self) -> str:
        """File name of the stage's notebook."""
        return f"{self.stage.id}.ipynb"

    def answer(self, exercise: str) -> str:
        """Return the reference of a function or kernel."""
        return self.kernels[exercise] if exercise in self.kernels else self.functions[exercise]

    def hand_in(
        self,
        functions: Mapping[str, str] | None = None,
        kernels: Mapping[str, str] | None = None,
    ) -> Files:
        """Return a submission: the released files with the given answers; the rest stays a stub.

        Args:
            functions: Source by function name; default: the whole reference.
            kernels: WGSL by file name; default: the whole reference.
        """
        notebook: dict[str, Any] = json.loads(self.released[self.notebook_name])
        filled = fill_notebook(notebook, self.functions if functions is None else functions)
        files = {name: data for name, data in self.released.items() if not name.startswith("figures/")}
        files[self.notebook_name] = json.dumps(filled, indent=1, ensure_ascii=False).encode() + b"\n"
        for name, text in (self.kernels if kernels is None else kernels).items():
            files[name] = text.encode()
        return files

    def with_answers(self, changed: Mapping[str, str]) -> Files:
        """Return the reference submission with some functions and kernels answered otherwise."""
        functions = {name: changed.get(name, source) for name, source in self.functions.items()}
        kernels = {name: changed.get(name, text) for name, text in self.kernels.items()}
        return self.hand_in(functions, kernels)


def gather(stage: Stage) -> Material:
    """Read everything a demo class needs of `stage`.

    Raises:
        PackError: The stage's files are inconsistent.
    """
    return Material(
        stage=stage,
        released=build_assignment(stage),
        functions=reference_functions(stage),
        kernels=reference_kernels(stage),
        misconceptions=load_misconceptions(stage),
        alternatives=load_alternatives(stage),
        points={exercise.id: exercise.points for exercise in stage.exercises},
    )
