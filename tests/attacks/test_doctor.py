"""`gradschool doctor` says which protections hold on this machine, and what is missing on others."""

from __future__ import annotations

import sys

import pytest

from gradschool.cli import doctor
from gradschool.sandbox import capabilities, linux_landlock


def lines() -> str:
    return "\n".join(doctor._sandbox_lines(doctor._sandbox()))


def test_every_protection_is_a_line_with_its_state() -> None:
    text = lines()
    for protection in capabilities().protections:
        assert f"{'✓' if protection.available else '✗'} {protection.sentence}" in text


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")
@pytest.mark.parametrize(
    ("abi", "words"),
    [
        (0, "Landlock: none. It needs Linux 5.13"),
        (3, "version 3, which guards files. The system-call filter refuses the rest."),
        (5, "version 5, which guards files, TCP."),
        (7, "version 7, which guards files, TCP, signals and abstract sockets."),
    ],
)
def test_the_version_of_landlock_says_what_it_guards(abi: int, words: str, monkeypatch) -> None:
    monkeypatch.setattr(linux_landlock, "abi", lambda: abi)
    text = lines()
    assert words in text
    assert ("✗ Student code could read any file of yours" in text) == (abi == 0)


@pytest.mark.parametrize(
    ("system", "level", "words"),
    [
        ("darwin", "partial", "the system ignores limits of memory"),
        ("win32", "none", "Windows: a process of its own"),
    ],
)
def test_other_systems_are_told_what_they_lack(system: str, level: str, words: str, monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    text = lines()
    assert text.startswith(f"{level}: ")
    assert words in text
    assert "✗ Student code could use the network." in text
