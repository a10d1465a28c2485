"""What all tests share: a real llama.cpp, where there is one."""

import os

import pytest

from tests.clients.llama import LlamaCpp


@pytest.fixture(scope="session")
def llama_cpp() -> LlamaCpp:
    """A real llama.cpp. Without one the test is skipped with the line that installs it; in CI that is a failure."""
    found = LlamaCpp.find()
    if found is None:
        missing = "llama.cpp is not there: run scripts/install-llama-cpp.sh"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found
