"""The examples that users are shown: each is a config of today, and what it names is there."""

from pathlib import Path

import pytest

from gnomon.config.load import load_config

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_a_config_whose_files_are_there_or_made_by_it(path: Path) -> None:
    config = load_config(path)
    made = tuple(f"{world.folder}/" for world in config.worlds)
    named = [name for source in config.data.named for name in source.paths] + config.heads.measured.questions
    assert named and all((ROOT / name).exists() or name.startswith(made) for name in named)
    assert len({source.name for source in config.data.named}) == len(config.data.named)
