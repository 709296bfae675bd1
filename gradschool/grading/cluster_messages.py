"""What travels between a coordinator and the workers of a cluster: data, never objects.

Orders and answers are JSON of the types below, the course is an archive of its texts. Both are plain
bytes to Dask. What is decoded is checked against its type, and an archive against its digest.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path, PurePosixPath

import msgspec

from gradschool.errors import GradschoolError
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import SubmissionRecord
from gradschool.grading.slot_messages import SlotTask
from gradschool.pack import Pack

_PATTERNS = ("solutions/*/lesson.py", "shaders/*/*.wgsl", "graders/*/*.py", "graders/*/*.toml")


class ClusterOrder(msgspec.Struct, frozen=True):
    """One submission for a worker.

    Attributes:
        package: Version of this package that the coordinator runs.
        pack: Digest of the course it belongs to.
        task: The submission, its files inside; without the student's name, which no worker needs.
    """

    package: str
    pack: str
    options: GradeOptions
    task: SlotTask


class ClusterAnswer(msgspec.Struct):
    """What became of an order.

    Attributes:
        record: The record, without the student's name.
        error: Why this submission could not be judged.
        unfit: Why this worker cannot judge any; another may.
        worker: Address of the worker.
    """

    record: SubmissionRecord | None = None
    error: str = ""
    unfit: str = ""
    worker: str = ""


def encode_pack(pack: Pack) -> bytes:
    """Return what judges, of all stages, as one archive: no prose, figures, twins or alternatives."""
    paths = sorted({path for pattern in _PATTERNS for path in pack.root.glob(pattern)})
    files = [(path.relative_to(pack.root).as_posix(), path.read_bytes()) for path in paths]
    return zlib.compress(msgspec.msgpack.encode(files), 6)


def digest_of(data: bytes) -> str:
    """Return the name of an archive."""
    return hashlib.sha256(data).hexdigest()


def decode_pack(data: bytes, digest: str, folder: Path) -> Pack:
    """Write an archive's files below `folder` and return the course.

    Raises:
        GradschoolError: The archive is not the one that `digest` names, or no archive.
    """
    if digest_of(data) != digest:
        raise GradschoolError("The course that arrived is not the one that was sent.", help="Start again.")
    try:
        files = msgspec.msgpack.decode(zlib.decompress(data), type=list[tuple[str, bytes]])
    except (zlib.error, msgspec.DecodeError) as error:
        raise GradschoolError(f"The course that arrived is no archive: {error}.") from None
    for name, content in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise GradschoolError(f"The course that arrived holds {name!r}, which leaves its folder.")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return Pack(folder)
