"""Static vectors: the same bits whatever the order of sums, texts and batches; what they mean against plain floats."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.base import words as words_module
from gnomon.base.errors import IntegrityError
from gnomon.base.words import word_hashes
from gnomon.embed import learn, static
from gnomon.embed.embedder import UNIT, cosines, to_units
from gnomon.embed.exact import orthonormal, rounded
from gnomon.embed.static import StaticEmbedder

TOPICS = [[f"{letter}{i}" for i in range(40)] for letter in "abcd"]


def told(seed: int, topic: int, words: int = 30) -> str:
    draw = random.Random(f"{seed}/{topic}")
    return " ".join(
        draw.choice(TOPICS[topic] if draw.random() < 0.7 else ["the", "of", "and", "to"]) for _ in range(words)
    )


CORPUS = [told(seed, seed % 4) for seed in range(400)]


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder.learned(CORPUS)


def test_the_vectors_are_what_they_were_in_every_release_on_every_machine(embedder: StaticEmbedder) -> None:
    assert embedder.digest[:16] == "ac6879e6b0dd80fb"
    assert StaticEmbedder.learned(random.Random(1).sample(CORPUS, len(CORPUS))).digest == embedder.digest


def test_sums_in_another_order_give_the_same_bits() -> None:
    draw = np.random.default_rng(0)
    matrix = np.where(draw.random((300, 90)) < 0.3, draw.integers(1, 32, (300, 90)), 0).astype(np.uint8)
    order = draw.permutation(300)
    assert np.array_equal(learn._directions(matrix)[order], learn._directions(matrix[order]))
    columns = rounded(draw.normal(size=(20, 500)))
    reversed_ = orthonormal(columns[:, ::-1])[:, ::-1]
    assert np.array_equal(orthonormal(columns), reversed_) and np.abs(reversed_ @ reversed_.T - np.eye(20)).max() < 1e-9


def test_directions_are_those_of_singular_vectors() -> None:
    draw = np.random.default_rng(1)
    matrix = (draw.random((200, 8)) @ draw.random((8, 64)) * 6 + draw.random((200, 64))).astype(np.uint8)
    left = np.linalg.svd(matrix.astype(float), full_matrices=False)[0][:, :8]
    found = learn._directions(matrix)
    assert np.linalg.svd(left.T @ found[:, :8])[1].min() > 0.98  # the same space, each direction of length 1
    assert not found[:, 8:].any()


def test_a_basis_leaves_out_what_is_there_already() -> None:
    columns = np.array([[3.0, 0, 4], [6, 0, 8], [0, 0, 0], [0, 2, 0]])
    assert np.allclose(orthonormal(columns), [[0.6, 0, 0.8], [0, 0, 0], [0, 0, 0], [0, 1, 0]])


def slow_vector(embedder: StaticEmbedder, text: str) -> np.ndarray:
    known = dict(
        zip(embedder.words.keys.tolist(), zip(embedder.words.weights, embedder.words.vectors, strict=True), strict=True)
    )
    found = [0] * embedder.width
    hashes = [h >> 12 for h in word_hashes([text.encode()])[0].tolist()]
    for word in set(hashes):
        times = hashes.count(word).bit_length()
        weight, vector = known.get(word, (1.0, np.zeros(learn.WIDTH, int)))
        for i, value in enumerate(vector.tolist()):
            found[i] += times * value
        amount, mixed = times * round(weight * (static.PLAIN / np.sqrt(2) * 511)), word * 0x9E3779B97F4A7C15 % 2**64
        for _ in range(2):
            mixed = (mixed ^ mixed >> 32) * 0x9E3779B97F4A7C15 % 2**64
            found[learn.WIDTH + (mixed >> 57)] += amount if mixed >> 56 & 1 else -amount
    length = sum(value * value for value in found) ** 0.5
    return np.rint(np.array(found) * (UNIT / length)).astype(int) if length else np.zeros(embedder.width, int)


texts_of_words = st.lists(
    st.lists(st.sampled_from([*TOPICS[0][:5], "the", "neu", "漢字", "...", "zz9"]), max_size=40).map(" ".join),
    max_size=7,
)


@given(texts_of_words, st.integers(0, 7))
@settings(max_examples=25, deadline=None)
def test_a_text_has_the_same_vector_in_any_company(embedder: StaticEmbedder, texts: list[str], cut: int) -> None:
    whole = embedder.embed(texts)
    assert np.array_equal(whole, np.concatenate([embedder.embed(texts[:cut]), embedder.embed(texts[cut:])]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static, "PIECE_BYTES", 20)
        patch.setattr(static, "EXACT_WORDS", 3)
        patch.setattr(words_module, "SLICE_BYTES", 8)
        assert np.array_equal(whole, embedder.embed(texts))
    for text, vector in zip(texts, whole, strict=True):
        assert np.array_equal(vector, slow_vector(embedder, text))


def test_texts_of_one_topic_are_alike_without_a_common_word(embedder: StaticEmbedder) -> None:
    left = [" ".join(words[:20]) for words in TOPICS]
    right = [" ".join(words[20:]) for words in TOPICS]
    products = embedder.embed(left).astype(int) @ embedder.embed(right).astype(int).T / UNIT**2
    assert products.diagonal().min() > np.where(np.eye(4), -1, products).max() + 0.05


def test_vectors_have_one_length_and_equal_ones_the_cosine_1(embedder: StaticEmbedder) -> None:
    vectors = embedder.embed([*CORPUS[:50], ""]).astype(np.int64)
    squares = (vectors * vectors).sum(axis=1)
    assert squares[-1] == 0 and np.abs(squares[:-1] / UNIT**2 - 1).max() < 0.003
    assert (cosines(squares, squares, squares)[:-1] == 1).all() and cosines(squares, squares, squares)[-1] == 0
    assert to_units(np.array([[3, 4], [0, 0]])).tolist() == [[1229, 1638], [0, 0]]


def test_vectors_come_back_from_their_file_and_a_damaged_one_is_told(tmp_path: Path, embedder: StaticEmbedder) -> None:
    embedder.save(path := tmp_path / "words.safetensors")
    again = StaticEmbedder.load(path)
    assert again.digest == embedder.digest and np.array_equal(again.embed(CORPUS[:5]), embedder.embed(CORPUS[:5]))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(IntegrityError, match="no file of word vectors"):
        StaticEmbedder.load(path)


def test_of_no_text_or_no_frequent_word_nothing_is_learned_and_words_count_as_themselves() -> None:
    for texts in ([], ["one of each"]):
        vectors = StaticEmbedder.learned(texts).embed(["red house", "house red", "blue sea", "..."]).astype(int)
        assert np.array_equal(vectors[0], vectors[1]) and not vectors[3].any()
        assert abs(vectors[0] @ vectors[2]) < 0.8 * UNIT**2
