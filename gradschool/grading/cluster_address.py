"""Which cluster may be used, and how it is reached.

Whoever reaches the port of a Dask scheduler or worker can have any code run there, and Dask unpickles what
its peers send. Over plain TCP that is everyone on the network, so a plain address is accepted on this machine
alone; others need TLS, with which each side proves by its certificate that it belongs. The certificates are
those of Dask's own configuration (`distributed.comm.tls`).

That our orders and answers are bytes, checked against their types, keeps a *submission* from travelling as
anything else. It does not protect from a scheduler or worker that is not yours.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from gradschool.errors import GradschoolError, UsageError

CONNECT_S = 30


def check_address(address: str, *, insecure: bool) -> str:
    """Return the address with its protocol.

    Args:
        address: Such as `tls://scheduler:8786`; without a protocol, `tcp://` is meant.
        insecure: Accept plain TCP to another machine.

    Raises:
        UsageError: The protocol is unknown, or plain and the machine another.
    """
    protocol, _, place = address.rpartition("://")
    protocol = protocol or "tcp"
    host = place.rpartition(":")[0].strip("[]")
    if protocol not in ("tcp", "tls") or not host:
        raise UsageError(
            f"{address} is no address of a scheduler.", help="Give tls://HOST:PORT, or tcp://127.0.0.1:PORT."
        )
    if protocol == "tcp" and not insecure and not _is_this_machine(host):
        raise UsageError(
            f"{address} is plain TCP to another machine: whoever reaches that port can run code on the cluster.",
            help="Start the cluster with TLS and use tls://, or accept it on a network that is all yours with "
            "--insecure-cluster.",
        )
    return f"{protocol}://{place}"


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which could mean anything
        return False


def import_distributed() -> Any:
    """Return the package `distributed`.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import distributed
    except ImportError:
        raise UsageError(
            "--cluster needs Dask, which is not installed.", help='Run: pip install "gradschool[cluster]"'
        ) from None
    return distributed


def connect(address: str) -> Any:
    """Return a client of the scheduler at `address`.

    Raises:
        GradschoolError: It cannot be reached, or TLS is asked for and not configured.
    """
    distributed = import_distributed()
    try:
        return distributed.Client(address, timeout=CONNECT_S, set_as_default=False, name="gradschool")
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        tls = "Does it run, and does Dask's configuration name distributed.comm.tls certificates?"
        raise GradschoolError(
            f"The scheduler at {address} cannot be reached: {type(error).__name__}: {error}",
            help=tls if address.startswith("tls") else "Does it run? Start it with: dask scheduler",
        ) from None
