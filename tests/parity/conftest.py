"""One small trained model for all parity tests."""

import pytest

from gnomon.bundle import Bundle
from tests.world import taught_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model that has learned something, so that its logits have peaks."""
    return taught_bundle(tmp_path_factory.mktemp("taught"))
