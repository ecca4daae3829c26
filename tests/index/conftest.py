"""What the tests of the native kernels share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shortlist import kernels
from shortlist.errors import ConfigError


@pytest.fixture(params=["avx512", "avx2", "portable"])
def instructions(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this processor has, while the test runs."""
    try:
        kernels.use_kernels(request.param)
    except ConfigError as error:
        pytest.skip(str(error))
    yield request.param
    kernels.use_kernels()
