"""One proof at a time: grade a made-up submission and compare what comes of it with what must."""

from __future__ import annotations

import atexit
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from gradschool.grading.alternatives import load_alternatives
from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.grading.misconceptions import load_misconceptions
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import DeviceRecord, SubmissionRecord
from gradschool.grading.session import GradingSession
from gradschool.grading.submission_files import SubmissionFiles, parse_notebook
from gradschool.grading.version import needed_functions
from gradschool.pack import Pack, Stage
from gradschool.release import build_assignment
from gradschool.verify.precision import CoarseSession, load_imprecise


class Proof(msgspec.Struct, frozen=True):
    """One submission to grade and what must come of it."""

    stage: str
    kind: Literal["reference", "stub", "misconception", "alternative", "without", "coarse"]
    name: str = ""


class ProofOutcome(msgspec.Struct):
    """What one proof found."""

    proof: Proof
    device: DeviceRecord
    score: float = 0.0
    caught: bool = False
    named: bool = False
    n_alternatives: int = 0
    n_passed: int = 0
    faults: list[str] = []


NO_DEVICE = DeviceRecord(name="none", kind="interpreter")

# One session per process of the pool; a pool gives its tasks no other place to keep it.
_SESSION: GradingSession | None = None
_COARSE: CoarseSession | None = None


def open_session(root: str, options: GradeOptions) -> None:
    """Make this process ready to prove; called once per process of the pool."""
    global _SESSION
    _SESSION = GradingSession(Pack(Path(root)), options=options)
    _SESSION.__enter__()
    atexit.register(_SESSION.__exit__, None, None, None)


def prove_one(proof: Proof) -> ProofOutcome:
    """Grade what `proof` asks for and say what came of it."""
    assert _SESSION is not None
    stage = _SESSION.pack.stage(proof.stage)
    prove = {
        "reference": _prove_reference,
        "stub": _prove_stub,
        "alternative": _prove_alternative,
        "misconception": _prove_misconception,
        "without": _prove_without,
        "coarse": _prove_coarse,
    }[proof.kind]
    return prove(_SESSION, stage, proof)


# A process of the pool proves many submissions of one pack that does not change meanwhile.
_released = lru_cache(maxsize=32)(build_assignment)


def submission_of(stage: Stage, functions: dict[str, str], kernels: dict[str, str]) -> SubmissionFiles:
    """Return the released assignment with some answers filled in, as a submission."""
    released = _released(stage)
    notebook = msgspec.json.decode(released[f"{stage.id}.ipynb"])
    files = SubmissionFiles()
    data = msgspec.json.encode(fill_notebook(notebook, functions))
    files.cells = parse_notebook(data, f"{stage.id}.ipynb", files.problems)
    for path in stage.kernels:
        files.kernels[path.name] = kernels.get(path.name) or released[path.name].decode()
    return files


def _prove_reference(session: GradingSession, stage: Stage, proof: Proof) -> ProofOutcome:
    files = submission_of(stage, reference_functions(stage), reference_kernels(stage))
    record = session.grade_files("reference", stage, files)
    faults = [f"reference: {text}" for text in _lost_points(record)]
    faults += [f"reference: {problem}" for problem in record.problems]
    return ProofOutcome(proof, record.device, score=record.score, faults=faults)


def _prove_stub(session: GradingSession, stage: Stage, proof: Proof) -> ProofOutcome:
    record = session.grade_files("stub", stage, submission_of(stage, {}, {}))
    faults = [
        f"stub: {exercise.id} earns points for {test.name}"
        for exercise in record.exercises
        for test in exercise.tests
        if test.outcome == "passed"
    ]
    return ProofOutcome(proof, record.device, score=record.score, faults=faults)


def _prove_alternative(session: GradingSession, stage: Stage, proof: Proof) -> ProofOutcome:
    alternative = next(item for item in load_alternatives(stage) if item.name == proof.name)
    functions = {**reference_functions(stage), **alternative.functions}
    kernels = {**reference_kernels(stage), **alternative.kernels}
    names = [*alternative.functions, *alternative.kernels]
    record = session.grade_files(proof.name, stage, submission_of(stage, functions, kernels), only=names)
    lost = _lost_points(record)
    failed = {exercise.id for exercise in record.exercises if exercise.score < exercise.max_score}
    return ProofOutcome(
        proof,
        record.device,
        n_alternatives=len(names),
        n_passed=len(names) - len(failed),
        faults=[f"alternative {proof.name}: {text}" for text in lost],
    )


def _prove_misconception(session: GradingSession, stage: Stage, proof: Proof) -> ProofOutcome:
    item = next(item for item in load_misconceptions(stage) if item.id == proof.name)
    functions, kernels = reference_functions(stage), reference_kernels(stage)
    answers = kernels if item.is_kernel else functions
    answers[item.exercise] = item.apply(answers[item.exercise])
    files = submission_of(stage, functions, kernels)
    record = session.grade_files(proof.name, stage, files, only=[item.exercise])
    exercise = record.exercises[0]
    caught = exercise.score < exercise.max_score
    named = exercise.misconception == item.id
    faults = []
    if not caught:
        faults.append(f"misconception {item.id} of {item.exercise} is not caught")
    elif not named:
        faults.append(
            f"misconception {item.id} of {item.exercise} is named {exercise.misconception or 'nothing'}"
            f" ({exercise.message.splitlines()[0] if exercise.message else 'no message'})"
        )
    return ProofOutcome(proof, record.device, caught=caught, named=caught and named, faults=faults)


def _prove_without(session: GradingSession, stage: Stage, proof: Proof) -> ProofOutcome:
    """What uses this exercise earns all its points though it is not written."""
    functions = reference_functions(stage)
    names, needed = list(functions), needed_functions(stage)
    later = [name for name in names[names.index(proof.name) + 1 :] if proof.name in needed[name]]
    if not later:
        return ProofOutcome(proof, NO_DEVICE)
    del functions[proof.name]
    files = submission_of(stage, functions, reference_kernels(stage))
    record = session.grade_files("without", stage, files, only=[proof.name, *later])
    faults = [
        f"without {proof.name}: {text}"
        for text in _lost_points(record)
        if not text.startswith(f"{proof.name} ")
    ]
    return ProofOutcome(proof, record.device, faults=faults)


def _prove_coarse(session: GradingSession, stage: Stage, proof: Proof) -> ProofOutcome:
    """Coarse answers lose points, but where the stage says why they cannot."""
    global _COARSE
    if _COARSE is None:
        # The interpreter has no rounding of its own to hide behind.
        _COARSE = CoarseSession(session.pack, msgspec.structs.replace(session.options, device="interpreter"))
        _COARSE.__enter__()
        atexit.register(_COARSE.__exit__, None, None, None)
    files = submission_of(stage, reference_functions(stage), reference_kernels(stage))
    tolerated = _COARSE.tolerates(stage, files, proof.name)
    listed = proof.name in load_imprecise(stage)
    faults = []
    if tolerated and not listed:
        faults.append(f"{proof.name} earns full marks with coarse answers: tolerances are loose")
    if listed and not tolerated:
        faults.append(f"{proof.name} is listed in imprecise.toml, and its tests notice coarse answers")
    return ProofOutcome(proof, NO_DEVICE, faults=faults)


def _lost_points(record: SubmissionRecord) -> list[str]:
    return [
        f"{exercise.id} fails {test.name}: {test.message.splitlines()[0] if test.message else test.outcome}"
        for exercise in record.exercises
        for test in exercise.tests
        if test.outcome != "passed"
    ]
