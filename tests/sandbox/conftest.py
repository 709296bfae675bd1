from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gradschool.sandbox import CellSource, Limits, Worker, Zygote, capabilities

SHORT = Limits(call_s=10.0, cell_s=2.0, load_s=15.0)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with Zygote(SHORT) as zygote:
        yield zygote


@pytest.fixture
def load(zygote: Zygote) -> Iterator[Callable[..., Worker]]:
    """Load cells given as text, or as (role, text); every worker is closed at the end."""
    workers: list[Worker] = []

    def load(*cells: str | tuple[str, str]) -> Worker:
        pairs = [("code", cell) if isinstance(cell, str) else cell for cell in cells]
        worker = zygote.spawn()
        workers.append(worker)
        worker.load([CellSource(i, f"id{i}", role, text) for i, (role, text) in enumerate(pairs)])
        return worker

    yield load
    for worker in workers:
        worker.close()


@pytest.fixture
def locked_down() -> None:
    """For tests of protections that only some platforms have."""
    here = capabilities()
    if here.level != "full":
        pytest.skip(f"this platform's isolation is {here.level}; it lacks {', '.join(here.missing)}")
