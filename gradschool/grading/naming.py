"""Name a mistake: the misconception whose answers equal the learner's on the same inputs.

Every call a failed test made is replayed with each misconception of the exercise, in this
process (a misconception is our own code). One that answers every call of some failed test
as the learner did, and differs from the reference on at least one of them, is the mistake.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Collection, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np

from gradschool.errors import GradschoolError
from gradschool.gpu.jobs import JobCost
from gradschool.grading.arguments import changed_arguments, resolve_functions, snapshot
from gradschool.grading.calls import Call, Evidence, same
from gradschool.grading.fill import reference_kernels
from gradschool.grading.misconceptions import Misconception, load_misconceptions
from gradschool.grading.mixed_up import mixed_up
from gradschool.grading.reference import Signatures, load_reference
from gradschool.grading.replay import KernelReplays
from gradschool.pack import Stage

Answers = list[tuple[Any, ...]]
_PROMISED = re.compile(r'cache\["(\w+)"\]')
_MAX_PARTIAL = 4
"""Failed cases that are tried when no single mistake explains all of them."""


class Namer:
    """The catalogue of one stage, ready to be compared with evidence.

    Args:
        stage: The stage whose misconceptions are loaded.
        replays: Runs catalogued kernels on recorded launches.
    """

    def __init__(self, stage: Stage, replays: KernelReplays) -> None:
        self._stage = stage
        self._replays = replays
        self._modules: dict[str, Any] = {}
        # What the reference answers to the evidence at hand, by the evidence's identity.
        self._right: dict[int, Answers] = {}
        # Launches whose findings are in the very places where the candidate has them. Two races of
        # one kind give the same outputs, and only the places tell them apart; a learner with another
        # workgroup size races elsewhere, so places rank candidates and never rule one out.
        self._n_places = 0

    @cached_property
    def catalogue(self) -> list[Misconception]:
        """Every misconception of the stage."""
        return load_misconceptions(self._stage)

    @cached_property
    def _functions(self) -> dict[str, str]:
        return {
            cell.exercise: cell.source
            for cell in self._stage.cells
            if cell.exercise and cell.role == "solution"
        }

    @cached_property
    def _kernels(self) -> dict[str, str]:
        return reference_kernels(self._stage)

    def name(
        self, exercise: str, failed: Sequence[Evidence], others: Sequence[Evidence]
    ) -> tuple[Misconception | None, bool]:
        """Return the misconception that explains the failures of `exercise`, and whether it explains all.

        Args:
            exercise: The exercise that failed.
            failed: What each failed case saw.
            others: What the exercise's other cases saw; they break ties.
        """
        self._right.clear()
        failed = sorted(failed, key=lambda evidence: evidence.size)
        candidates = [item for item in self.catalogue if item.exercise == exercise]
        # Nearly always one mistake explains every failure, and the smallest case rules most others out.
        whole = [item for item in candidates if all(self._explains(item, seen) for seen in failed)]
        if whole and failed:
            return self._most_agreeing(whole, failed, others), True
        # Two mistakes at once: name one that explains some of the failures. Who also forgot to refuse bad
        # input wants to hear why the numbers are wrong.
        values = (seen for seen in failed if not self._must_refuse(exercise, seen))
        tried = list(islice(values, _MAX_PARTIAL)) or failed[:_MAX_PARTIAL]
        counts = [(sum(self._explains(item, seen) for seen in tried), item) for item in candidates]
        most = max((count for count, _ in counts), default=0)
        partial = [item for count, item in counts if count == most]
        return (self._most_agreeing(partial, failed, others), False) if most else (None, False)

    def relate(self, exercise: str, failed: Sequence[Evidence], signatures: Signatures) -> str:
        """Say which values are in each other's places, or are inputs; "" when none is."""
        for evidence in sorted(failed, key=lambda evidence: evidence.size):
            for call, right in zip(evidence.calls, self._right_answers(evidence), strict=True):
                if call.name != exercise or call.raised or right[1]:
                    continue
                got, want = _values(call.value), _values(right[0])
                names = signatures.result_names.get(exercise, ())
                if len(names) != len(want):
                    names = tuple(f"value {place}" for place in range(1, len(want) + 1))
                given = list(zip(signatures.arguments.get(exercise, ()), call.args, strict=False))
                if text := mixed_up(got, want, names, given):
                    return text
            for launch in evidence.launches:
                if launch.file != exercise:
                    continue
                right = self._replays.run(self._kernels[exercise], launch).outputs
                names = [name for name in right if name in launch.arrays or not name.startswith("past ")]
                got, want = [launch.outputs[name] for name in names], [right[name] for name in names]
                if text := mixed_up(got, want, names, list(launch.arrays.items())):
                    return text
        return ""

    def _most_agreeing(
        self, items: Sequence[Misconception], failed: Sequence[Evidence], others: Sequence[Evidence]
    ) -> Misconception:
        """Return the best of several; of equals the first, so a catalogue opens with the general mistake."""
        if len(items) == 1:
            return items[0]

        def rank(item: Misconception) -> tuple[int, int]:
            self._n_places = 0
            for seen in failed[:_MAX_PARTIAL]:
                self._compare(item, seen)
            return self._n_places, sum(self._agrees(item, seen) for seen in others)

        return max(items, key=rank)

    def _explains(self, item: Misconception, evidence: Evidence) -> bool:
        return self._compare(item, evidence) == (True, True)

    def _agrees(self, item: Misconception, evidence: Evidence) -> bool:
        return self._compare(item, evidence)[0]

    def _must_refuse(self, exercise: str, evidence: Evidence) -> bool:
        """Whether a case asks the exercise for nothing but refusals."""
        asked = zip(evidence.calls, self._right_answers(evidence), strict=True)
        refused = [bool(right[1]) for call, right in asked if call.name == exercise]
        return bool(refused) and all(refused)

    def _compare(self, item: Misconception, evidence: Evidence) -> tuple[bool, bool]:
        """Return whether `item` answers as the learner did, and whether it differs from the reference."""
        try:
            if item.is_kernel:
                return self._compare_launches(item, evidence)
            return self._compare_calls(item, evidence)
        except GradschoolError:
            return False, False

    def _compare_calls(self, item: Misconception, evidence: Evidence) -> tuple[bool, bool]:
        calls = evidence.calls
        if not any(call.name == item.exercise for call in calls):
            return False, False
        module, differs = self._module(item), False
        promised = self._promised(item.exercise)
        answers: Answers = []
        for call, right in zip(calls, self._right_answers(evidence), strict=True):
            answers.append(_answer(call, answers, calls, module))
            if call.name != item.exercise:
                continue
            # Who leaves out what was promised may have made another mistake as well.
            told = promised & _open_cache(call.value, call.name).keys()
            if not _same_answer((call.value, call.raised, call.changed), answers[-1], call.name, told):
                return False, False
            differs = differs or not _same_answer(answers[-1], right, call.name, promised)
        return True, differs

    def _right_answers(self, evidence: Evidence) -> Answers:
        """The reference's answers, computed once for all candidates."""
        if id(evidence) not in self._right:
            module = self._module(None)
            answers: Answers = []
            for call in evidence.calls:
                answers.append(_answer(call, answers, evidence.calls, module))
            self._right[id(evidence)] = answers
        return self._right[id(evidence)]

    def _promised(self, name: str) -> set[str]:
        """Entries of its cache that a function's docstring promises to everyone, such as `cache["attn"]`."""
        return set(_PROMISED.findall(getattr(self._module(None), name).__doc__ or ""))

    def _module(self, item: Misconception | None) -> Any:
        key = item.id if item else ""
        if key not in self._modules:
            replace = {item.exercise: item.apply(self._source(item))} if item else None
            self._modules[key] = load_reference(self._stage, replace)
        return self._modules[key]

    def _source(self, item: Misconception) -> str:
        from gradschool.grading.fill import remove_markers

        return remove_markers(self._functions[item.exercise])

    def _compare_launches(self, item: Misconception, evidence: Evidence) -> tuple[bool, bool]:
        launches = [launch for launch in evidence.launches if launch.file == item.exercise]
        if not launches:
            return False, False
        source = self._kernels[item.exercise]
        wrong = item.apply(source)
        differs = False
        for launch in launches:
            theirs, right = self._replays.run(wrong, launch), self._replays.run(source, launch)
            equal = same(dict(theirs.outputs), dict(launch.outputs)) and _moves_as(theirs.cost, launch.cost)
            if theirs.hazards != launch.hazards or not equal:
                return False, False
            self._n_places += theirs.places == launch.places
            differs = differs or theirs.hazards != right.hazards or not _moves_as(theirs.cost, right.cost)
            differs = differs or not same(dict(theirs.outputs), dict(right.outputs))
        return True, differs


def _values(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _moves_as(one: JobCost | None, other: JobCost | None) -> bool:
    """Whether two runs move the same bytes; how they count and branch is everyone's own."""
    if one is None or other is None:
        return one is other
    return (one.load_bytes, one.store_bytes) == (other.load_bytes, other.store_bytes)


def _answer(call: Call, answers: Answers, calls: Sequence[Call], module: Any) -> tuple[Any, ...]:
    function = getattr(module, call.name, None)
    if function is None:
        return None, "MissingFunction", ()
    args, kwargs = copy.deepcopy(call.args), copy.deepcopy(dict(call.kwargs))
    if call.producer is not None and answers[call.producer][1] == "":
        args, kwargs = _with_cache(call, args, kwargs, calls[call.producer], answers[call.producer][0])
    args = resolve_functions(args, partial(getattr, module))
    kwargs = resolve_functions(kwargs, partial(getattr, module))
    before, named_before = snapshot(args), snapshot(kwargs)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # A wrong answer may well take the mean of nothing.
            warnings.simplefilter("ignore")
            value = function(*args, **kwargs)
    except Exception as error:
        return None, type(error).__name__, ()
    return value, "", changed_arguments(before, named_before, args, kwargs)


def _with_cache(
    call: Call, args: tuple[Any, ...], kwargs: dict[str, Any], producer: Call, value: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Replace the learner's cache among the arguments by the one `value` holds in its place."""
    place = call.cache_place
    if place is None or not isinstance(value, tuple | list) or place[1] >= len(value):
        return args, kwargs
    where, position = place
    if isinstance(where, int):
        return (*args[:where], value[position], *args[where + 1 :]), kwargs
    return args, {**kwargs, where: value[position]}


def _same_answer(one: tuple[Any, ...], other: tuple[Any, ...], name: str, promised: Collection[str]) -> bool:
    (value_a, raised_a, changed_a), (value_b, raised_b, changed_b) = one, other
    if raised_a or raised_b:
        return raised_a == raised_b
    if changed_a != changed_b:
        return False
    return same(_public(value_a, name, promised), _public(value_b, name, promised))


def _public(value: Any, name: str, promised: Collection[str]) -> Any:
    """What a forward returns, of its cache only what is promised: the rest is everyone's own."""
    if not _has_cache(value, name):
        return value
    cache = _open_cache(value, name)
    return (value[0], {key: cache[key] for key in promised if key in cache}, *value[2:])


def _open_cache(value: Any, name: str) -> dict[str, Any]:
    """The cache beside a forward's output, where it is a dict."""
    return value[1] if _has_cache(value, name) and isinstance(value[1], dict) else {}


def _has_cache(value: Any, name: str) -> bool:
    return name.endswith("_forward") and isinstance(value, tuple | list) and len(value) >= 2
