"""Whole files or none, and records read back."""

from __future__ import annotations

import os

import msgspec
import pytest

from gradschool.errors import UsageError
from gradschool.report import load_records, read_records, write_atomic


def store(record, folder):
    write_atomic(folder / record.student / f"{record.stage}.json", msgspec.json.encode(record))


def test_a_file_is_written_with_the_folders_above_it(tmp_path):
    write_atomic(tmp_path / "a/b/c.txt", b"text")
    assert (tmp_path / "a/b/c.txt").read_bytes() == b"text"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["c.txt"]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    write_atomic(tmp_path / "c.txt", b"old")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(tmp_path / "c.txt", b"new")
    assert (tmp_path / "c.txt").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["c.txt"]


def test_a_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "precious").read_text() == "keep"
    assert not (tmp_path / "link").is_symlink()


def test_records_come_back_as_they_were(tmp_path, class_records):
    for record in class_records:
        store(record, tmp_path)
    assert load_records(tmp_path) == sorted(class_records, key=lambda item: (item.student, item.stage))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: data[: len(data) // 2], "is no grade record"),
        (lambda data: b"", "is no grade record"),
        (lambda data: b"[]", "is no grade record"),
        (lambda data: data.replace(b'"schema_version":1', b'"schema_version":9'), "has format 9"),
        (lambda data: data.replace(b"Amara Okafor", b"Mallory"), "not where it belongs"),
    ],
    ids=["cut short", "empty", "a list", "newer", "another student's"],
)
def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path, class_records, damage, sentence):
    for record in class_records:
        store(record, tmp_path)
    path = tmp_path / "Amara Okafor/01_perceptron.json"
    path.write_bytes(damage(path.read_bytes()))
    records, complaints = read_records(tmp_path)
    assert len(records) == len(class_records) - 1
    assert len(complaints) == 1
    assert sentence in complaints[0]
    assert "01_perceptron.json" in complaints[0]
    with pytest.raises(UsageError, match=r"01_perceptron\.json"):
        load_records(tmp_path)


def test_files_that_are_no_records_are_left_alone(tmp_path, record):
    store(record, tmp_path)
    write_atomic(tmp_path / record.student / "notes.json", b"{}")
    write_atomic(tmp_path / record.student / ".01_perceptron.json.ab12.tmp", b"{")
    assert load_records(tmp_path) == [record]


def test_a_missing_folder_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(UsageError, match="is not a folder of results"):
        load_records(tmp_path / "nothing")
