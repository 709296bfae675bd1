"""The preprocessor that grades: it takes the place of nbgrader's `Execute`."""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade
from traitlets import Bool, Integer, Unicode

from gradschool.errors import GradschoolError
from gradschool.grading.records import ExerciseRecord, SubmissionRecord
from gradschool.grading.submission_files import read_submission
from gradschool.grading.version import grader_version
from gradschool.hints import read_costs
from gradschool.nbgrader.unfinished import MARK
from gradschool.notebook.cards import grade_card
from gradschool.notebook.wgsl_html import folded_kernel_html
from gradschool.pack import Pack, find_pack
from gradschool.release.notebook_file import grade_id
from gradschool.report.text import markdown

_PROBLEMS_ID = "gradschool-problems"


class NotGraded(GradschoolError):
    """The grader itself failed on a submission; the student gets no score, not a zero."""


class IsolatedGrading(NbGraderPreprocessor):
    """Grade a submission in a sandbox and write each score as its grade cell's output.

    No kernel is started and no code of a student runs in this process. What was handed in is
    graded, not nbgrader's cleaned copy, so that scores equal those of `gradschool grade`.
    """

    pack = Unicode("", help="The checkout with the hidden graders; default: found.").tag(config=True)
    records_directory = Unicode(
        "results",
        help="Where `gradschool grade submitted --out results` left its records; a record that is "
        "still true is taken from there. Relative to the course.",
    ).tag(config=True)
    seed = Integer(
        None, allow_none=True, help="Seed of the hidden tests' inputs; default: a fresh one per command."
    ).tag(config=True)
    device = Unicode("auto", help="auto, gpu, software or interpreter.").tag(config=True)
    allow_weak_sandbox = Bool(False, help="Grade even where this platform cannot isolate.").tag(config=True)

    hint_cost = Unicode(
        "", help="Share of an exercise's points lost once hint 1, 2, 3 was opened, such as 0,0.1,0.25."
    ).tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Grade the submission that `nb` belongs to and fill in its grade cells."""
        where = resources["nbgrader"]
        folder = self._submitted_folder(resources)
        record = self._finished_record(where["student"], where["assignment"], folder)
        if record is None:
            record = self._session().grade(where["student"], where["assignment"], folder)
        if record.status == "not-graded":
            raise NotGraded("; ".join(record.problems) or "The grader failed.", help="Run autograde again.")
        for problem in record.problems:
            self.log.warning("%s: %s", where["student"], problem)
        kernels = read_submission(folder, self._pack().stage(where["assignment"])).kernels
        _write_scores(nb, record, kernels, self.log)
        _write_problems(nb, record)
        nb.metadata[MARK] = {"grader": record.grader_version, "submission": record.submission_digest}
        return nb, resources

    def _submitted_folder(self, resources: Any) -> Path:
        """The folder as handed in; without nbgrader around, the notebook's own."""
        converter = getattr(self.parent, "parent", None)
        coursedir = getattr(converter, "coursedir", None)
        if coursedir is None:
            return Path(resources["metadata"]["path"])
        where = resources["nbgrader"]
        return Path(
            coursedir.format_path(coursedir.submitted_directory, where["student"], where["assignment"])
        )

    def _finished_record(self, student: str, stage_id: str, folder: Path) -> SubmissionRecord | None:
        """Return what `gradschool grade` found about exactly these files, if it has graded them."""
        converter = getattr(self.parent, "parent", None)
        root = Path(getattr(getattr(converter, "coursedir", None), "root", "."))
        path = root / self.records_directory / student / f"{stage_id}.json"
        try:
            record = msgspec.json.decode(path.read_bytes(), type=SubmissionRecord)
        except (OSError, msgspec.MsgspecError):
            return None
        stage = self._pack().stage(stage_id)
        current = (
            record.submission_digest == read_submission(folder, stage).digest
            and record.grader_version == grader_version(stage)
            and self.seed in (None, record.seed)
            and tuple(record.hint_costs) == read_costs(self.hint_cost)
        )
        return record if current and record.status != "not-graded" else None

    def _pack(self) -> Pack:
        return Pack(Path(self.pack)) if self.pack else find_pack()

    def _session(self) -> Any:
        """One session per command: nbgrader makes this object anew for every notebook, its exporter once."""
        owner: Any = self.parent or self
        session = getattr(owner, "_grading_session", None)
        if session is None:
            from gradschool.grading import GradingSession
            from gradschool.grading.options import GradeOptions

            options = GradeOptions(
                seed=secrets.randbits(32) if self.seed is None else self.seed,
                device=self.device,
                hint_costs=read_costs(self.hint_cost),
                allow_weak_sandbox=self.allow_weak_sandbox,
            )
            session = GradingSession(self._pack(), options=options).__enter__()
            owner._grading_session = session
            weakref.finalize(owner, session.__exit__, None, None, None)
        return session


def _write_scores(nb: Any, record: SubmissionRecord, kernels: Mapping[str, str], log: Any) -> None:
    exercises = {grade_id(exercise.id): exercise for exercise in record.exercises}
    for cell in nb.cells:
        if not is_grade(cell):
            continue
        name = cell.metadata.nbgrader["grade_id"]
        exercise = exercises.get(name)
        if exercise is None:
            raise NotGraded(
                f"The graders know no exercise {name!r}, but the released notebook has its grade cell.",
                help="Grade with the version of the pack that made the release.",
            )
        output = score_output(exercise, float(cell.metadata.nbgrader["points"]), log)
        if exercise.id in kernels:
            # nbgrader's pages show the notebook only; whoever reads the score wants to see the kernel.
            output.data["text/html"] += folded_kernel_html(exercise.id, kernels[exercise.id])
        cell.outputs = [output]


def _write_problems(nb: Any, record: SubmissionRecord) -> None:
    """Tell the student on the feedback page what could not be used, and why."""
    nb.cells = [cell for cell in nb.cells if cell.get("id") != _PROBLEMS_ID]
    if record.problems:
        lines = "\n".join(f"- {markdown(problem)}" for problem in record.problems)
        cell = nbformat.v4.new_markdown_cell(f"### About this submission\n\n{lines}", id=_PROBLEMS_ID)
        nb.cells.insert(0, cell)


def score_output(exercise: ExerciseRecord, max_points: float, log: Any = None) -> Any:
    """Return the one output from which nbgrader reads a score and shows a message.

    The first `execute_result` counts. A plain float is partial credit; anything else, and
    anything above the maximum, would be full marks or lose the submission.
    """
    score = exercise.score
    if exercise.max_score > 0 and exercise.max_score != max_points:
        # The graders changed after the release: keep the share, the gradebook keeps its maximum.
        score = score / exercise.max_score * max_points
        if log is not None:
            log.warning(
                "%s is worth %g in the gradebook and %g now; run generate_assignment again.",
                exercise.id,
                max_points,
                exercise.max_score,
            )
    value = min(max(float(round(score, 6)), 0.0), max_points)
    data = {"text/plain": repr(value), "text/html": grade_card(exercise).html}
    return nbformat.v4.new_output("execute_result", data, execution_count=None)
