"""Text to ids and back, in the one file format (`tokenizer.json`) that others know.

A tokenizer trained here is byte-level, lossless for any text: BPE, or words with bytes for all others; one brought
along may also be of SentencePiece's kind, whose tokens are pieces of text with ▁ for a space, and `<0xAB>` for a byte.
"""

import codecs
import json
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers

from gnomon.base.disk import read_bytes
from gnomon.base.errors import IntegrityError
from gnomon.base.files import canonical_json, sha256_bytes, write_atomic
from gnomon.taxonomy import END_OF_TEXT, PAD
from gnomon.tokenizer.pretokenizer import name_of

MAX_BYTES = 256 << 20
"""Of a tokenizer.json."""

BLOCK = 64
"""The vocabulary that a model sees is a multiple of this; ids past the last token are unused."""

ENDS = (END_OF_TEXT, "<|end_of_text|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>")
"""Names of the special token between two documents. The first of them that a tokenizer has is its end-of-text."""

FAST_FROM = 8 << 20
"""Characters after which a faster encoder pays for the 0.7 s that its proof takes; they take the slower one 2 s."""


class Tokenizer:
    """Text to ids and ids to text. In one trained here ids 0, 1, … are `taxonomy.SPECIAL_TOKENS`, then come the 256
    bytes, then the merges or words; one brought along keeps its own ids, and has ours after them.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        self._inner.encode_special_tokens = True  # text that looks like a special token stays text
        self.vocabulary = -(-inner.get_vocab_size() // BLOCK) * BLOCK
        self.tokens = inner.get_vocab_size()  # ids in use; vocabulary - tokens are unused
        added = inner.get_added_tokens_decoder()
        self.added_ids = frozenset(added)
        self.special_ids = frozenset(i for i, token in added.items() if token.special)
        self._encoded = 0

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Return the tokenizer in a `tokenizer.json`. Raises IntegrityError when the file is missing or
        garbled.
        """
        try:
            return cls.from_json(read_bytes(path, MAX_BYTES).decode())
        except (OSError, UnicodeDecodeError, IntegrityError) as e:
            what = e.what if isinstance(e, IntegrityError) else f"the tokenizer cannot be read: {e}"
            do = e.do if isinstance(e, IntegrityError) else None
            raise IntegrityError(what, where=str(path), do=do) from e

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Return the tokenizer that `to_json` described. Raises IntegrityError for anything else."""
        try:
            inner = tokenizers.Tokenizer.from_str(text)
        except Exception as e:  # the library raises plain Exception
            raise IntegrityError(f"not a tokenizer.json: {e!s:.200}") from e
        vocabulary = inner.get_vocab()
        if not any(name in vocabulary for name in ENDS) or PAD not in vocabulary:
            raise IntegrityError(
                f"a tokenizer.json without {END_OF_TEXT} or {PAD}",
                do="bring a tokenizer along from elsewhere with `gnomon tokenizer import`",
            )
        if max(vocabulary.values()) >= len(vocabulary):
            raise IntegrityError("a tokenizer.json with ids left out")
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
    def pretokenizer(self) -> str | None:
        """Its rule for cutting text, by llama.cpp's name; None for a rule that has none there."""
        return name_of(self.description["pre_tokenizer"])

    @cached_property
    def end_name(self) -> str:
        """The name of the token between two documents."""
        return next(name for name in ENDS if self._inner.token_to_id(name) is not None)

    @cached_property
    def end_of_text(self) -> int:
        return self.special_id(self.end_name)

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
        """Return the ids of each text: on all cores at first, then, where much is encoded and `tiktoken` is
        installed and proven to give the same ids, six times as fast on one.
        """
        self._encoded += sum(map(len, texts))
        if self._encoded > FAST_FROM and self._fast is not None:
            return self._fast(texts)
        return [e.ids for e in self._inner.encode_batch_fast(texts, add_special_tokens=False)]

    @cached_property
    def _fast(self) -> Callable[[list[str]], list[list[int]]] | None:
        from gnomon.tokenizer.fast import fast_encoder  # which imports this file

        return fast_encoder(self)

    def decode(self, ids: list[int], *, specials: bool = False) -> str:
        """Return the text of ids; special tokens are left out unless asked for, broken characters become
        U+FFFD. The space that a tokenizer puts before any text is left out again.
        """
        data = self.decode_bytes(ids, specials=specials)
        return data[self.leads_with_space and data.startswith(b" ") :].decode("utf-8", errors="replace")

    def decode_bytes(self, ids: list[int], *, specials: bool = False) -> bytes:
        """Return the bytes of ids. Unused ids have none."""
        parts = self.token_bytes if specials else self._plain_bytes
        return b"".join([parts[i] for i in ids if i < self.tokens])

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes of every token in use, by id; a special token's are those of its name."""
        bytes_of = _byte_level if self.is_byte_level else _piece
        return [t.encode() if i in self.added_ids else bytes_of(t) for i, t in enumerate(self.token_texts)]

    @cached_property
    def _plain_bytes(self) -> list[bytes]:
        return [b"" if i in self.special_ids else part for i, part in enumerate(self.token_bytes)]

    @cached_property
    def is_byte_level(self) -> bool:
        """Whether its tokens are bytes in GPT-2's letters; else they are pieces of text."""
        return any(step["type"] == "ByteLevel" for step in self._decoding)

    @cached_property
    def kind(self) -> str:
        """What its tokens are: `bpe` merges, `words` as they are cut with bytes for all others, or `unigram` pieces."""
        model: Any = self.description["model"]
        if model["type"] != "BPE":
            return str(model["type"]).lower()
        longer = any(len(part) > 1 for i, part in enumerate(self.token_bytes) if i not in self.added_ids)
        return "words" if longer and not self.merges else "bpe"

    @cached_property
    def leads_with_space(self) -> bool:
        """Whether it puts a space before any text, which is no part of the text."""
        strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
        return strip in self._decoding or any(
            step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never" for step in self._decoding
        )

    @cached_property
    def _decoding(self) -> list[dict[str, Any]]:
        decoder: Any = self.description["decoder"] or {"type": "Sequence", "decoders": []}
        return decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]

    @cached_property
    def token_texts(self) -> list[str]:
        """Every token in use as tokenizer.json and GGUF write it, by id."""
        by_id = {i: text for text, i in self._inner.get_vocab(with_added_tokens=True).items()}
        return [by_id[i] for i in range(self.tokens)]

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        """The merges in order, as pairs of tokens; none where tokens are chosen by score."""
        model = self.description["model"]
        assert isinstance(model, dict)
        return [tuple(pair) for pair in model.get("merges", [])]


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


def byte_alphabet() -> dict[int, str]:
    """Return the printable character that stands for each byte in byte-level BPE (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


_BYTE_OF = {ord(letter): byte for byte, letter in byte_alphabet().items()}


def _byte_level(text: str) -> bytes:
    """Return the bytes that a token's letters stand for; none for a name that fills a gap among the ids."""
    try:
        return bytes([_BYTE_OF[letter] for letter in map(ord, text)])
    except KeyError:
        return b""


def is_byte_piece(text: str) -> bool:
    """Return whether a token of SentencePiece's kind stands for a byte, as `<0xAB>` does."""
    return _BYTE_PIECE.fullmatch(text) is not None


def _piece(text: str) -> bytes:
    if is_byte_piece(text):
        return bytes([int(text[3:5], 16)])
    return text.replace("▁", " ").encode()


_BYTE_PIECE = re.compile("<0x[0-9A-F]{2}>")
