"""Amounts as people write them: a time, or a number of tokens."""

import re
from typing import Literal

MAX_NUMBER = 2**53

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])", re.I | re.ASCII)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kmb]?)\s*(?:tokens?|tok)", re.I | re.ASCII)

_TOKENS = re.compile(r"(\d+(?:\.\d+)?(?:e\+?\d+)?)\s*([kmb]?)\s*(?:tokens?|tok)?", re.I | re.ASCII)
TOKENS_DO = "write an amount such as 400K, 50M or 2B"


def parse_budget(text: str) -> tuple[Literal["seconds", "tokens"], float]:
    """Return what a budget counts and how much of it; `"10m"` is 600 seconds, `"2B tokens"` two thousand million."""
    kind: Literal["seconds", "tokens"]
    if m := _TIME.fullmatch(text.strip()):
        kind, amount = "seconds", float(m[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[m[2].lower()]
    elif m := _AMOUNT.fullmatch(text.strip()):
        kind, amount = "tokens", float(m[1]) * {"": 1, "k": 1e3, "m": 1e6, "b": 1e9}[m[2].lower()]
    else:
        raise ValueError(f'budget {text[:40]!r} is neither a time ("90s", "10m", "2h") nor an amount ("400K tokens")')
    if amount > MAX_NUMBER:
        raise ValueError(f"budget {text[:40]!r} is more than anybody has")
    return kind, amount


def parse_tokens(text: str) -> int:
    """Return the tokens of an amount such as `50M`, `2B tokens`, `1e6` or `300000`; ValueError for what is none."""
    found = _TOKENS.fullmatch(text.strip())
    amount = float(found[1]) * {"": 1, "k": 1e3, "m": 1e6, "b": 1e9}[found[2].lower()] if found else 0
    if not 1 <= amount <= MAX_NUMBER:
        raise ValueError(f"{text[:40]!r} is no number of tokens: {TOKENS_DO}")
    return int(amount)
