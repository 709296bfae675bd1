"""The version of a grader: the package's, and a digest of what judges the stage."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import gradschool
from gradschool.hints import HINTS
from gradschool.pack import Stage


@lru_cache(maxsize=64)
def grader_version(stage: Stage) -> str:
    """Return `<package version>+<12 hex digits>` over the stage's lesson, kernels and graders.

    A record whose version differs was made by another grader and is graded again.
    """
    digest = hashlib.sha256()
    folders = (stage.solutions, stage.shaders, stage.graders)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if (
                path.is_file()
                and path.suffix in (".py", ".wgsl", ".toml")
                and "__pycache__" not in path.parts
                and path.name != HINTS  # help, not judgement
            ):
                digest.update(str(path.relative_to(stage.root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{gradschool.__version__}+{digest.hexdigest()[:12]}"
