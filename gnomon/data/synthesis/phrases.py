"""Phrasings with gaps, each of which belongs to the training split or to the test split and never to both."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from gnomon.base.seeds import derive
from gnomon.data.synthesis.draw import Draw

TEST_SHARE = 0.2  # of the phrasings of a group; at least one, never all


@dataclass(frozen=True)
class Phrases:
    """Several ways to say one thing, by split. A gap is written `{name}`."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def phrases(name: str, *texts: str) -> Phrases:
    """Return the phrasings dealt out to the splits by the hash of their own text."""
    assert len(set(texts)) == len(texts) >= 2, f"{name} needs two or more different phrasings"
    by_rank = sorted(texts, key=_rank)
    held = max(1, sum(_rank(text) < TEST_SHARE * 2**63 for text in by_rank[:-1]))
    chosen = set(by_rank[:held])
    return Phrases(name, tuple(t for t in texts if t not in chosen), tuple(text for text in texts if text in chosen))


def template_id(name: str, text: str) -> str:
    """Return a group's name and 10 hex digits of the phrasing's SHA-256."""
    return f"{name}:{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _rank(text: str) -> int:
    return derive(0, "template", text)


@dataclass
class Teller:
    """Says things in the phrasings of one split, and keeps the ids of those it used."""

    draw: Draw
    split: str
    main: str = ""
    used: dict[str, None] = field(default_factory=dict)

    def __call__(self, group: Phrases, **words: Any) -> str:
        """Return one of the group's phrasings with its gaps filled."""
        text = self.draw.pick(group.test if self.split == "test" else group.train)
        self.used[template_id(group.name, text)] = None
        return text.format(**words)

    def ask(self, group: Phrases, **words: Any) -> str:
        """Return the same for the phrasing after which the sample is named."""
        before = set(self.used)
        said = self(group, **words)
        self.main = next((t for t in self.used if t not in before), self.main)
        return said


def sentence(text: str) -> str:
    """Return `text` with a capital at its start."""
    return text[:1].upper() + text[1:]


def listed(items: list[str], word: str = "and") -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"


def an(noun: str) -> str:
    """Return the noun with its indefinite article, for the nouns that these rooms use."""
    silent = noun.startswith(("hour", "honest", "heir"))
    sounded = noun.startswith(("uni", "use", "eu", "one", "uku"))
    return f"{'an' if silent or (noun[0].lower() in 'aeiou' and not sounded) else 'a'} {noun}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun: `1 jar`, `1,200 jars`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
