"""Run every proof of a stage through the same grading as a student's submission."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from gradschool.grading.alternatives import load_alternatives
from gradschool.grading.misconceptions import load_misconceptions
from gradschool.grading.options import GradeOptions
from gradschool.pack import Pack, Stage
from gradschool.release import build_assignment, compare
from gradschool.verify.proofs import NO_DEVICE, Proof, ProofOutcome, open_session, prove_one
from gradschool.verify.records import StageVerdict, VerifyRecord

MIN_ALTERNATIVES = 3


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
    device = NO_DEVICE
    # Trusted content in trusted processes; learners' work never takes this path.
    with ProcessPoolExecutor(
        max_workers=max(1, min(options.n_slots, len(proofs))),
        mp_context=get_context("spawn"),
        initializer=open_session,
        initargs=(str(pack.root), options),
    ) as pool:
        futures = {pool.submit(prove_one, proof): proof for proof in proofs}
        for future in as_completed(futures):
            outcome = future.result()
            verdict = verdicts[outcome.proof.stage]
            _count(verdict, outcome)
            verdict.faults.extend(outcome.faults)
            device = outcome.device if outcome.device.name != NO_DEVICE.name else device
            on_proof(outcome.proof, outcome.faults)
    for verdict in verdicts.values():
        verdict.faults.sort()
    return VerifyRecord(
        stages=list(verdicts.values()),
        device=device,
        seed=options.seed,
        seconds=round(time.monotonic() - started, 1),
    )


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
    for exercise in stage.exercises:
        if not only or exercise.id in only:
            yield Proof(stage.id, "coarse", exercise.id)
            if not exercise.id.endswith(".wgsl"):
                yield Proof(stage.id, "without", exercise.id)


def _count(verdict: StageVerdict, outcome: ProofOutcome) -> None:
    kind = outcome.proof.kind
    if kind == "reference":
        verdict.reference = outcome.score
    elif kind == "stub":
        verdict.stub = outcome.score
    elif kind == "alternative":
        verdict.alternatives.total += outcome.n_alternatives
        verdict.alternatives.passed += outcome.n_passed
    elif kind == "without":
        verdict.independent += not outcome.faults
    elif kind == "coarse":
        verdict.precise += not outcome.faults
    else:
        verdict.misconceptions.total += 1
        verdict.misconceptions.caught += outcome.caught
        verdict.misconceptions.named += outcome.named
