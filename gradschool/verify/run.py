"""Run every proof of a stage through the same grading as a student's submission."""

from __future__ import annotations

import atexit
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
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
from gradschool.pack import Pack, Stage
from gradschool.release import build_assignment, compare
from gradschool.verify.records import StageVerdict, VerifyRecord

MIN_ALTERNATIVES = 2


class Proof(msgspec.Struct, frozen=True):
    """One submission to grade and what must come of it."""

    stage: str
    kind: Literal["reference", "stub", "misconception", "alternative"]
    name: str = ""


OnProof = Callable[[Proof, list[str]], None]


def verify_pack(
    pack: Pack,
    stages: Sequence[Stage],
    options: GradeOptions,
    *,
    only: Sequence[str] = (),
    on_total: Callable[[int], None] = lambda n: None,
    on_proof: OnProof = lambda proof, faults: None,
) -> VerifyRecord:
    """Prove `stages` and return what held.

    Args:
        pack: The course.
        stages: Stages to prove.
        options: Seed, device and number of processes.
        only: Exercises whose misconceptions are tried; default all.
        on_total: Called once with the number of proofs.
        on_proof: Called as each proof ends, with its faults.
    """
    started = time.monotonic()
    verdicts = {stage.id: _static_verdict(stage) for stage in stages}
    proofs = [proof for stage in stages for proof in _proofs_of(stage, only)]
    on_total(len(proofs))
    device = DeviceRecord(name="none", kind="interpreter")
    # Trusted content in trusted processes; learners' work never takes this path.
    with ProcessPoolExecutor(
        max_workers=max(1, min(options.n_slots, len(proofs))),
        mp_context=get_context("spawn"),
        initializer=_open_session,
        initargs=(str(pack.root), options),
    ) as pool:
        futures = {pool.submit(_prove, proof): proof for proof in proofs}
        for future in as_completed(futures):
            outcome = future.result()
            verdict = verdicts[outcome.proof.stage]
            _count(verdict, outcome)
            verdict.faults.extend(outcome.faults)
            device = outcome.device
            on_proof(outcome.proof, outcome.faults)
    for verdict in verdicts.values():
        verdict.faults.sort()
    return VerifyRecord(
        stages=list(verdicts.values()),
        device=device,
        seed=options.seed,
        seconds=round(time.monotonic() - started, 1),
    )


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


def _static_verdict(stage: Stage) -> StageVerdict:
    """What can be told without running anything."""
    state = compare(stage, build_assignment(stage))
    faults = [f"assignments/{stage.id} is stale: {path}" for path in state.stale]
    for exercise in stage.exercises:
        if exercise.points < 1:
            faults.append(f"{exercise.id} has no points: no hidden test grades it")
    counts = Counter(
        name
        for alternative in load_alternatives(stage)
        for name in (*alternative.functions, *alternative.kernels)
    )
    known = {item.exercise for item in load_misconceptions(stage)}
    for exercise in stage.exercises:
        if counts[exercise.id] < MIN_ALTERNATIVES:
            faults.append(
                f"{exercise.id} has {counts[exercise.id]} alternatives; {MIN_ALTERNATIVES} are needed"
            )
        if exercise.id not in known:
            faults.append(f"{exercise.id} has no misconception")
    return StageVerdict(
        id=stage.id,
        exercises=len(stage.exercises),
        kernels=len(stage.kernels),
        max_score=float(stage.max_score),
        faults=faults,
    )


def _proofs_of(stage: Stage, only: Sequence[str]) -> Iterator[Proof]:
    yield Proof(stage.id, "reference")
    yield Proof(stage.id, "stub")
    for alternative in load_alternatives(stage):
        yield Proof(stage.id, "alternative", alternative.name)
    for item in load_misconceptions(stage):
        if not only or item.exercise in only:
            yield Proof(stage.id, "misconception", item.id)


# One session per process of the pool; a pool gives its tasks no other place to keep it.
_SESSION: GradingSession | None = None


def _open_session(root: str, options: GradeOptions) -> None:
    global _SESSION
    _SESSION = GradingSession(Pack(Path(root)), options=options)
    _SESSION.__enter__()
    atexit.register(_SESSION.__exit__, None, None, None)


def _prove(proof: Proof) -> ProofOutcome:
    assert _SESSION is not None
    stage = _SESSION.pack.stage(proof.stage)
    prove = {
        "reference": _prove_reference,
        "stub": _prove_stub,
        "alternative": _prove_alternative,
        "misconception": _prove_misconception,
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


def _lost_points(record: SubmissionRecord) -> list[str]:
    return [
        f"{exercise.id} fails {test.name}: {test.message.splitlines()[0] if test.message else test.outcome}"
        for exercise in record.exercises
        for test in exercise.tests
        if test.outcome != "passed"
    ]


def _count(verdict: StageVerdict, outcome: ProofOutcome) -> None:
    kind = outcome.proof.kind
    if kind == "reference":
        verdict.reference = outcome.score
    elif kind == "stub":
        verdict.stub = outcome.score
    elif kind == "alternative":
        verdict.alternatives.total += outcome.n_alternatives
        verdict.alternatives.passed += outcome.n_passed
    else:
        verdict.misconceptions.total += 1
        verdict.misconceptions.caught += outcome.caught
        verdict.misconceptions.named += outcome.named
