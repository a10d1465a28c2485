"""Planted items are found and nothing else is touched; what only looks like one stays."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.data.cleaning.pii import INSTEAD, replace, replace_all

ORDINARY = "the ship, in 1914-1918 (pp. 12-14) 3.14 1,234,567 12:30:45 10.2.3.4 v1.2.3.4-beta 2001-02-03 §4.1.2.3 @home"
ORDINARY += " Ångström 漢字 C++ std::map a+b=c 0.25 ISBN 978-3-16-148410-0 GB29 C3PO 192.168.0.1 100.000"
ORDINARY += " 555 #12 [x] -5 sk-learn"
plain = st.lists(st.sampled_from(ORDINARY.split()), max_size=8).map(" ".join)
before = st.tuples(plain, st.sampled_from([" by ", "\nwas ", " (", " at: ", ' "', " [", " is "])).map("".join)
after = st.tuples(st.sampled_from([" and ", ".\n", ") ", ", ", '" ', "; ", "]", "? "]), plain).map("".join)


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def text(alphabet: str, low: int, high: int) -> st.SearchStrategy[str]:
    return st.text(list(alphabet), min_size=low, max_size=high)


ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
label = text(ALNUM, 1, 10)
emails = st.builds(
    "{}{}@{}.{}".format,
    label,
    st.sampled_from(["", ".x", "+a", "_1", "-b.c"]),
    label,
    st.sampled_from(["com", "co.uk", "museum", "org"]),
)


def luhn(body: str) -> str:
    total = sum(sum(divmod(int(d) * 2, 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(body)))
    return body + str(-total % 10)


def grouped(card: str, separator: str) -> str:
    sizes = (4, 6, 5) if len(card) == 15 else (4, 4, 4, 4)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return separator.join(card[a : a + n] for a, n in zip(starts, sizes, strict=True))


issued = st.sampled_from([("4", 16), ("51", 16), ("2221", 16), ("6011", 16), ("34", 15), ("37", 15), ("65", 16)])
cards = st.builds(
    lambda issuer, rest, sep: grouped(luhn((issuer[0] + rest)[: issuer[1] - 1]), sep),
    issued,
    digits(15),
    st.sampled_from(["", " ", "-"]),
)


def iban(country: str, rest: str) -> str:
    number = int("".join(str(int(c, 36)) for c in rest + country + "00"))
    return f"{country}{98 - number % 97:02}{rest}"


def in_fours(code: str) -> str:
    return " ".join(code[i : i + 4] for i in range(0, len(code), 4))


lengths = st.sampled_from([("GB", 22), ("DE", 22), ("NO", 15), ("MT", 31), ("FR", 27), ("SV", 28)])
ibans = lengths.flatmap(
    lambda pair: text(ALNUM.upper()[:26] + "0123456789", pair[1] - 4, pair[1] - 4).map(lambda rest: iban(pair[0], rest))
)
number = st.integers(32, 255)
ips = st.builds("{}.{}.{}.{}".format, st.sampled_from([8, 44, 93, 151, 212]), number, number, st.integers(0, 255))
hexa = st.integers(0, 0xFFFF).map("{:x}".format)
ipv6s = st.builds(
    "2a{}:{}:{}{}".format,
    st.sampled_from(["00", "1c"]),
    hexa,
    hexa,
    st.sampled_from(["::1", ":1:2:3:4:5", "::ab:cd", "::"]),
)
area = st.integers(212, 989).map(str)
phones = st.one_of(
    st.builds("{}-{}-{}".format, area, st.integers(212, 499), digits(4)),
    st.builds("({}) {}-{}".format, area, st.integers(212, 499), digits(4)),
    st.builds("+{}{} {} {}".format, st.integers(1, 9), digits(1), digits(3), digits(4)),
    st.builds("+1 ({}) {}-{}".format, area, st.integers(212, 499), digits(4)),
    st.builds("020 {} {}".format, digits(4), digits(4)),
    st.builds("06 {}".format, st.tuples(*[digits(2)] * 4).map(" ".join)),
)
keys = st.one_of(
    text(ALNUM[:26] + "0123456789", 16, 16).map("AKIA{}".format),
    text(ALNUM, 36, 36).map("ghp_{}".format),
    text(ALNUM, 24, 48).map("sk-proj-1{}".format),
    st.builds("eyJ{0}.eyJ{0}.{0}".format, text(ALNUM + "-_", 10, 30).map("a{}z".format)),
    text(ALNUM + "\n+/=", 10, 80).map("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----".format),
)
EVERY = {"email": emails, "card": cards, "iban": ibans | ibans.map(in_fours), "ip": ips, "ipv6": ipv6s}
EVERY |= {"phone": phones, "secret": keys}


@pytest.mark.parametrize("kind", EVERY)
@settings(max_examples=40)
@given(data=st.data())
def test_a_planted_item_is_found_and_nothing_else_changes(kind: str, data: st.DataObject) -> None:
    start, item, end = data.draw(before), data.draw(EVERY[kind]), data.draw(after)
    assert replace(start + item + end) == (start + INSTEAD[kind] + end, {kind: 1})


BITS = [
    "@",
    ".",
    "-",
    "+",
    " ",
    "a",
    "b.com",
    "555",
    "4111",
    "1111 ",
    "(212)",
    "1234",
    ":",
    "2a00:",
    "\n",
    "é",
    *INSTEAD.values(),
]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(BITS) | st.one_of(*EVERY.values()), max_size=10).map("".join))
@example("a@b.com@c.com")
def test_replaced_twice_is_replaced_once(mixed: str) -> None:
    once, counts = replace(mixed)
    assert replace(once) == (once, {}) and (once == mixed) == (not counts)


@pytest.mark.parametrize(
    "harmless",
    [
        *ORDINARY.split(),
        "version 1.2.3.44",
        "EC 1.1.1.41 and 300.1.2.3",
        "email@example.com, root@localhost, a@b.test, @user and x @ y.com",
        "4111 1111 1111 1112 and 1234567812345670",
        "GB30 NWBK 6016 1331 9268 19",
        "1939-1945, 1914 1918, 100 000 000, +10.000.000, 12-34-56, 2019-2020-2021",
        "call 202-555-0100 or 192.0.2.1 or 2001:db8::7 at 12:30:45:10",
        "sk-this-is-only-a-long-name-of-a-thing ghp_short eyJhbGciOi",
        "XGB82WEST12345698765432 GB82WEST12345698765432X",
        "ATGCATGC 0123456789012345678901234567890 3.1415926535897932",
    ],
)
def test_what_only_looks_like_it_stays(harmless: str) -> None:
    for around in (harmless, f"It says {harmless}.", f"({harmless})\n"):
        assert replace(around) == (around, {})


@pytest.mark.parametrize("said", ["tel. ", "Phone: ", "fax number is ", "Mobile ", "Telephone no. "])
def test_a_number_that_is_called_a_telephone_is_one(said: str) -> None:
    assert replace(f"my {said}89 1234567, yes") == (f"my {said}202-555-0100, yes", {"phone": 1})
    assert replace("my number 89 1234567, yes")[1] == {}


@pytest.mark.parametrize(
    "part",
    [
        "+1" + "2" * 9,
        "+1" + "2" * 60 + "x",
        "+1 2",
        "1" * 20,
        "a.",
        "(0",
        "eyJ",
        "1.",
        "A1",
        "::",
        "@a.",
        "0 0",
        "-----BEGIN ",
    ],
)
def test_no_text_takes_long(part: str) -> None:
    start = time.process_time()
    replace(part * 3000 + "x@")
    assert time.process_time() - start < 1


def test_counts_of_many_texts_are_the_sum() -> None:
    texts = ["a@b.com or c@d.org", "plain", "from 93.184.216.34"]
    assert replace_all(texts) == (
        ["email@example.com or email@example.com", "plain", "from 192.0.2.1"],
        {"email": 2, "ip": 1},
    )
