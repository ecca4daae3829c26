"""The devices that models can be trained on besides the CPU."""

from __future__ import annotations

import elsewhere
import pytest
import torch


@pytest.fixture(scope="session", params=["elsewhere", *["cuda"] * torch.cuda.is_available()])
def device(request: pytest.FixtureRequest) -> torch.device:
    """One that only says that it is another device, and a GPU where there is one."""
    return elsewhere.device() if request.param == "elsewhere" else torch.device("cuda", 0)
