"""What a mixture needs: the weights' shares, the limits kept, and what is missing."""

import json
import random
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError, DataError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, MixConfig, TokenizerConfig, parse_tokens
from gnomon.data.prepare import prepare
from gnomon.data.streaming import needs as needs_module
from gnomon.data.streaming.needs import needs_of
from gnomon.data.supply import estimate_supply

LENGTH = 8


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(4_000, 400_000), min_size=1),
    st.integers(10_000, 2_000_000),
    st.one_of(st.none(), st.floats(0.5, 8)),
    st.booleans(),
)
def test_shares_make_the_whole_and_no_limit_is_passed(
    supply: dict[str, int], tokens: int, limit: float | None, same: bool
) -> None:
    mix = MixConfig(weights=dict.fromkeys(supply, 1.0) if same else {}, max_epochs=limit)
    found = needs_of(mix, supply, tokens, LENGTH)
    total = sum(supply.values())
    for need in found.sources:
        share = 1 / len(supply) if same else need.tokens / total
        assert need.wanted == pytest.approx(share * tokens, rel=1e-3, abs=2)
        assert need.epochs == pytest.approx(need.wanted / need.tokens, abs=1e-3)
        assert need.over == (limit is not None and need.wanted > limit * need.tokens)
    missing = 0 if limit is None else max(0, tokens - int(sum(limit * count for count in supply.values())))
    assert found.short == pytest.approx(missing, abs=1)
    given_ = [need.given for need in found.sources if need.given is not None]
    if given_:
        assert sum(given_) == pytest.approx(tokens, abs=len(supply) + 1)
        assert all(limit is None or g <= limit * n.tokens + 1 for g, n in zip(given_, found.sources, strict=True))
    else:  # too little, or but for the last rows
        assert limit is not None and sum(limit * n - 2 * LENGTH for n in supply.values()) <= tokens + LENGTH
    assert bool(found.remedy) >= any(need.over for need in found.sources)


def test_what_is_exactly_enough_is_no_shortage() -> None:
    weights, supply, limits = {"a": Fraction(1, 2), "b": Fraction(1, 2)}, {"a": 300, "b": 700}, {"a": 2.0, "b": 1.5}
    found = [needs_module._short(weights, supply, limits, tokens) for tokens in (1649, 1650)]
    assert found == [(0, ""), (0, "")]
    short, remedy = needs_module._short(weights, supply, limits, 1651)
    assert short == 1
    assert remedy.startswith("ask for 1,650 tokens at most, or add text: 1 tokens are missing")


def test_a_source_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="'b'"):
        needs_of(MixConfig(weights={"b": 1}), {"a": 100}, 1000, LENGTH)
    with pytest.raises(ConfigError, match="'b'"):
        needs_of(MixConfig(max_epochs={"b": 1}), {"a": 100}, 1000, LENGTH)


@pytest.mark.parametrize(
    ("text", "tokens"), [("50M", 50_000_000), ("2B tokens", 2 * 10**9), ("300", 300), ("1.5k", 1500)]
)
def test_an_amount_is_read(text: str, tokens: int) -> None:
    assert parse_tokens(text) == tokens


def config(folder: Path) -> DataConfig:
    sources = [{"name": name, "paths": str(folder / name)} for name in ("web", "few")]
    said = {"sources": sources, "root": str(folder / "datasets"), "dedup": {"near": None}, "name": "both"}
    return DataConfig.model_validate(said | {"domains": [{"domain": "odd", "field": "kind", "matches": "odd"}]})


def test_the_estimate_is_near_what_is_prepared(tmp_path: Path) -> None:
    rng = random.Random(2)
    words = ["".join(rng.choices("abcdefghij", k=rng.randrange(2, 9))) for _ in range(400)]
    for name, records in (("web", 1200), ("few", 100)):
        (tmp_path / name).mkdir()
        lines = [
            json.dumps({"text": " ".join(rng.choices(words, k=40)), "kind": "odd" if i % 4 == 0 else "even"})
            for i in range(records)
        ]
        for part in range(3):
            (tmp_path / name / f"{part}.jsonl").write_text("\n".join(lines[part::3]) + "\n")
    estimate = estimate_supply(config(tmp_path), TokenizerConfig(), 512, silent)
    dataset = prepare(config(tmp_path), TokenizerConfig(), 512, silent)
    assert estimate == {
        name: pytest.approx(split.n_tokens, rel=0.1) for name, split in dataset.sources("train").items()
    }


def test_a_source_without_text_is_named(tmp_path: Path) -> None:
    for name in ("web", "few"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jsonl").write_text('{"other": "x"}\n')
    with pytest.raises(DataError, match="can be used"):
        estimate_supply(config(tmp_path), TokenizerConfig(), 512, silent)
