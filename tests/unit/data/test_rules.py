"""What each family of rules removes and says, and what may be asked of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError
from gnomon.data.cleaning.quality import SCORES, measure
from gnomon.data.cleaning.rules import FAMILIES, PRESETS, Broken, choose, judge

_drawn = np.random.default_rng(3)
_letters = _drawn.choice(list("abcdefghijklmnopqrstuvwxyz"), (900, 6))


def sentences(count: int, words: int, end: str) -> list[str]:
    """Sentences of made-up words and, in the longer ones, two stop words."""
    drawn = ["".join(_letters[i]) for i in _drawn.integers(0, 900, count * words)]
    stops = " and that " if words > 4 else " "
    return [" ".join(drawn[i : i + words]) + stops + str(i) + end for i in range(0, count * words, words)]


PROSE = "\n\n".join(", then ".join(sentences(2, 8, "")) + "." for _ in range(30))
EVERY_RULE = choose(FAMILIES)


def first_broken(text: str, *names: str) -> str | None:
    (verdict,) = judge(measure([text]), choose(names))
    return verdict.rule.name if verdict else None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("too short", "gopher-quality.min_words"),
        ("# " * 90 + PROSE, "gopher-quality.max_hashes_per_word"),
        (PROSE.replace("\n\n", "\n- "), "gopher-quality.max_bullet_lines"),
        ("so it goes on and to...\n" * 40, "gopher-quality.max_ellipses_per_word"),
        ("elle ne savait rien " * 20, "gopher-quality.min_stop_words"),
        (PROSE + "\n\nBuy this and that." * 20, "gopher-repetition.max_duplicate_lines"),
        (PROSE + " cat dog" * 200, "gopher-repetition.max_top_2gram"),
        (PROSE + "\nLorem Ipsum", "c4.max_lorem_ipsum"),
        (PROSE + "\nif (x) { y }", "c4.max_curly_brackets"),
        (PROSE.replace("\n", " ").replace(".", ";"), "c4.min_sentences"),
        (PROSE.replace(".", "").replace(",", "\n"), "c4.min_sentences"),
        ("\n".join([PROSE, *sentences(300, 3, "")]), "fineweb.min_terminal_lines"),
        ("\n".join([PROSE, *sentences(90, 2, ".")]), "fineweb.max_short_lines"),
    ],
)
def test_a_text_of_each_bad_kind_is_removed_by_the_rule_for_it(text: str, rule: str) -> None:
    assert first_broken(PROSE, "web") is None
    assert first_broken(text, "web") == rule
    family = rule.split(".")[0]
    assert first_broken(text, *(f for f in FAMILIES if f != family)) != rule


def test_nothing_is_removed_unless_rules_are_asked_for() -> None:
    assert choose([]) == ()
    assert judge(measure(["", "x"]), ()) == [None, None]


@given(st.lists(st.lists(st.floats(0, 200, width=32), min_size=len(SCORES), max_size=len(SCORES)), max_size=4))
def test_the_verdict_is_the_first_rule_in_order_that_is_broken(rows: list[list[float]]) -> None:
    scores = np.array(rows, np.float32).reshape(-1, len(SCORES))
    for row, verdict in zip(scores, judge(scores, EVERY_RULE), strict=True):
        of = dict(zip(SCORES, row, strict=True))
        limits = [(rule, of[rule.score], np.float32(rule.threshold)) for rule in EVERY_RULE]
        broken = [(r, v) for r, v, limit in limits if (v < limit if r.side == "min" else v > limit)]
        assert verdict == (Broken(*broken[0]) if broken else None)


def test_a_score_at_its_threshold_breaks_nothing() -> None:
    scores = np.zeros((1, len(SCORES)), np.float32)
    for rule in EVERY_RULE:
        scores[0, list(SCORES).index(rule.score)] = rule.threshold
        assert judge(scores, [rule]) == [None]


def test_every_threshold_can_be_changed_by_name() -> None:
    for rule in EVERY_RULE:
        changed = choose([rule.family], {rule.name: 7.5})
        assert {r.name: r.threshold for r in changed if r.threshold == 7.5} == {rule.name: 7.5}
    (verdict,) = judge(measure(["one two three"]), choose(["gopher-quality"], {"gopher-quality.min_words": 4}))
    assert verdict and verdict.detail == "words 3 < 4"


@pytest.mark.parametrize(
    ("names", "thresholds", "says"),
    [
        (["gopher-qualty"], {}, "the nearest is gopher-quality"),
        (["c4"], {"c4.min_sentence": 3}, "the nearest is c4.min_sentences"),
        (["c4"], {"fineweb.max_short_lines": 0.5}, "not asked for"),
        (["c4"], {"c4.min_sentences": float("nan")}, "is nan"),
    ],
)
def test_what_cannot_be_meant_is_a_config_error(names: list[str], thresholds: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        choose(names, thresholds)


def test_every_rule_is_about_a_score_and_has_a_name_of_its_own() -> None:
    assert len({rule.name for rule in EVERY_RULE}) == len(EVERY_RULE) == 30
    assert all(rule.score in SCORES and rule.side in ("min", "max") for rule in EVERY_RULE)
    assert {name for preset in PRESETS.values() for name in preset} <= set(FAMILIES)
    with pytest.raises(ConfigError, match="columns"):
        judge(np.zeros((2, 3), np.float32), EVERY_RULE)
