"""A source's name is read back from what its files are called, and what cannot be a name is told from what can."""

from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st

from gnomon.base.names import is_plain, is_source, no_domain, stem_of

NAMES = st.text("a.%/2Fé \n", max_size=8)


@given(NAMES)
@example("web/news")
@example("web%2Fnews")
def test_what_files_are_called_is_plain_and_gives_the_name_back(name: str) -> None:
    assert unquote(stem_of(name)) == name and "/" not in stem_of(name)
    assert not is_source(name) or is_plain(stem_of(name))


@given(NAMES)
def test_a_source_has_one_plain_name_or_two(name: str) -> None:
    parts = name.split("/")
    plain = [bool(part) and part[0] != "." and "\n" not in part for part in parts]
    assert is_source(name) == (len(parts) <= 2 and all(plain))
    assert is_plain(name) == (len(parts) == 1 and plain[0]) == (no_domain(name) is None)


def test_a_refused_name_is_shown_in_short() -> None:
    assert len(str(no_domain("x" * 10**6))) < 200 and no_domain(5) == "5 cannot name a domain"
