"""Decontamination beside a plain account of it: words as strings, n-grams as tuples, documents one at a time."""

import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.contamination import words as words_module
from gnomon.data.contamination.decontaminate import EVIDENCE, SHORTEST, Hit, Index, apply, boilerplate
from gnomon.data.contamination.suites import Item, Part
from gnomon.data.contamination.words import chunks, words_of

QUICK = settings(max_examples=40)


def plain_words(text: str) -> list[str]:
    """Return the words of a text, the slow way."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    out: list[str] = []
    for c in folded:
        kind = unicodedata.category(c)
        if kind[0] == "M" or kind == "Cf":
            continue
        by_itself = kind[0] in "LN" and (
            "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" or "\U00020000" <= c <= "\U0003ffff"
        )
        out.append(f" {c} " if by_itself else c if kind[0] in "LN" else " ")
    return "".join(out).split()


def question(text: str, name: str = "1") -> Item:
    return Item("suite", name, (Part("question", text),))


def even(index: Index) -> np.ndarray:
    return index.counts([])


word = st.sampled_from(["a", "b", "Bc", "é", "ß", "ﬁx", "日", "本a", "x1", "İ", "½"])
gap = st.sampled_from([" ", "\n", ", ", " — ", "\u00a0", "…", " \t**", "\u200b"])
texts = st.lists(st.tuples(word, gap), max_size=30).map(lambda pairs: "".join(w + g for w, g in pairs))
strange = st.text(max_size=40)


@QUICK
@given(st.lists(texts | strange, min_size=1, max_size=6), st.integers(1, 60))
def test_words_are_those_of_the_plain_account_wherever_a_chunk_ends(many: list[str], size: int) -> None:
    known: dict[int, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_module, "CHUNK_CHARACTERS", size)
        for first, words in chunks(many):
            numbers = words.text_of(np.arange(len(words.hashes))) + first
            for number in range(first, first + len(words.begins) - 1):
                mine = np.flatnonzero(numbers == number)
                expected = plain_words(many[number])
                assert len(mine) == len(expected)
                for at, plain in zip(mine, expected, strict=True):
                    assert known.setdefault(int(words.hashes[at]), plain) == plain
                    begin = words.begins[number - first]
                    span = many[number][words.start[at] - begin : words.stop[at] - begin]
                    assert plain in plain_words(span)
    assert len(set(known.values())) == len(known)


@QUICK
@given(st.lists(texts, min_size=1, max_size=5), st.lists(texts, max_size=6), st.integers(2, 4))
def test_counts_are_those_of_sets_of_tuples(items: list[str], many: list[str], length: int) -> None:
    index = Index.build([question(text, str(n)) for n, text in enumerate(items)], length)
    flat = [w for target in index.targets for w in plain_words(target.text)]
    assert len(flat) == index.base[-1]
    grams = [tuple(flat[p : p + length]) for p in index.places[index.first[:-1]]]
    expected = {
        tuple(words[i : i + length])
        for words in map(plain_words, items)
        if len(words) >= length
        for i in range(len(words) - length + 1)
    }
    assert set(grams) == expected and len(grams) == len(expected)
    held = [{tuple(words[i : i + length]) for i in range(len(words) - length + 1)} for words in map(plain_words, many)]
    assert index.counts(many)[: len(grams)].tolist() == [sum(gram in one for one in held) for gram in grams]


@QUICK
@given(st.lists(texts, min_size=1, max_size=8), st.lists(texts, min_size=1, max_size=4), st.data())
def test_any_batching_gives_the_same_counts_and_hits(many: list[str], items: list[str], data: st.DataObject) -> None:
    index = Index.build([question(text, str(n)) for n, text in enumerate(items)], 2)
    counts = index.counts(many)
    weights = index.weigh(counts, len(many))
    at = data.draw(st.integers(0, len(many)))
    assert (index.counts(many[:at]) + index.counts(many[at:]) == counts).all()
    assert index.hits(many[:at], weights) + index.hits(many[at:], weights) == index.hits(many, weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_module, "CHUNK_CHARACTERS", 1)
        assert (index.counts(many) == counts).all()


@QUICK
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200), st.integers(SHORTEST, 60))
def test_coverage_is_the_share_of_the_words_in_common_runs(a: int, b: int, seed: int, length: int) -> None:
    item = [f"w{n}" for n in range(length)]
    a, b = sorted((a % (length + 1), b % (length + 1)))
    text = " ".join([*(f"x{n}" for n in range(seed)), *item[a:b], *(f"y{n}" for n in range(seed))])
    index = Index.build([question(" ".join(item))])
    hits = index.hits([text], index.weigh(even(index), 1), threshold=0.4)[0]
    run, shortest = b - a, min(8, length)
    found = run >= shortest and run >= 0.4 * length and run >= min(EVIDENCE, length)
    if 6 <= run < length < 24:  # a short item: all but a word, or one end of it that stands by itself
        found |= run == length - 1 and (seed == 0 or length >= 12)
        found |= seed == 0 and length >= 12 and 0 in (a, length - b) and run >= 0.4 * length
    assert [(h.coverage, h.found) for h in hits] == ([(run / length, " ".join(item[a:b]))] if found else [])
    assert all(text[h.start : h.end] == h.found for h in hits)


ASKED = "Where does Ms. Noël's café-owner keep “the five blue cups”, and who washed them?"


@pytest.mark.parametrize(
    "changed",
    [
        ASKED.upper(),
        ASKED.replace(" ", "\n> "),
        ASKED.replace("ë", "e\u0308").replace("“", '"').replace("five", "**fi\u00adve**"),
        unicodedata.normalize("NFKD", ASKED).replace(",", " ,"),
        ASKED.replace("five", "ﬁve"),
    ],
)
def test_case_accents_white_space_and_punctuation_do_not_matter(changed: str) -> None:
    index = Index.build([question(ASKED)])
    (hit,) = index.hits([f"Before it. {changed} After it."], index.weigh(even(index), 1))[0]
    assert hit.coverage == 1
    assert plain_words(hit.found) == plain_words(ASKED)


@pytest.mark.parametrize(("copies", "found"), [(1, True), (10, True), (11, False), (40, False)])
def test_what_many_documents_of_a_source_say_is_no_contamination(copies: int, found: bool) -> None:
    many = [f"Document {n} of a kind. {ASKED}" if n < copies else f"number {n}" for n in range(40)]
    index = Index.build([question(ASKED)])
    counts = index.counts(many)
    common = boilerplate(counts, len(many))
    weights = index.weigh(counts, len(many), common)
    assert common.all() != found
    assert [bool(hits) for hits in index.hits(many, weights)] == [found and n < copies for n in range(40)]
    assert bool(index.silenced(weights)) != found


def test_the_rest_of_an_item_that_shares_boilerplate_is_still_found() -> None:
    rest = "what may the seven owners of a boat not do with it on any Sunday in May"
    index = Index.build([question(f"{ASKED} {rest}")])
    counts = index.counts([ASKED] * 40)
    weights = index.weigh(counts, 40, boilerplate(counts, 40))
    assert [len(hits) for hits in index.hits([ASKED, rest, f"{ASKED} {rest}"], weights)] == [0, 1, 1]


@pytest.mark.parametrize(("different", "found"), [(20, True), (21, False)])
def test_how_a_suite_asks_is_not_what_it_asks(different: int, found: bool) -> None:
    how = "Read the following two sentences with care and say which one of them is better English"
    items = [question(f"{how}: v{n} w{n} x{n} y{n} z{n}", f"{n} {m}") for n in range(different) for m in range(3)]
    index = Index.build(items)
    weights = index.weigh(even(index), 1)
    assert bool(index.hits([how], weights)[0]) == found
    assert not index.hits(["v0 w0 x0 y0 z0"], weights)[0]


def test_the_rarer_words_of_an_item_count_for_more() -> None:
    first, last = (" ".join(f"{c}{n}" for n in range(20)) for c in "ab")
    index = Index.build([question(f"{first} {last}")])
    weights = index.weigh(index.counts([first] * 50), 1000)
    (common,), (rare,) = index.hits([first, last], weights, threshold=0.1)
    assert common.coverage < 0.35 and rare.coverage > 0.65


def hit(start: int, end: int) -> Hit:
    return Hit("suite", "1", "question", "", 1.0, start, end, "")


@QUICK
@given(
    st.lists(st.text("ab \n", max_size=300), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 90)), min_size=1, max_size=3),
    st.sampled_from([0, 3, 40, 200]),
)
def test_a_cut_takes_out_the_hits_and_leaves_everything_else(
    pieces: list[str], at: Sequence[tuple[int, int]], margin: int
) -> None:
    text = "".join(pieces) + " the end " * 40
    hits = [hit(a, a + n) for a, n in ((min(a, len(text) - n), n) for a, n in at)]
    assert apply(text, hits, "flag") == text
    assert apply(text, [], "drop") == text
    assert apply(text, hits, "drop") is None
    marked = list(text)
    for one in hits:
        marked[one.start : one.end] = [c if c.isspace() else "#" for c in text[one.start : one.end]]
    left = apply("".join(marked), hits, "cut", margin)
    far = [all(c < h.start - margin - 100 or c >= h.end + margin + 100 for h in hits) for c in range(len(text))]
    must = "".join(c for c, kept in zip(marked, far, strict=True) if kept and not c.isspace())
    if left is None:
        assert len(must) < 200
        return
    assert "#" not in left and len(left) >= 200
    rest = iter("".join(marked))
    assert all(c in rest for c in "".join(left.split()))  # in order, nothing new
    rest = iter(left)
    assert all(c in rest for c in must)


def test_a_cut_ends_at_white_space_and_joins_by_a_blank_line() -> None:
    before, after = "alpha beta gamma " * 40, " delta epsilon zeta" * 40
    text = before + ASKED + after
    left = apply(text, [hit(len(before), len(before) + len(ASKED))], "cut")
    assert left is not None
    head, tail = left.split("\n\n")
    assert before.startswith(head) and after.endswith(tail)
    assert 195 <= len(before) - len(head) <= 210 and 195 <= len(after) - len(tail) <= 210
    assert set(left.split()) == set("alpha beta gamma delta epsilon zeta".split())


def test_a_cut_in_a_text_without_white_space_ends_at_the_margin() -> None:
    assert apply("x" * 1000, [hit(500, 510)], "cut", margin=200) == "x" * 300 + "\n\n" + "x" * 290


def test_short_questions_are_joined_with_their_answer_or_named_as_not_searched() -> None:
    short = Item("s", "1", (Part("question", "Who was it?"), Part("answer", "the first man on the moon")))
    quoted = Item("s", "2", (*short.parts, Part("context", "It was the first man on the moon, they say.")))
    index = Index.build([short, quoted, question("What is it?")])
    assert [(t.item, t.part) for t in index.targets] == [("1", "question+answer")]
    assert index.unsearched == (("s", "2"), ("suite", "1"))
    assert [t.part for t in Index.build([quoted], contexts=True).targets] == ["context"]


def test_an_index_of_nothing_finds_nothing() -> None:
    index = Index.build([])
    assert index.counts(["some text"]).size == 0
    assert index.hits(["some text", ""], index.weigh(even(index), 0)) == [[], []]
    assert len(words_of([]).hashes) == 0
