"""A config that names a world: its files are there before the text is read, and its settings are those of the verb."""

from dataclasses import asdict
from pathlib import Path

import pytest

from gnomon.base.errors import ConfigError
from gnomon.config.load import load_config
from gnomon.config.world import WorldConfig
from gnomon.data.world.settings import Settings
from gnomon.observe.console import Console
from gnomon.pipeline import prepare_data


def test_options_are_the_settings_of_a_world() -> None:
    assert WorldConfig(folder="worlds/first").model_dump(exclude={"folder"}) == asdict(Settings())


def test_text_is_the_worlds_own_and_another_world_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    written = tmp_path / "world.json"
    written.write_text(
        f'{{"worlds": [{{"folder": "{folder}", "entities": 40, "questions": 60, "held_out": 30}}], "size": "1M",'
        f' "data": {{"root": "{tmp_path}/datasets", "workers": 1, "sources": [{{"paths": "{folder}/documents.jsonl"}},'
        f' {{"paths": "{folder}/shown_train.jsonl", "form": "questions"}}]}}}}'
    )
    dataset = prepare_data(load_config(written), Console(quiet=True))
    lines = len((folder / "documents.jsonl").read_text().splitlines())
    documents = dataset.sources("train")["documents"].documents + dataset.sources("validation")["documents"].documents
    assert documents == lines
    other = tmp_path / "other.json"
    other.write_text(written.read_text().replace('"entities": 40', '"entities": 40, "seed": 2'))
    with pytest.raises(ConfigError, match="another world: seed"):
        prepare_data(load_config(other), Console(quiet=True))
