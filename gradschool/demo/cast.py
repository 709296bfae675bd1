"""The demo class: who hands in what, and what each must get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gradschool.demo import edits
from gradschool.demo.expectation import Expectation, expect
from gradschool.demo.hostile import attack_all
from gradschool.demo.material import Files, Material
from gradschool.grading.misconceptions import Misconception

Where = Literal["every", "first", "last"]


@dataclass(frozen=True)
class Work:
    """One submission with its story."""

    did: str
    files: Files
    expectation: Expectation


@dataclass(frozen=True)
class Actor:
    """One student.

    Attributes:
        where: In which of the chosen stages the student hands in. Kernel stories are told in
            the first, which is about kernels; function stories in the last.
        play: Makes the submission, or None where the stage has nothing to play it with.
        attacks: Whether the submission is an attack, which only a full sandbox can judge.
    """

    name: str
    where: Where
    play: Callable[[Material], Work | None]
    attacks: bool = False


def _perfect(material: Material) -> Work:
    return Work("solved everything", material.hand_in(), expect(material.points))


def _differently(material: Material) -> Work | None:
    if not material.alternatives:
        return None
    best = max(material.alternatives, key=lambda item: len(item.functions) + len(item.kernels))
    files = material.with_answers({**best.functions, **best.kernels})
    return Work("solved everything in another way", files, expect(material.points))


def _half(material: Material) -> Work:
    solved = list(material.points)[: len(material.points) // 2]
    functions = {name: text for name, text in material.functions.items() if name in solved}
    kernels = {name: text for name, text in material.kernels.items() if name in solved}
    files = material.hand_in(functions, kernels)
    return Work("solved the first half", files, expect(material.points, full=solved, rest="zero"))


def _untouched(material: Material) -> Work:
    return Work("handed in the stubs", material.hand_in({}, {}), expect(material.points, rest="zero"))


def _mistaken(skip: int, kernels: bool) -> Callable[[Material], Work | None]:
    """Return a student with one known mistake in each of three exercises."""

    def play(material: Material) -> Work | None:
        by_exercise: dict[str, list[Misconception]] = {}
        for item in material.misconceptions:
            if item.is_kernel == kernels:
                by_exercise.setdefault(item.exercise, []).append(item)
        made = [items[skip % len(items)] for items in by_exercise.values()][skip % 2 :: 2][:3]
        if not made:
            return None
        wrong = {item.exercise: item.apply(material.answer(item.exercise)) for item in made}
        named = {item.exercise: item.id for item in made}
        what = "kernel" if kernels else "function"
        did = f"made a known mistake in {len(made)} {what}{'s' if len(made) > 1 else ''}"
        return Work(did, material.with_answers(wrong), expect(material.points, named=named))

    return play


def _not_json(material: Material) -> Work:
    files = material.hand_in()
    whole = files[material.notebook_name]
    files[material.notebook_name] = whole[: len(whole) * 2 // 3]
    expected = expect(material.points, zero=material.functions, problem=True)
    return Work("handed in a notebook cut short", files, expected)


def _function(material: Material, index: int) -> str:
    names = list(material.functions)
    return names[index % len(names)]


def _syntax(material: Material) -> Work:
    name = _function(material, 4)
    broken = edits.insert_first(material.functions[name], name, "if True\n    pass")
    expected = expect(material.points, zero=[name], problem=True)
    return Work(f"left a syntax error in {name}", material.with_answers({name: broken}), expected)


def _missing_kernel(material: Material) -> Work | None:
    if not material.kernels:
        return None
    name = sorted(material.kernels)[-1]
    files = material.hand_in()
    del files[name]
    return Work(f"forgot {name}", files, expect(material.points, zero=[name], problem=True))


def _no_compile(material: Material) -> Work | None:
    if not material.kernels:
        return None
    name = sorted(material.kernels)[0]
    broken = edits.insert_in_main(material.kernels[name], "let row = grup_id.x;\n")
    expected = expect(material.points, zero=[name], words={name: "grup_id"})
    return Work(f"{name} does not compile", material.with_answers({name: broken}), expected)


def _endless_python(material: Material) -> Work:
    name = _function(material, 6)
    broken = edits.insert_first(
        material.functions[name], name, "step = 0\nwhile step < 10:\n    step = step * 1"
    )
    files = material.with_answers({name: broken})
    return Work(f"wrote a loop in {name} that never ends", files, expect(material.points, zero=[name]))


def _endless_wgsl(material: Material) -> Work | None:
    if not material.kernels:
        return None
    name = sorted(material.kernels)[len(material.kernels) // 2]
    code = "var step = 64u;\nwhile (step > 0u) {\n  step = max(step, 1u);\n}\n"
    broken = edits.insert_in_main(material.kernels[name], code)
    files = material.with_answers({name: broken})
    return Work(f"wrote a loop in {name} that never ends", files, expect(material.points, zero=[name]))


def _no_barrier(material: Material) -> Work | None:
    waiting = [name for name, text in material.kernels.items() if edits.has_barrier(text)]
    if not waiting:
        return None
    name = waiting[-1]
    broken = edits.drop_barriers(material.kernels[name])
    return Work(
        f"left out the barriers of {name}",
        material.with_answers({name: broken}),
        expect(material.points, less=[name]),
    )


def _nan(material: Material) -> Work:
    name = _function(material, 0)
    broken = edits.spoil_result(material.functions[name], name)
    return Work(
        f"{name} returns NaN", material.with_answers({name: broken}), expect(material.points, less=[name])
    )


def _huge(material: Material) -> Work:
    name = _function(material, 2)
    broken = edits.replace_body(material.functions[name], name, "return np.ones((10_000, 125_000))")
    return Work(
        f"{name} returns 10 GB", material.with_answers({name: broken}), expect(material.points, zero=[name])
    )


def _chatty(material: Material) -> Work:
    name = _function(material, 7)
    code = 'while True:\n    print("still thinking " * 1000)'
    broken = edits.insert_first(material.functions[name], name, code)
    return Work(
        f"{name} prints without end",
        material.with_answers({name: broken}),
        expect(material.points, zero=[name]),
    )


def _hostile(material: Material) -> Work:
    sources, tried = attack_all(material)
    did = f"attacks the grader in {len(tried)} ways" if len(tried) > 1 else f"attacks the grader: {tried[0]}"
    return Work(did, material.hand_in(sources, {}), expect(material.points, rest="zero"))


CAST: tuple[Actor, ...] = (
    Actor("Ada Lindqvist", "every", _perfect),
    Actor("Bela Kovacs", "every", _differently),
    Actor("Chidi Eze", "every", _half),
    Actor("Dana Haddad", "last", _mistaken(0, kernels=False)),
    Actor("Emil Novak", "last", _mistaken(1, kernels=False)),
    Actor("Farah Aziz", "first", _mistaken(0, kernels=True)),
    Actor("Goro Tanaka", "last", _mistaken(3, kernels=True)),
    Actor("Hana Yilmaz", "every", _untouched),
    Actor("Ivo Petrov", "last", _not_json),
    Actor("Juno Park", "last", _syntax),
    Actor("Kofi Mensah", "first", _missing_kernel),
    Actor("Lena Fischer", "first", _no_compile),
    Actor("Milo Rossi", "last", _endless_python),
    Actor("Nadia Rahman", "first", _endless_wgsl),
    Actor("Omar Farouk", "first", _no_barrier),
    Actor("Priya Nair", "last", _nan),
    Actor("Quinn Murphy", "last", _huge),
    Actor("Rosa Silva", "last", _chatty),
    Actor("Mallory Voss", "last", _hostile, attacks=True),
)
