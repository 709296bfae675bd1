"""Sentences and numbers that the terminal and the notebook share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradschool.tracing.frames import Frame, RaceMark, Story

if TYPE_CHECKING:
    from gradschool.tracing.launch import Launch

_VERBS = {"read": "read", "write": "write", "atomic": "update"}


def runs(numbers: Iterable[int], most: int = 3) -> str:
    """`0-31, 40` for a set of numbers; a step of more than one is said."""
    left = sorted(set(numbers))
    parts: list[str] = []
    while left:
        step = left[1] - left[0] if len(left) > 1 else 1
        n = 1
        while n < len(left) and left[n] - left[n - 1] == step:
            n += 1
        if n < 3 and step > 1:
            n = 1
        taken, left = left[:n], left[n:]
        if len(parts) == most:
            parts.append("...")
            break
        if n == 1:
            parts.append(str(taken[0]))
        else:
            parts.append(f"{taken[0]}-{taken[-1]}" + (f" in steps of {step}" if step > 1 else ""))
    return ", ".join(parts)


def frame_sentence(story: Story, frame: Frame) -> str:
    """What happens in a frame."""
    if frame.kind == "barrier":
        groups = f"workgroup{'s' if len(frame.groups) > 1 else ''} {runs(frame.groups)}"
        return f"{groups} wait{'' if len(frame.groups) > 1 else 's'} at {frame.variable}Barrier()"
    variable = story.variables[frame.variable]
    groups = sorted({int(g) for g in frame.touches[:, 0]})
    lanes = {int(lane) for lane in frame.touches[:, 1]}
    elements = {int(e) for e in frame.touches[:, 2]}
    many = len(lanes) > 1 or len(groups) > 1
    where = f" of workgroup{'s' if len(groups) > 1 else ''} {runs(groups)}" if len(groups) > 1 else ""
    verb = _VERBS[frame.kind] + ("" if many else "s")
    what = (
        variable.element(next(iter(elements))) if len(elements) == 1 else f"{variable.name}[{runs(elements)}]"
    )
    if len(elements) > 1 and variable.shape[0] > 1:
        what = f"{len(elements)} elements of {variable.name}"
    return f"invocation{'s' if many else ''} {runs(lanes)}{where} {verb} {what}"


def race_sentence(story: Story, race: RaceMark) -> str:
    """Who meets whom on an element, and where."""
    second, first = story.frames[race.second], story.frames[race.first]
    element = story.variables[race.variable].element(race.element)
    apart = race.one[0] != race.other[0]

    def name(who: tuple[int, int]) -> str:
        return f"invocation {who[1]}" + (f" of workgroup {who[0]}" if apart else "")

    did = {"read": "reads", "write": "writes"}[second.kind]
    before = {"read": "read", "write": "wrote"}[first.kind]
    too = " it" if first.number != second.number else " it in the same step"
    order = "and nothing orders two workgroups" if apart else "with no barrier in between"
    return (
        f"{name(race.other)} {did} {element} on line {second.line}, "
        f"{name(race.one)} {before}{too} on line {first.line}, {order}"
    )


def totals(launch: Launch) -> list[tuple[str, str]]:
    """What a run cost, as label and text."""
    cost = launch.result.cost
    total = cost.total
    moved = total.load_bytes + total.store_bytes
    distinct = cost.distinct_load_bytes + cost.distinct_store_bytes
    rows = [
        (
            "loads",
            f"{total.loads:,} from buffers, {total.load_bytes:,} bytes, {cost.distinct_load_bytes:,} distinct",
        ),
        (
            "stores",
            f"{total.stores:,} to buffers, {total.store_bytes:,} bytes, {cost.distinct_store_bytes:,} distinct",
        ),
        ("transactions", f"{total.transactions:,} of 128 bytes"),
    ]
    if distinct and moved > 1.5 * distinct:
        rows[0] = (
            rows[0][0],
            rows[0][1] + f": each is loaded {_times(total.load_bytes, cost.distinct_load_bytes)}",
        )
    if total.workgroup_loads or total.workgroup_stores:
        rows.append(
            (
                "workgroup",
                f"{total.workgroup_loads:,} loads, {total.workgroup_stores:,} stores, "
                f"{total.bank_conflicts:,} bank conflicts",
            )
        )
    if total.atomics:
        rows.append(("atomics", f"{total.atomics:,}"))
    if total.barriers:
        rows.append(("barriers", f"{total.barriers:,}, counted per workgroup"))
    rows.append(
        (
            "arithmetic",
            f"{total.ops:,} operations, {total.flops:,} on floats, {cost.intensity:.2g} per byte moved",
        )
    )
    rows.append(("lanes", f"{cost.lane_use:.0%} in use, over all statements"))
    return rows


def _times(loaded: int, distinct: int) -> str:
    return f"{loaded / max(1, distinct):.1f} times" if distinct else "more than once"


def launch_sentence(launch: Launch) -> str:
    """What ran: sizes, workgroups and invocations."""
    params = ", ".join(f"{name} = {_number(value)}" for name, value in launch.example.params.items())
    groups, size = _product(launch.workgroups), _product(launch.workgroup_size)
    return f"{params}: {groups} workgroup{'s' if groups != '1' else ''} of {size} invocations"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _product(sizes: tuple[int, int, int]) -> str:
    shown = [n for n in sizes]
    while len(shown) > 1 and shown[-1] == 1:
        shown.pop()
    return " x ".join(map(str, shown))


# Of the cost of a line: label, attribute and what a reader should know.
COLUMNS = (
    ("runs", "executions", "invocations that ran the line, counted each time"),
    ("lanes", "", "share of the lanes in use, in groups of 32"),
    ("loads", "loads", "loads from buffers"),
    ("stores", "stores", "stores to buffers"),
    ("128 B", "transactions", "128-byte transactions of those loads and stores"),
    ("shared", "shared", "loads and stores of workgroup memory"),
    ("conflicts", "bank_conflicts", "extra turns that workgroup memory took"),
)


def line_cells(row: object) -> list[str]:
    """The numbers of one line of the listing; nothing for a zero."""
    cells = []
    for _, attribute, _ in COLUMNS:
        if attribute == "":
            slots = getattr(row, "lane_slots", 0)
            cells.append(f"{getattr(row, 'executions', 0) / slots:.0%}" if slots else "")
            continue
        if attribute == "shared":
            value = getattr(row, "workgroup_loads", 0) + getattr(row, "workgroup_stores", 0)
        else:
            value = getattr(row, attribute, 0)
        cells.append(f"{value:,}" if value else "")
    return cells


def listed_lines(launch: Launch) -> range:
    """Lines of the listing: what stands below the contract and its bindings."""
    lines = launch.source.rstrip("\n").split("\n")
    opens = ("const ", "override ", "var<workgroup>", "var<private>", "fn ", "@compute")
    start = next((k for k, line in enumerate(lines) if line.startswith(opens)), 0)
    return range(start + 1, len(lines) + 1)
