"""The pytest plugin of grading: the fixtures hidden graders and visible checks use."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gradschool.errors import GradschoolError
from gradschool.grading.calls import Evidence
from gradschool.grading.host import mark_value
from gradschool.grading.probe import KernelProbe
from gradschool.grading.proxy import FunctionBackend, Submission
from gradschool.grading.reference import Signatures


@dataclass
class Bench:
    """What the fixtures give to the test that runs next.

    Attributes:
        functions: Where the submission's functions live.
        kernels: Makes the kernel probe; None where a stage has no kernels.
        evidence: Filled by the running test.
    """

    functions: FunctionBackend | None = None
    signatures: Signatures | None = None
    reference: Any = None
    make_probe: Any = None
    seed: int = 0
    evidence: Evidence = field(default_factory=Evidence)

    def fresh_evidence(self) -> Evidence:
        """Start and return the evidence of the next test."""
        self.evidence = Evidence()
        return self.evidence


class GradingPlugin:
    """Fixtures over whatever `bench` holds at the moment."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def pytest_configure(self, config: pytest.Config) -> None:
        """Register the marks, so that a misspelt one is an error."""
        config.addinivalue_line("markers", "exercise(id): the exercise a test belongs to")
        config.addinivalue_line("markers", "points(n): what a test is worth")

    @pytest.fixture
    def submission(self, request: pytest.FixtureRequest) -> Submission:
        """The learner's functions; every call runs in the sandboxed worker."""
        if self.bench.functions is None:
            raise GradschoolError("The submission has no notebook that can be read.")
        exercise = str(mark_value(request.node, "exercise"))
        return Submission(self.bench.functions, self.bench.signatures, exercise, self.bench.evidence)

    @pytest.fixture
    def kernel(self) -> KernelProbe:
        """The learner's kernels; every launch runs in the GPU worker and in the interpreter."""
        return self.bench.make_probe(self.bench.evidence)

    @pytest.fixture
    def reference(self) -> Any:
        """The reference functions of the stage, in this process."""
        if self.bench.reference is None:
            raise GradschoolError("Visible checks must not use the reference.")
        return self.bench.reference

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        """Random numbers that depend on the grading's seed and the test's name only."""
        name = request.node.name.encode()
        return np.random.default_rng([self.bench.seed, zlib.crc32(name)])
