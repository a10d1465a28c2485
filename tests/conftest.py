"""What every test may ask for: a real llama.cpp, and marks that say what a test needs."""

import os

import pytest
from hypothesis import settings

from tests.clients.llama import INSTALL, LlamaCpp

settings.register_profile("shared-machine", deadline=None, print_blob=True)
settings.load_profile("shared-machine")


@pytest.fixture(scope="session")
def llama_cpp() -> LlamaCpp:
    """A real llama.cpp. Without one the test is skipped, saying how to get it; where CI=true it fails."""
    found = LlamaCpp.find()
    if found is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say(f"no llama.cpp here; get one: {INSTALL}")
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no GPU."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))
