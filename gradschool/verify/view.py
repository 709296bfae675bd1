"""What an author sees while the pack is proven."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gradschool.verify.records import VerifyRecord

if TYPE_CHECKING:
    from gradschool.verify.proofs import Proof


_TABLE_WIDTH = 132


class VerifyView:
    """A progress bar on stderr, then a table.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._bar = Progress(
            TextColumn("[bold]proving"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last]}"),
            console=self._console,
        )
        self._task = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def start(self, n_proofs: int) -> None:
        """Say how many proofs there are."""
        self._task = self._bar.add_task("", total=n_proofs, last="")

    def advance(self, proof: Proof, faults: list[str]) -> None:
        """Count one proof and show its faults at once."""
        if self._task is not None:
            self._bar.update(self._task, advance=1, last=f"{proof.stage} {proof.kind} {proof.name}")
        for fault in faults:
            self._console.print(f"{proof.stage}: {fault}", style="red", markup=False)

    def summary(self, record: VerifyRecord) -> None:
        """Print the table."""
        table = Table(
            "stage",
            "exercises",
            "kernels",
            "points",
            "reference",
            "stub",
            "caught",
            "named",
            "alternatives",
            "alone",
            "precise",
            "",
        )
        for stage in record.stages:
            wrong, right = stage.misconceptions, stage.alternatives
            table.add_row(
                stage.id,
                str(stage.exercises),
                str(stage.kernels),
                f"{stage.max_score:g}",
                f"{stage.reference:g}",
                f"{stage.stub:g}",
                f"{wrong.caught}/{wrong.total}",
                f"{wrong.named}/{wrong.total}",
                f"{right.passed}/{right.total}",
                str(stage.independent),
                str(stage.precise),
                "holds" if stage.holds else f"{len(stage.faults)} faults",
            )
        console = Console(highlight=False)
        # A wrapped row can be read; a number cut short cannot.
        console.width = max(console.width, _TABLE_WIDTH)
        console.print(table)
        for stage in record.stages:
            for fault in stage.faults:
                console.print(f"{stage.id}: {fault}", style="red", markup=False, soft_wrap=True)
        console.print(
            f"device {record.device.name} ({record.device.kind}), seed {record.seed}, {record.seconds:g} s",
            markup=False,
        )
