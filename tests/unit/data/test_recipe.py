"""What a dataset holds follows from its recipe, and what is wrong with a recipe is told before any text is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.base.errors import ConfigError, GnomonError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
from gnomon.data.recipe import OPTIONS, Recipe

PLACES = {"name", "root", "workers", "engine", "keep_blocks", "slurm", "prepared"}
"""Where things lie, and who makes them."""
BY_CONTENT = {"train", "sources", "validation", "decontaminate.against", "dedup.embedder", "domain_classifier"}
"""In the recipe as what they are, not as where they lie."""


def keys(said: dict[str, Any]) -> set[str]:
    return {f"{k}.{inner}" for k, v in said.items() if isinstance(v, dict) for inner in v} | {
        k for k, v in said.items() if not isinstance(v, dict)
    }


def corpus(folder: Path, **data: Any) -> DataConfig:
    """A config of one source in two folders, whose files have one name."""
    for part in "xy":
        (folder / "st" / part).mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"text": f"{part} says {i} of {i * i % 17} and {i * 7 % 11} again"}) for i in range(40)]
        (folder / "st" / part / "a.jsonl").write_text("\n".join(lines) + "\n")
    said = {"sources": [{"paths": [str(folder / "st")], "name": "s"}], "root": str(folder / "datasets"), "name": "s"}
    return DataConfig.model_validate(said | {"dedup": {"near": None}} | data)


def recipe(data: DataConfig) -> str:
    return Recipe.of(data, TokenizerConfig(), 384, silent).digest


def test_every_option_decides_or_says_where_things_lie(tmp_path: Path) -> None:
    data = corpus(tmp_path, slurm={})
    every = {key for key in keys(data.model_dump()) if not key.startswith("slurm.")}
    decides = keys(data.model_dump(include=OPTIONS))
    assert every - decides == (PLACES - {"slurm"}) | BY_CONTENT
    assert not decides & (PLACES | BY_CONTENT)


def test_what_a_rule_sees_of_a_path_is_in_the_recipe(tmp_path: Path) -> None:
    domains = [{"domain": "ex", "path": "x/*"}]
    whole = corpus(tmp_path, domains=domains, root=str(tmp_path / "one"))
    parts = [str(tmp_path / "st" / part / "a.jsonl") for part in "xy"]
    named = whole.model_copy(update={"root": str(tmp_path / "two")})
    named = named.model_copy(update={"sources": [whole.sources[0].model_copy(update={"paths": parts})]})
    one, two = (prepare(data, TokenizerConfig(), 384, silent) for data in (whole, named))
    assert {"s", "s/ex"} == set(one.sources("train"))
    assert (one.manifest["recipe"], one.digest) == (two.manifest["recipe"], two.digest)


def test_another_library_of_languages_makes_another_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, asked = corpus(tmp_path), corpus(tmp_path, clean={"languages": []})
    found = []
    for version in ("0.4", "0.5"):
        monkeypatch.setattr("gnomon.data.recipe.identifier", lambda version=version: f"py3langid {version}")
        found.append((recipe(plain), recipe(asked)))
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]


@pytest.mark.parametrize("weights", [{"s/xe": 1.0}, {"s/ex": 1.0, "s/no": 1.0}])
def test_a_weight_of_no_text_is_refused(tmp_path: Path, weights: dict[str, float]) -> None:
    data = corpus(tmp_path, domains=[{"domain": "ex", "path": "x/*"}])
    with pytest.raises(ConfigError) as caught:
        prepare(data, TokenizerConfig(sample_weights=weights), 384, silent)
    assert caught.value.where == "tokenizer.sample_weights"


def test_a_dataset_does_not_lie_in_its_own_text(tmp_path: Path) -> None:
    data = corpus(tmp_path, root=str(tmp_path), name="st")
    with pytest.raises(ConfigError, match="would lie in its own text"):
        prepare(data, TokenizerConfig(), 384, silent)
    assert sorted(p.name for p in (tmp_path / "st").iterdir()) == ["x", "y"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"domains": [{"domain": "z", "source": "t"}]},
        {"domain_classifier": "none.bin"},
        {"dedup": {"semantic": 0.9, "embedder": "./none"}},
        {"decontaminate": {"against": ["none.jsonl"]}},
    ],
)
def test_what_cannot_be_is_told_before_the_text_is_read(tmp_path: Path, wrong: dict[str, Any]) -> None:
    def told(stage: str, done: int, total: int | None, unit: str) -> None:
        raise AssertionError(f"{stage} came before the error")

    with pytest.raises(GnomonError):
        Recipe.of(corpus(tmp_path, **wrong), TokenizerConfig(), 384, told)
