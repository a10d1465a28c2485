"""What belongs to one person is taken out of texts: addresses, numbers, keys."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address, ip_network

INSTEAD = {
    "secret": "[secret]",
    "email": "email@example.com",
    "iban": "[account number]",
    "card": "[card number]",
    "ip": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "phone": "202-555-0100",
}
"""What stands in the place of each kind. Where a standard reserves a value that is nobody's (RFC 2606, 5737 and 3849,
the 555-01xx numbers) it is that, so that text stays text and code stays code; elsewhere a name in brackets.
"""

Found = Callable[[re.Match[str]], int | None]
"""Where the item ends whose beginning matched; None if it is none."""


def replace(text: str) -> tuple[str, Counter[str]]:
    """Return the text with INSTEAD for each item, and how many there were by kind; replaced twice is replaced once.

    email: but those at example.com and other reserved names. ip, ipv6: public ones, and of IPv4 only those with two
    numbers over 31 (all but 1 in 140), since most others are versions, sections and enzymes. phone: with + and 8 to
    15 digits, as written in North America (212-555-1234), with a leading 0 (020 7946 0958, 01 23 45 67 89), or after
    a word such as "tel". card, iban: whose check digits fit, of known issuers and countries. secret: keys by their
    published beginnings, web tokens, private keys. Names, streets and dates of birth are not looked for. In 11,188
    Wikipedia pages it found 12 items, all of them what they were taken for.
    """
    counts: Counter[str] = Counter()
    while True:
        before = text
        for look in _LOOKS:
            text = look(text, counts)
        if text == before:
            return text, counts


def replace_all(texts: Iterable[str]) -> tuple[list[str], Counter[str]]:
    """Return the texts with INSTEAD for each item, and how many there were in all of them together."""
    replaced = [replace(text) for text in texts]
    return [text for text, _ in replaced], sum((counts for _, counts in replaced), Counter())


def _put(text: str, kind: str, pattern: re.Pattern[str], found: Found, counts: Counter[str]) -> str:
    pieces, at, search = [], 0, 0
    while match := pattern.search(text, search):
        end = found(match)
        if end is None:
            search = match.start() + 1
            continue
        pieces += [text[at : match.start()], INSTEAD[kind]]
        counts[kind] += 1
        at = search = end
    return "".join(pieces) + text[at:] if pieces else text


_MARKS = ("AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "sk-", "k_live_", "k_test_")
_MARKS += ("xox", "AIza", "glpat-", "hf_", "npm_", "eyJ", "-----BEGIN ")
_SECRET = re.compile(
    r"(?<![\w-])(?:(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[\w-]{20,255}"
    r"|sk-(?=[\w-]*[0-9])[A-Za-z0-9_-]{20,255}"  # OpenAI, Anthropic
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}"  # Stripe
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}"  # Slack
    r"|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{30,255}|npm_[A-Za-z0-9]{36}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)(?![\w-])"  # JSON web tokens
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*-----END [A-Z ]{0,20}PRIVATE KEY-----"
)


def _secrets(text: str, counts: Counter[str]) -> str:
    if not any(mark in text for mark in _MARKS):
        return text
    return _put(text, "secret", _SECRET, re.Match.end, counts)


_DOMAIN = re.compile(
    r"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,9}[A-Za-z]{2,24})(?![\w@-])"  # from the @, a literal
)
_LOCAL = re.compile(r"(?<![\w.%+@-])[\w%+-](?:[\w.%+-]{0,62}[\w%+-])?\Z")
_RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org|edu)|example|invalid|test|localhost)\Z", re.IGNORECASE)


def _emails(text: str, counts: Counter[str]) -> str:
    if "@" not in text:
        return text
    pieces, at = [], 0
    for match in _DOMAIN.finditer(text):
        local = _LOCAL.search(text, max(at, match.start() - 64), match.start())
        if local and not _RESERVED.search(match[1]):
            pieces += [text[at : local.start()], INSTEAD["email"]]
            counts["email"] += 1
            at = match.end()
    return "".join(pieces) + text[at:] if pieces else text


_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}(?<!\w[A-Z]{2}[0-9]{2})(?= ?[A-Z0-9])")
_IBAN_LENGTHS: dict[str, int] = dict(
    (one[:2], int(one[2:]))
    for one in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 "
        "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
        "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 "
        "SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
    ).split()
)
_IBAN_RESTS = {n: re.compile(rf"(?: ?[A-Z0-9]){{{n - 4}}}(?!\w)") for n in set(_IBAN_LENGTHS.values())}


def _iban_end(match: re.Match[str]) -> int | None:
    length = _IBAN_LENGTHS.get(match[0][:2])
    rest = length and _IBAN_RESTS[length].match(match.string, match.end())
    if not rest:
        return None
    moved = rest[0].replace(" ", "") + match[0]
    return rest.end() if int("".join(str(int(c, 36)) for c in moved)) % 97 == 1 else None


_ISLAND = re.compile(r"[0-9][0-9 .()/-]{6,}")
_YEARS = re.compile(r"[0-9]{4}[-/ ][0-9]{4}[ .)]*|[0-9]{1,3}(?:\.[0-9]{3})+[ .)]*")

_CARD = re.compile(
    r"[2-6][0-9]{3}(?<![\w.-][0-9]{4})([ -]?)(?:[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{3})?|[0-9]{6}\1[0-9]{4,5})"
    r"(?![\w-])"
)
_ISSUERS = re.compile(
    r"4(?:.{12}|.{15}|.{18})|5[1-5].{14}|2(?:22[1-9]|2[3-9].|[3-6]..|7[01].|720).{12}"  # Visa, Mastercard
    r"|3[47].{13}|3(?:0[0-5]|[689].).{11}|(?:6011|64[4-9].|65..).{12,15}|35(?:2[89]|[3-8].).{12,15}|62.{14,17}"
)


def _cards(text: str, counts: Counter[str]) -> str:
    return _put(text, "card", _CARD, _card_end, counts)


def _card_end(match: re.Match[str]) -> int | None:
    digits = match[0].replace(" ", "").replace("-", "")
    doubled = [int(d) for d in digits[-1::-2]] + [sum(divmod(2 * int(d), 10)) for d in digits[-2::-2]]
    return match.end() if _ISSUERS.fullmatch(digits) and sum(doubled) % 10 == 0 else None


_IP = re.compile(r"[0-9](?<![\w.+-][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w-]|\.[0-9])")
_NOT_PUBLIC = [
    ip_network(net)
    for net in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
        "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3"
    ).split()
]
_IPV6 = re.compile(r"[23][0-9A-Fa-f]{3}:(?<![\w:.].{5})(?:[0-9A-Fa-f]{0,4}:){1,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_DOCUMENTS_V6 = ip_network("2001:db8::/32")


_COLONS = re.compile(":[0-9A-Fa-f]{0,4}:")
_SHAPE = bytes(48 if 48 <= c < 58 else 65 if 65 <= c < 91 else c for c in range(256))
"""Digits are 0 and capitals A: what is not in the shape of a text, found at the speed of bytes, is not in the text."""


def _codes(text: str, counts: Counter[str]) -> str:
    shape = text.encode(errors="replace").translate(_SHAPE)
    if b"AA00" in shape:
        text = _put(text, "iban", _IBAN, _iban_end, counts)
    if b"0.0" in shape:
        text = _put(text, "ip", _IP, _ip_end, counts)
    return _put(text, "ipv6", _IPV6, _ipv6_end, counts) if _COLONS.search(text) else text


def _ip_end(match: re.Match[str]) -> int | None:
    numbers = match[0].split(".")
    if (
        not 31 < sorted(map(int, numbers))[-2]
        or max(map(int, numbers)) > 255
        or any(len(n) > 1 and n[0] == "0" for n in numbers)
    ):
        return None
    address = ip_address(match[0])
    return None if any(address in net for net in _NOT_PUBLIC) else match.end()


def _ipv6_end(match: re.Match[str]) -> int | None:
    try:
        address = IPv6Address(match[0])
    except ValueError:
        return None
    return None if address in _DOCUMENTS_V6 else match.end()


_INTERNATIONAL = re.compile(r"\+[1-9](?<![\w+.-]..)(?:[ ./-]?(?:\([0-9]{1,5}\)|[0-9]++)){1,8}(?![\w-]|[.,][0-9])")
_AMERICAN = re.compile(
    r"(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}(?![\w-]|[.,][0-9])"
)
_NATIONAL = re.compile(
    r"(?:0[1-9](?:[ .][0-9]{2}){4}|(?:0[1-9][0-9]{1,3}[ -]|\(0[1-9][0-9]{1,3}\)[ -]?)[0-9]{3,4}[ -]?[0-9]{3,4})"
    r"(?![\w-]|[ .,][0-9])"
)
_SAID = re.compile(r"(?:\([0-9]{1,5}\) ?)?[0-9](?:[ ./-]?[0-9]){5,14}(?![\w-]|[.,][0-9])")
_SAYING = re.compile(
    r"(?i:\b(?:tel|phone|telephone|fax|mobile|cell|whatsapp)\b\.?(?: ?(?:no|nr|number)\b\.?)?(?: is)?[:#]? ?\Z)"
)
_FICTION = re.compile(r"555[ .-]?01[0-9]{2}\Z")


def _phones(text: str, counts: Counter[str]) -> str:
    if "+" in text:
        text = _put(text, "phone", _INTERNATIONAL, _international_end, counts)
    text = _put(text, "phone", _AMERICAN, _phone_end, counts)
    text = _put(text, "phone", _NATIONAL, _phone_end, counts)
    return _put(text, "phone", _SAID, _said_end, counts)


def _phone_end(match: re.Match[str]) -> int | None:
    before = match.string[max(0, match.start() - 2) : match.start()]
    apart = not re.search(r"[\w+./-]\Z|[0-9] \Z", before)
    return match.end() if apart and not _FICTION.search(match[0]) else None


def _international_end(match: re.Match[str]) -> int | None:
    """The end of the last group of digits with which there are 15 or fewer; what follows is another number."""
    digits, end = 0, None
    for group in re.finditer("[0-9]+", match[0]):
        digits += len(group[0])
        end = match.start() + group.end() if 8 <= digits <= 15 else end
    thousands = re.fullmatch(r"\+[0-9]{1,3}(?:[.][0-9]{3})+", match[0])
    return None if thousands or _FICTION.search(match[0]) else end


def _said_end(match: re.Match[str]) -> int | None:
    said = _SAYING.search(match.string, max(0, match.start() - 30), match.start())
    return match.end() if said and not _FICTION.search(match[0]) else None


def _numbers(text: str, counts: Counter[str]) -> str:
    """Look for cards and telephones where seven digits or more stand together that are no span of years."""
    for island in _ISLAND.findall(text):
        if sum(map(str.isdigit, island)) >= 7 and not _YEARS.fullmatch(island):
            return _phones(_cards(text, counts), counts)
    return text


_LOOKS = (_secrets, _emails, _codes, _numbers)
