"""A sample does not depend on the order of documents, nor on who saw which; every domain gets its share."""

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.document import Document
from gnomon.data.sample import Sample, SharedSample, granted

sizes = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60)), max_size=40)
shares = st.fixed_dictionaries({name: st.integers(0, 5) for name in "abc"}).filter(lambda s: any(s.values()))


def documents(drawn: list[tuple[str, int]]) -> list[tuple[str, Document]]:
    return [(domain, Document(f"{i} ".ljust(size, domain), "x")) for i, (domain, size) in enumerate(drawn)]


def lowest(chosen: list[Document], limit: int) -> list[str]:
    """Return the ids that make up `limit` bytes, done plainly."""
    by_id = sorted(chosen, key=lambda d: d.id)
    before = [0, *accumulate(len(d.text.encode()) for d in by_id)]
    return [d.id for d, size in zip(by_id, before, strict=False) if size < limit]


@settings(max_examples=150)
@given(drawn=sizes, shares=shares, limit=st.integers(1, 900), cuts=st.tuples(st.integers(0, 40), st.integers(0, 40)),
       slack=st.integers(0, 200))  # fmt: skip
def test_parts_sampled_apart_merge_to_the_sample_of_the_whole(
    drawn: list[tuple[str, int]], shares: dict[str, int], limit: int, cuts: tuple[int, int], slack: int
) -> None:
    everything = documents(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedSample, "SLACK", slack)
        a, b = sorted(cuts)
        whole, *parts = (SharedSample(limit, shares) for _ in range(4))
        for part, piece in zip(parts, (everything[:a], everything[a:b], everything[b:]), strict=True):
            for domain, document in piece:
                part.add(document, domain)
                assert sum(s.bytes for s in part._domains.values()) <= limit + slack + 3 * 60
        for domain, document in reversed(everything):
            whole.add(document, domain)
        merged = SharedSample(limit, shares)
        for part in (parts[2], parts[0], parts[1]):
            merged.merge(part)
        assert merged.texts() == whole.texts()
    grants = whole.grants()
    for name, chosen in whole.texts().items():
        assert [i for i, _ in chosen] == lowest([d for domain, d in everything if domain == name], grants[name])


@given(limit=st.integers(0, 1000), shares=shares, there=st.fixed_dictionaries({n: st.integers(0, 900) for n in "abc"}))
def test_shares_are_kept_and_what_is_left_passes_on(limit: int, shares: dict[str, int], there: dict[str, int]) -> None:
    weights = {name: Fraction(share) for name, share in shares.items()}
    found = granted(limit, weights, there)
    assert all(found[n] <= there[n] for n in "abc") and sum(found.values()) <= limit
    wanted = {n for n in "abc" if shares[n] and found[n] < there[n]}
    if wanted:
        assert sum(found.values()) > limit - len(wanted)
    level = {n: Fraction(found[n], shares[n]) for n in "abc" if shares[n]}
    for n in wanted:  # who wants more has, for its share, no less than any other, to the byte
        assert all(level[n] >= other - 1 for other in level.values())
    more = granted(limit, weights, there | {"a": there["a"] + 100})
    assert more["b"] <= found["b"] and more["c"] <= found["c"] and more["a"] >= found["a"]


def test_a_plain_sample_is_the_lowest_ids_of_what_any_part_saw() -> None:
    chosen = [d for _, d in documents([("a", 10 + i % 7) for i in range(200)])]
    for limit in (0, 1, 333, 10_000):
        parts = [Sample(limit) for _ in range(3)]
        for i, document in enumerate(chosen):
            parts[i % 3].add(document)
        parts[0].merge(parts[1])
        parts[0].merge(parts[2])
        assert [i for i, _ in parts[0].texts()] == lowest(chosen, limit)
