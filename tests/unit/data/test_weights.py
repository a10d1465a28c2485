"""The weights a run begins with: as asked for, within what each source may give, and refused where they cannot be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError
from gnomon.config import MixConfig, make_config
from gnomon.data.streaming.mix import BLOCK_ROWS, PARTS, Mix
from gnomon.data.streaming.weights import planned_weights

TOKENS = {"books": 900_000, "code": 90_000, "letters": 10_000}


def planned(rows: int = 10_000, **mix: Any) -> tuple[list[tuple[int, dict[str, int]]], str]:
    return planned_weights(MixConfig(**mix), TOKENS, rows, 100)


def test_by_tokens_nothing_is_planned_and_the_reason_counts_the_epochs() -> None:
    stages, why = planned(20_000)
    assert stages == []
    assert why == (
        "by the tokens of each source; books: 90.0%, 2.0 epochs; code: 9.0%, 2.0 epochs; letters: 1.0%, 2.0 epochs"
    )


@pytest.mark.parametrize(
    ("mix", "shares"),
    [
        ({"weights": {"books": 3, "code": 1}}, [0.75, 0.25, 0]),
        ({"temperature": 2.0}, [0.7034, 0.2224, 0.0742]),
        ({"temperature": 1e9}, [1 / 3, 1 / 3, 1 / 3]),
        ({"weights": {"books": 1, "code": 1}, "max_epochs": {"code": 2}}, [0.82, 0.18, 0]),
        ({"rebalance": "loss"}, [0.9, 0.09, 0.01]),
    ],
)
def test_shares_are_those_that_were_asked_for(mix: dict[str, Any], shares: list[float]) -> None:
    ((at, parts),), _ = planned(**mix)
    assert at == 0 and sum(parts.values()) == PARTS
    assert [part / PARTS for part in parts.values()] == pytest.approx(shares, abs=2e-4)


def test_a_schedule_changes_them_on_the_way() -> None:
    stages, why = planned(weights={"books": 1}, schedule=[(0.5, {"code": 1, "letters": 1})])
    assert stages == [(0, {"books": PARTS, "code": 0, "letters": 0}),
                      (5120, {"books": 0, "code": PARTS // 2, "letters": PARTS // 2})]  # fmt: skip
    assert "books: 51.2%, 0.6 epochs; code: 24.4%, 2.7 epochs; letters: 24.4%, 24.4 epochs" in why, "by blocks of 256"


@given(
    weights=st.dictionaries(st.sampled_from(list(TOKENS)), st.floats(0.01, 100), min_size=1),
    limits=st.dictionaries(st.sampled_from(list(TOKENS)), st.floats(0.1, 50)),
    rows=st.integers(100, 10**6),
    later=st.booleans(),
)
def test_no_source_is_read_more_often_than_it_may_be(
    weights: dict[str, float], limits: dict[str, float], rows: int, later: bool
) -> None:
    schedule = [(0.3, dict.fromkeys(TOKENS, 1.0))] if later else []
    try:
        stages, _ = planned(rows, weights=weights, max_epochs=limits, schedule=schedule)
    except ConfigError:
        assert sum(limits.get(name, 1e9) * TOKENS[name] / 100 for name in TOKENS if name in weights) < rows + 4 or later
        return
    ends = [*(at for at, _ in stages[1:]), rows]
    mix = Mix([(at, tuple(parts.values())) for at, parts in stages], 0)
    served = dict(zip(TOKENS, mix.counts(rows // BLOCK_ROWS * BLOCK_ROWS).tolist(), strict=True))
    for name, epochs in limits.items():
        assert served[name] <= epochs * TOKENS[name] / 100 or not served[name]
        given_ = sum(parts[name] * (end - at) / PARTS for (at, parts), end in zip(stages, ends, strict=True))
        assert given_ + 1 <= epochs * TOKENS[name] / 100 + 1e-6 or given_ == 0
    assert all(sum(parts.values()) == PARTS for _, parts in stages)


@pytest.mark.parametrize(
    ("mix", "said", "where"),
    [
        ({"weights": {"boks": 1}}, "there is no source 'boks'", "mix.weights"),
        ({"schedule": [(0.5, {"x": 1})]}, "there is no source 'x'", "mix.schedule.0"),
        ({"max_epochs": {"x": 1}}, "there is no source 'x'", "mix.max_epochs"),
        ({"reference": {"x": 1}}, "there is no source 'x'", "mix.reference"),
        ({"max_epochs": 0.5}, "the sources give 4,997 rows by mix.max_epochs, and 10,000 are to be read", None),
    ],
)
def test_names_that_no_source_has_and_too_little_text_are_refused(
    mix: dict[str, Any], said: str, where: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(**mix)
    assert said in caught.value.what and where in (None, caught.value.where)


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        ({"weights": {"a": -1}}, "the weight of 'a' is -1.0"),
        ({"weights": {"a": float("nan")}}, "mix.weights.a: the number is too large, or none"),
        ({"weights": {"a": 0}}, "no source has a weight above 0"),
        ({"schedule": [[0.5, {}]]}, "no source has a weight above 0"),
        ({"schedule": [[0.5, {"a": 1}], [0.5, {"b": 1}]]}, "must rise"),
        ({"weights": {"a": 1}, "temperature": 2}, "exclude each other"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"max_epochs": -1}, "max_epochs must be above 0"),
    ],
)
def test_a_config_whose_mixture_cannot_be_meant_is_refused(mix: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_config({"data": "texts", "mix": mix})
