"""Who works on a cluster: how many threads, which of them with a device, and who has been found unfit."""

from __future__ import annotations

import time
from typing import Any

from gradschool.errors import GradschoolError
from gradschool.grading.cluster_address import check_address

TAGS = ("kernels", "GPU")
"""Resources that mark a worker for stages with kernels: `dask worker ... --resources "kernels=4"`."""


class Workforce:
    """The workers of a scheduler, looked at now and then.

    Args:
        client: A connected Dask client.
        insecure: Accept that the scheduler or a worker listens on a network without TLS.
    """

    LOOK_EVERY_S = 2.0
    WAIT_S = 300.0
    """How long to wait for a first worker, or for another when all are lost."""

    def __init__(self, client: Any, *, insecure: bool) -> None:
        self._client = client
        self._insecure = insecure
        self._threads: dict[str, int] = {}
        self._unfit: dict[str, str] = {}
        self._looked_at = 0.0
        self._seen_at = time.monotonic()
        self.tag = ""

    def look(self) -> None:
        """Ask the scheduler who is there, unless that was done a moment ago.

        Raises:
            UsageError: One of them is open to a network.
            GradschoolError: The scheduler is lost, or there has been no worker for long.
        """
        now = time.monotonic()
        if now - self._looked_at < self.LOOK_EVERY_S:
            return
        try:
            found = self._client.scheduler_info(n_workers=-1)
        except Exception as error:  # whatever a connection that ends may raise
            raise lost(error) from None
        self._looked_at = time.monotonic()
        workers = found["workers"]
        for address in (found["address"], *workers):
            # It may be reached on this machine's own address and listen on others all the same.
            check_address(address, insecure=self._insecure)
        self._threads = {address: worker["nthreads"] for address, worker in workers.items()}
        offered = {tag for worker in workers.values() for tag in worker.get("resources", {})}
        self.tag = next((tag for tag in TAGS if tag in offered), "")
        if self._threads:
            self._seen_at = now
        elif now - self._seen_at > self.WAIT_S:
            raise GradschoolError(
                f"The scheduler has had no worker for {self.WAIT_S:.0f} s.",
                help="Start some with: dask worker ADDRESS. Then run the same command again; finished work is kept.",
            )

    @property
    def n_wanted(self) -> int:
        """How many submissions to have given out: one per thread, and as many ready behind them."""
        return 2 * sum(n for address, n in self._threads.items() if address not in self._unfit)

    def refuse(self, worker: str, reason: str) -> None:
        """Give nothing more to a worker that cannot grade.

        Raises:
            GradschoolError: No other worker is left.
        """
        self._unfit[worker] = reason
        if not self.fit_workers():
            raise GradschoolError(
                f"No worker of the cluster can grade; {worker}: {reason}",
                help="Install this version of gradschool on every worker, and run gradschool doctor there.",
            )

    def fit_workers(self) -> list[str] | None:
        """Workers that may be given work; None for all, those that join later included."""
        return [address for address in self._threads if address not in self._unfit] if self._unfit else None


def lost(error: BaseException) -> GradschoolError:
    """The error for a scheduler that does not answer any more."""
    return GradschoolError(
        f"The connection to the scheduler is lost: {type(error).__name__}: {error}",
        help="Run the same command again when the cluster is back; finished work is kept.",
    )
