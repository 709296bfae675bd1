"""Fixtures that more than one area of tests needs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from gradschool.errors import DeviceError
from gradschool.gpu.backend import Backend

# The lessons' small products gain nothing from threads, which wait for each other by spinning where cores
# are shared: a training run took twenty times as long beside others. Here, and in what the tests start.
threadpool_limits(1, user_api="blas")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def wgpu_device() -> Iterator[Backend]:
    """A device opened through wgpu; skips without a driver, fails where CI requires one."""
    from gradschool.gpu.wgpu_setup import open_device

    try:
        backend = open_device("auto")
    except DeviceError as error:
        if os.environ.get("GRADSCHOOL_REQUIRE_WGPU"):
            pytest.fail(f"GRADSCHOOL_REQUIRE_WGPU is set, and there is no device: {error}")
        pytest.skip(f"no wgpu device: {error.message}")
    yield backend
    backend.close()
