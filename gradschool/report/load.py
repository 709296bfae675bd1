"""Records read back from the folder that grading wrote."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gradschool.errors import UsageError
from gradschool.grading.records import SCHEMA_VERSION, SubmissionRecord
from gradschool.pack import STAGE_ID


def load_records(folder: Path) -> list[SubmissionRecord]:
    """Read `RESULTS/<student>/<NN_stage>.json`, sorted by student and stage.

    Raises:
        UsageError: The folder is missing, or a record in it cannot be read; every bad file
            is named.
    """
    records, complaints = read_records(folder)
    if complaints:
        raise UsageError(
            "\n".join(complaints),
            help="Delete what is broken and run `gradschool grade` again: only that is redone.",
        )
    return records


def read_records(folder: Path) -> tuple[list[SubmissionRecord], list[str]]:
    """Read what can be read: the records, and a sentence for each file that is no record.

    Raises:
        UsageError: The folder is missing.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder of results.",
            help="Name the folder that `gradschool grade SUBMISSIONS --out RESULTS` wrote.",
        )
    records: list[SubmissionRecord] = []
    complaints: list[str] = []
    for path in sorted(folder.glob("*/*.json")):
        if not STAGE_ID.fullmatch(path.stem) or path.parent.name.startswith("."):
            continue
        try:
            records.append(read_record(path))
        except UsageError as error:
            complaints.append(error.message)
    return records, complaints


def read_record(path: Path) -> SubmissionRecord:
    """Read one record.

    Raises:
        UsageError: It is cut short, not JSON, of a newer format, or not of its own file's
            student and stage.
    """
    try:
        record = msgspec.json.decode(path.read_bytes(), type=SubmissionRecord)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no grade record: {error}.") from error
    if record.schema_version > SCHEMA_VERSION:
        raise UsageError(
            f"{path} has format {record.schema_version}; this gradschool reads up to {SCHEMA_VERSION}."
        )
    if (record.student, record.stage) != (path.parent.name, path.stem):
        raise UsageError(
            f"{path} holds the record of {record.student!r}, {record.stage!r}: it is not where it belongs."
        )
    return record


def page_path(folder: Path, record: SubmissionRecord, suffix: str) -> Path:
    """Return `folder/<student>/<stage><suffix>`, refusing names that leave the folder.

    Raises:
        UsageError: The student or stage is no plain file name.
    """
    for name in (record.student, record.stage):
        if not name or name.startswith(".") or any(char in name for char in "/\\\0"):
            raise UsageError(f"{name!r} cannot name a file in {folder}.")
    return folder / record.student / f"{record.stage}{suffix}"
