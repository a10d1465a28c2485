"""What every test may ask for: a real llama.cpp, and marks that say what a test needs."""

import os

import pytest
from hypothesis import settings

from gnomon.base.machine import this_machine
from tests.clients.llama import INSTALL, LlamaCpp

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes, before it loads torch: the cores are all taken
    os.environ.setdefault("OMP_NUM_THREADS", "1")

PROCESSES = 8
"""The most that test at once: each holds 0.6 GB."""

settings.register_profile("shared-machine", deadline=None, print_blob=True)
settings.load_profile("shared-machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` is: one for each core that this process may use, up to PROCESSES."""
    return min(this_machine().cores, PROCESSES)


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
