"""Near duplicates: shingle sets against plain Python, bands against their curve, clusters against the truth."""

import random
import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.base import words as words_module
from gnomon.base.errors import ConfigError, DataError
from gnomon.data.duplicates import minhash, near
from gnomon.data.duplicates.minhash import EMPTY, Bands, Shingles, band_hashes, bands_for, shingle_sets
from gnomon.data.duplicates.near import candidates, clusters, components, jaccard, merge, verify

WORD = re.compile(r"[\u3040-\u9fff]|[0-9a-z\u00c0-\u1fff\u2c00-\u2fff\ua000-\U0010ffff]+")
LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

LETTERS = "aAbZ09 ,.\n_\x00\x7f\x80\xbf\xc0\u1fff\u2000\u2019\u2bff\u2c00\u2fff\u3000\u303f\u3040\u9fff\ua000"
LETTERS += "\ud800\uffff\U0001f600"
texts_of_all_kinds = st.lists(st.text(st.sampled_from(LETTERS), max_size=60) | st.text(), max_size=6)
few_words = st.lists(st.lists(st.sampled_from(["a", "B", "internationalisation", "語"]), max_size=9).map(" ".join))


def slow_shingles(text: str) -> list[tuple[str, ...]]:
    words = WORD.findall(text.translate(LOWER))
    return [tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))] if words else []


def shingle_hashes(texts: list[str]) -> Shingles:
    """The hashes of each text's shingles, in their order, repeats included."""
    return Shingles.joined(list(minhash._hashed_pieces(texts)))


def slow_jaccard(a: str, b: str) -> float:
    left, right = set(slow_shingles(a)), set(slow_shingles(b))
    return len(left & right) / max(1, len(left | right))


def sentences(count: int, words: int, seed: int) -> list[list[str]]:
    draw = random.Random(seed)
    return [[f"w{draw.randrange(50_000)}" for _ in range(words)] for _ in range(count)]


def planted(seed: int) -> list[str]:
    """Texts, and copies of half of them with a word in 4 to 400 changed, left out or put in."""
    draw, texts = random.Random(seed), []
    for words in sentences(400, 150, seed):
        texts.append(" ".join(words))
        if len(texts) % 3 == 1:
            rate, changed = draw.choice([1 / 400, 1 / 60, 1 / 30, 1 / 15, 1 / 4]), list[str]()
            for word in words:
                new = f"n{draw.randrange(50_000)}"
                kinds = ([new], [], [word, new], [word.upper() + "!"])
                changed += draw.choice(kinds) if draw.random() < rate else [word]
            texts.append(" ".join(changed))
    return texts


@given(texts_of_all_kinds | few_words)
@example(["ab", "a b", "a b ", "longer-than-eight longerthaneight", "longer than eight", "x" * 9 + "y", "x" * 9 + "z"])
@example(["漢字kana漢", "“quoted” words—and dashes", "quoted words and dashes", "", "...", "a b c d e", "a b c d"])
@example([" ".join(f"a{letter}b {letter}{letter}" for letter in LETTERS)])
@example(
    ["12345678abcdefghABCDEFGH1", "12345678ABCDEFGHabcdefgh1", "12345678stuvwxyzabcdefgh1", "12345678abcdefghstuvwxyz1"]
)
@settings(max_examples=60, deadline=None)
def test_shingles_equal_those_of_plain_python(texts: list[str]) -> None:
    hashes, sets, slow = shingle_hashes(texts), shingle_sets(texts), [slow_shingles(t) for t in texts]
    assert len(hashes) == len(sets) == len(texts)
    names = {h: s for i, t in enumerate(slow) for h, s in zip(hashes[i].tolist(), t, strict=True)}
    assert len(set(names.values())) == len(names)  # one hash for one shingle, whatever stands around it
    for i, shingles in enumerate(slow):
        assert [names[h] for h in hashes[i].tolist()] == shingles
        assert sets[i].tolist() == sorted({h for h, s in names.items() if s in shingles})


def test_a_hash_is_what_it_was_in_every_release() -> None:
    texts = ["The quick brown fox jumps over the lazy dog, internationally.", "Two words", "—"]
    assert shingle_sets(texts).values[::4].tolist() == [1166116260230707, 4139357577504333]
    assert band_hashes(texts, Bands(1, 3)).ravel().tolist() == [
        11716503480306316449,
        10541566269064363136,
        18446744073709551615,
    ]


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(0, 12))
@example([0] * 12 + [1], 0)
@settings(max_examples=40, deadline=None)
def test_a_text_has_the_same_hashes_in_any_company_and_piece_size(lengths: list[int], cut: int) -> None:
    texts = [" ".join(f"w{i * 31 % 17}é" for i in range(n)) for n in lengths]
    whole = band_hashes(texts, Bands(3, 2)), shingle_hashes(texts)
    apart = np.concatenate([band_hashes(part, Bands(3, 2)) for part in (texts[:cut], texts[cut:])])
    assert np.array_equal(whole[0], apart)
    for size in (5, 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(minhash, "PIECE_BYTES", size)
            patch.setattr(words_module, "SLICE_BYTES", 2 * size)
            small = band_hashes(texts, Bands(3, 2)), shingle_hashes(texts)
        assert np.array_equal(whole[0], small[0])
        assert np.array_equal(whole[1].values, small[1].values) and np.array_equal(whole[1].offsets, small[1].offsets)
    assert [bool((row == EMPTY).all()) for row in whole[0]] == [n == 0 for n in lengths]


def test_equal_sets_have_equal_bands_whatever_case_punctuation_and_repeats() -> None:
    words = sentences(1, 40, 0)[0]
    text = " ".join(words)
    same = band_hashes([text, "«" + text.upper() + "!»", " ".join(words * 2), " — ".join(words * 3)], Bands(10, 11))
    assert np.array_equal(same[0], same[1]) and np.array_equal(same[2], same[3])
    assert len(np.unique(same[0])) == 10


@pytest.mark.parametrize("shared", [60, 130, 161, 180])
def test_pairs_become_candidates_as_often_as_the_curve_says(shared: int) -> None:
    left, other = sentences(500, 200, shared), sentences(500, 200, shared + 1)
    right = [a[: shared + 4] + b[shared + 4 :] for a, b in zip(left, other, strict=True)]
    texts = [" ".join(words) for words in left + right]
    true = jaccard(np.stack([np.arange(500), np.arange(500, 1000)], axis=1), shingle_sets(texts))
    for bands in (bands_for(0.5), bands_for(0.7), Bands(14, 8), Bands(112, 1)):
        hashes = band_hashes(texts, bands)
        met = (hashes[:500] == hashes[500:]).any(1).mean()
        chance = np.mean([bands.chance(value) for value in true])
        assert abs(met - chance) < 3.5 * np.sqrt(chance * (1 - chance) / 500) + 1e-9


def test_bands_for_a_threshold_find_at_least_97_percent_there_within_112_minima() -> None:
    for threshold in np.arange(0.2, 1.001, 0.01):
        bands = bands_for(float(min(threshold, 1)))
        assert bands.chance(threshold) >= 0.97 and bands.count * bands.rows <= 112
    for bad in (0.0, 0.19, 1.01, float("nan")):
        with pytest.raises(ConfigError, match="cannot be found"):
            bands_for(bad)


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_planted_duplicates_are_found_and_nothing_else(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = planted(3)
    slow = [set(slow_shingles(text)) for text in texts]
    every = ((i, j) for i in range(len(texts)) for j in (i + 1,) if j < len(texts))
    true = {(i, j): slow_jaccard(texts[i], texts[j]) for i, j in every if slow[i] & slow[j]}
    wanted = {pair for pair, value in true.items() if value >= threshold}
    monkeypatch.setattr(near, "BATCH_CHARACTERS", 5000)
    found = clusters(texts, threshold)
    pairs = {(a, b): value for (a, b), value in zip(found.pairs.tolist(), found.jaccard.tolist(), strict=True)}
    assert pairs.keys() <= wanted and len(pairs) >= 0.97 * len(wanted) > 50
    assert all(value == true[pair] >= threshold for pair, value in pairs.items())
    assert found.clusters == [list(pair) for pair in pairs]
    assert set(found.seen[found.seen >= threshold].tolist()) == set(pairs.values())


@given(st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_another_order_of_the_texts_gives_the_same_clusters(draw: random.Random) -> None:
    texts = [*planted(4)[:150], *(f"the same start for all of x{i % 7}" for i in range(40))]
    order = list(range(len(texts)))
    draw.shuffle(order)
    shuffled = clusters([texts[i] for i in order], 0.5)
    back = sorted(sorted(order[i] for i in cluster) for cluster in shuffled.clusters)
    assert back == clusters(texts, 0.5).clusters


@given(st.lists(st.sets(st.integers(0, 7), max_size=8), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_jaccard_equals_that_of_python_sets(sets: list[set[int]], data: st.DataObject) -> None:
    row = st.integers(0, len(sets) - 1)
    pairs = data.draw(st.lists(st.tuples(row, row), max_size=30))
    counts = [0, *np.cumsum([len(s) for s in sets]).tolist()]
    flat = Shingles(np.array([v << 40 for s in sets for v in sorted(s)], np.uint64), np.array(counts, np.int64))
    true = [len(sets[a] & sets[b]) / max(1, len(sets[a] | sets[b])) for a, b in pairs]
    array = np.array(pairs, np.int64).reshape(-1, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "BLOCK_HASHES", data.draw(st.sampled_from([1, 40, 1000])))
        patch.setattr(near, "BLOCK_PAIRS", data.draw(st.sampled_from([1, 3, 4096])))
        assert jaccard(array, flat).tolist() == true
        kept, values = verify(array, flat, 0.5)
    assert kept.tolist() == [list(p) for p, v in zip(pairs, true, strict=True) if v >= 0.5]
    assert values.tolist() == [v for v in true if v >= 0.5]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, 2**64 - 1]), st.integers(0, 3)), max_size=60), st.booleans())
@example([(1, 0)] * 10, True)
@settings(max_examples=80, deadline=None)
def test_candidates_of_a_band_agree_in_it_and_a_small_group_has_all(rows: list[tuple[int, int]], own: bool) -> None:
    hashes, beside = np.array(rows, np.uint64).reshape(-1, 2).T
    documents = np.arange(len(rows)) * 3 + 5 if own else None
    found = merge([candidates(hashes, beside, documents)] * 2).tolist()
    number = np.arange(len(rows)) if documents is None else documents
    row_of = {int(n): i for i, n in enumerate(number)}
    assert found == sorted(found) and len({tuple(p) for p in found}) == len(found)
    assert all(a < b and hashes[row_of[a]] == hashes[row_of[b]] != EMPTY for a, b in found)
    for value in (1, 2, 3):
        group = np.flatnonzero(hashes == value)
        inside = [p for p in found if hashes[row_of[p[0]]] == value]
        if len(group) <= near.WINDOW + 2:
            assert len(inside) == len(group) * (len(group) - 1) // 2
        else:
            assert len(inside) <= len(group) * (near.WINDOW + 1)
            label = components(len(rows), np.array([[row_of[a], row_of[b]] for a, b in inside]))
            assert len(set(label[group].tolist())) == 1


def test_in_a_large_group_those_that_agree_in_a_second_band_are_paired() -> None:
    found = candidates(np.ones(400, np.uint64), np.arange(400, dtype=np.uint64) % 200)
    assert {(i, i + 200) for i in range(200)} <= set(map(tuple, found.tolist())) and len(found) <= 400 * 9


def slow_components(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    label = list(range(count))
    for _ in range(count):
        for a, b in pairs:
            label[a] = label[b] = min(label[a], label[b])
    return label


@given(st.data(), st.integers(1, 25))
@settings(max_examples=100, deadline=None)
def test_components_equal_those_found_by_going_round(data: st.DataObject, count: int) -> None:
    node = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=40))
    assert components(count, np.array(pairs, np.int64).reshape(-1, 2)).tolist() == slow_components(count, pairs)


def test_components_of_long_chains_and_stars_equal_those_of_scipy() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    count = 20_000
    order = np.random.default_rng(0).permutation(count)
    chain = np.stack([order[:-1], order[1:]], axis=1)
    star = np.stack([np.full(count - 1, count - 1), np.arange(count - 1)], axis=1)
    drawn = np.random.default_rng(1).integers(0, count, (count, 2))
    for pairs in (chain, star, drawn, drawn[: count // 3]):
        graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (count, count))
        theirs = sparse.csgraph.connected_components(graph, directed=False)[1]
        smallest = np.full(count, count)
        np.minimum.at(smallest, theirs, np.arange(count))
        assert np.array_equal(components(count, pairs), smallest[theirs])


def test_texts_that_change_between_the_readings_are_an_error() -> None:
    class Growing:
        count = 1

        def __iter__(self) -> Iterator[str]:
            self.count += 1
            return iter(["some words that stand here"] * self.count)

    with pytest.raises(DataError, match="changed between two readings: 2, then 3"):
        clusters(Growing())
