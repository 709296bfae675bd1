"""How much of the machine one submission may use."""

from __future__ import annotations

import msgspec

MIB = 1 << 20
GIB = 1 << 30


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one locked-down process and of what is accepted from it.

    Attributes:
        address_space_bytes: All memory it may map; None leaves it open (a real GPU's driver may need that).
        data_bytes: Private memory. Both are set, because a shared mapping escapes this one.
        file_bytes: Largest file it could write, were a folder ever writable.
        n_files: Descriptors it may hold.
        cpu_s: Processor time of its whole life; a backstop behind the deadlines.
        n_processes: Processes and threads of its user; None leaves it open.
        start_s: Time to become ready.
        cell_s: Time for one notebook cell.
        load_s: Time for all cells together; later cells then give their definitions only.
        call_s: Time for one call, unless the call says otherwise.
        max_output_bytes: Most array bytes one answer may hold.
        max_print_bytes: Most printed text kept per cell or call; the rest is counted and dropped.
    """

    address_space_bytes: int | None = GIB + GIB // 2
    data_bytes: int | None = GIB
    file_bytes: int = 16 * MIB
    n_files: int = 64
    cpu_s: int = 600
    n_processes: int | None = 0
    start_s: float = 10.0
    cell_s: float = 10.0
    load_s: float = 30.0
    call_s: float = 10.0
    max_output_bytes: int = 256 * MIB
    max_print_bytes: int = 64 * 1024


GPU_LIMITS = Limits(
    address_space_bytes=4 * GIB,
    data_bytes=2 * GIB,
    file_bytes=GIB,  # Mesa 25 keeps device memory in a memfd; it can write no other file
    n_files=256,
    cpu_s=3600,
    n_processes=None,  # a Vulkan driver starts threads
    start_s=30.0,
)
"""For a process that opens a software Vulkan driver; a real GPU may need `address_space_bytes=None`."""
