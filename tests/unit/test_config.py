"""A config of four lines is enough; every mistake in one names its place and the way out."""

import json
from pathlib import Path

import pytest

from gnomon.base.errors import ConfigError
from gnomon.config import Config, load_config, make_config, parse_budget


def written(folder: Path, value: object) -> Path:
    path = folder / "c.json"
    path.write_text(json.dumps(value))
    return path


def test_four_lines_of_json_are_enough(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, {"data": "texts/", "size": "5M", "budget": "10m", "out": "runs/first"}))
    assert config.data.train == ["texts/"]
    assert config == make_config(config.model_dump())


def test_toml_and_overrides_say_the_same_as_json(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('size = "1M"\nbudget = "400K tokens"\nout = "r"\n[data]\ntrain = ["a", "b"]\n[train]\nlr = 1e-3\n')
    config = load_config(path, ["train.lr=3e-4", "data.name=x", 'prompts=["Hi"]', "budget=2h"])
    same = make_config(
        {
            "size": "1M", "budget": "2h", "out": "r", "prompts": ["Hi"],
            "data": {"train": ["a", "b"], "name": "x"}, "train": {"lr": 3e-4},
        }
    )  # fmt: skip
    assert config == same


def test_an_override_reaches_into_data_given_as_a_path(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, {"data": "texts/"}), ["data.validation_share=0.1"])
    assert (config.data.train, config.data.validation_share) == (["texts/"], 0.1)


@pytest.mark.parametrize(
    ("value", "says", "offers"),
    [
        ({"data": "t", "sise": "5M"}, "'sise'", "'size'"),
        ({"data": "t", "train": {"bacth_tokens": 1}}, "'train.bacth_tokens'", "'batch_tokens'"),
        ({"data": "t", "lr": 1}, "'lr'", "train.lr"),
        ({"size": "5M"}, "'data' is missing", "data"),
        ({"data": "t", "size": "6M"}, "unknown size '6M'", "config"),
        ({"data": "t", "budget": "ten"}, "neither a time", "config"),
        ({"data": "t", "train": {"lr": -1}}, "train.lr", "config"),
        ({"data": []}, '"train"', "config"),
        ({"data": {"sources": [{"paths": "t", "nmae": "x"}]}}, "'data.sources.0.nmae'", "'name'"),
        ({"data": {"train": "t", "sources": [{"paths": "t"}]}}, "both", "config"),
    ],
)
def test_a_mistake_names_its_place_and_the_nearest_right_word(
    tmp_path: Path, value: object, says: str, offers: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, value))
    assert says in caught.value.what
    assert offers in (caught.value.do or "")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.json", None, "there is no config file"),
        ("c.json", '{"data": }', "not valid JSON"),
        ("c.toml", "data = ", "not valid TOML"),
        ("c.json", "[1]", "one object"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=says):
        load_config(tmp_path / name)


@pytest.mark.parametrize("word", ["nonsense", "=3", "size.x=1"])
def test_an_override_that_cannot_be_meant_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError):
        load_config(written(tmp_path, {"data": "t", "size": "1M"}), [word])


@pytest.mark.parametrize("other", [{"exact": True}, {"compile": True}])
def test_what_full_sharding_cannot_do_is_refused(other: dict[str, bool]) -> None:
    make_config({"data": "t", "train": {"sharding": "optimizer", **other}})
    make_config({"data": "t", "train": {"sharding": "full"}})
    with pytest.raises(ConfigError, match=r"train: sharding=full .* sharding=optimizer or none"):
        make_config({"data": "t", "train": {"sharding": "full", **other}})


def test_budgets() -> None:
    assert parse_budget("90s") == ("seconds", 90)
    assert parse_budget("1.5h") == ("seconds", 5400)
    assert parse_budget("400K tokens") == ("tokens", 400_000)
    assert parse_budget("2B tokens") == ("tokens", 2e9)


def test_a_config_is_frozen() -> None:
    config: Config = make_config({"data": "t"})
    with pytest.raises(ValueError, match="frozen"):
        config.size = "1M"  # pyright: ignore[reportAttributeAccessIssue]
