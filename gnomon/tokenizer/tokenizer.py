"""A byte-level BPE tokenizer: lossless for any text, in the one file format (`tokenizer.json`) that
others know.
"""

import codecs
import json
from functools import cached_property
from pathlib import Path

import tokenizers

from gnomon.base.disk import read_bytes
from gnomon.base.errors import IntegrityError
from gnomon.base.files import canonical_json, sha256_bytes, write_atomic
from gnomon.taxonomy import END_OF_TEXT, SPECIAL_TOKENS

_WORDS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRETOKENIZERS = {"qwen2": rf"{_WORDS}|\p{{N}}|{_REST}", "llama-bpe": rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}"}
"""How text is cut before merging, by the name that llama.cpp has for it. Other rules cannot be read back
there.

Cases are spelled out as llama.cpp does: `(?i:'s)` would also take the long s (U+017F), and ids would
differ.
"""

MAX_BYTES = 256 << 20
"""Of a tokenizer.json."""

BLOCK = 64
"""The vocabulary that a model sees is a multiple of this; ids past the last token are unused."""


class Tokenizer:
    """Text to ids and ids to text. Ids 0, 1, … are `taxonomy.SPECIAL_TOKENS`, then the 256 bytes, then
    the merges.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        self._inner.encode_special_tokens = True  # text that looks like a special token stays text
        self.vocabulary = -(-inner.get_vocab_size() // BLOCK) * BLOCK
        self.tokens = inner.get_vocab_size()  # ids in use; vocabulary - tokens are unused

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Return the tokenizer in a `tokenizer.json`. Raises IntegrityError when the file is missing or
        garbled.
        """
        try:
            return cls.from_json(read_bytes(path, MAX_BYTES).decode())
        except (OSError, UnicodeDecodeError, IntegrityError) as e:
            what = e.what if isinstance(e, IntegrityError) else f"the tokenizer cannot be read: {e}"
            raise IntegrityError(what, where=str(path)) from e

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Return the tokenizer that `to_json` described. Raises IntegrityError for anything else."""
        try:
            inner = tokenizers.Tokenizer.from_str(text)
        except Exception as e:  # the library raises plain Exception
            raise IntegrityError(f"not a tokenizer.json: {e!s:.200}") from e
        vocabulary = inner.get_vocab()
        if END_OF_TEXT not in vocabulary or max(vocabulary.values()) >= len(vocabulary):
            raise IntegrityError(f"a tokenizer.json without {END_OF_TEXT}, or with ids left out")
        return cls(inner)

    def to_json(self) -> str:
        """Return the content of a `tokenizer.json`."""
        return json.dumps(self.description, ensure_ascii=False, indent=1) + "\n"

    def save(self, path: Path) -> None:
        """Write a `tokenizer.json`, whole or not at all."""
        write_atomic(path, self.to_json().encode())

    @cached_property
    def description(self) -> dict[str, object]:
        """The content of its tokenizer.json."""
        return json.loads(self._inner.to_str())

    @property
    def digest(self) -> str:
        """The SHA-256 of the canonical tokenizer.json."""
        return sha256_bytes(canonical_json(self.description))

    @cached_property
    def pretokenizer(self) -> str:
        """Its rule for cutting text, by llama.cpp's name. Raises IntegrityError for a rule that has none."""
        cutting = json.dumps(self.description["pre_tokenizer"])
        for name, pattern in PRETOKENIZERS.items():
            if json.dumps(pattern) in cutting:
                return name
        raise IntegrityError("the tokenizer's pre-tokenizer is none that llama.cpp knows by name")

    @cached_property
    def end_of_text(self) -> int:
        return self.special_id(END_OF_TEXT)

    def special_id(self, token: str) -> int:
        """Return a special token's id. Raises KeyError for a token that this vocabulary has not."""
        found = self._inner.token_to_id(token)
        if found is None:
            raise KeyError(token)
        return found

    def encode(self, text: str, *, specials: bool = False) -> list[int]:
        """Return the ids of `text`. With `specials`, the names of special tokens in it become those
        tokens.
        """
        return (self._parsing if specials else self._inner).encode(text, add_special_tokens=False).ids

    @cached_property
    def _parsing(self) -> tokenizers.Tokenizer:
        """A twin that finds special tokens in text; of its own, so that threads do not switch each
        other's.
        """
        return tokenizers.Tokenizer.from_str(self._inner.to_str())

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, on all cores."""
        return [e.ids for e in self._inner.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: list[int], *, specials: bool = False) -> str:
        """Return the text of ids; special tokens are left out unless asked for, broken characters become
        U+FFFD.
        """
        return self.decode_bytes(ids, specials=specials).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: list[int], *, specials: bool = False) -> bytes:
        """Return the bytes of ids. Unused ids have none."""
        return b"".join(self.token_bytes[i] for i in ids if i < self.tokens and (specials or i >= len(SPECIAL_TOKENS)))

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes of every token in use, by id; a special token's are those of its name."""
        back = {c: b for b, c in _byte_alphabet().items()}
        specials = len(SPECIAL_TOKENS)
        return [t.encode() if i < specials else bytes(back[c] for c in t) for i, t in enumerate(self.token_texts)]

    @cached_property
    def token_texts(self) -> list[str]:
        """Every token in use as tokenizer.json and GGUF write it, by id."""
        by_id = {i: text for text, i in self._inner.get_vocab(with_added_tokens=True).items()}
        return [by_id[i] for i in range(self.tokens)]

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        """The merges in order, as pairs of tokens."""
        model = self.description["model"]
        assert isinstance(model, dict)
        return [tuple(pair) for pair in model["merges"]]


class StreamDecoder:
    """Turns ids, one by one, into text as soon as whole characters are there."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """Return the text that has become whole with this token; often all of it, sometimes none."""
        return self._decoder.decode(self._tokenizer.decode_bytes([token]))

    def finish(self) -> str:
        """Return what is left, with U+FFFD for a character that was never finished."""
        return self._decoder.decode(b"", final=True)


def _byte_alphabet() -> dict[int, str]:
    """Return the printable character that stands for each byte in byte-level BPE (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
