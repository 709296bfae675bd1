"""Prove the pack: references earn full marks, stubs none, every known mistake is caught and named."""

from __future__ import annotations

from gradschool.verify.records import StageVerdict, VerifyRecord
from gradschool.verify.run import verify_pack

__all__ = ["StageVerdict", "VerifyRecord", "verify_pack"]
