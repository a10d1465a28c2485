"""Learns a tokenizer from text: the merges of a byte-level BPE, or whole words with bytes for all others."""

from collections.abc import Iterable, Iterator
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from gnomon.base.progress import Progress, silent
from gnomon.taxonomy import END_OF_TEXT, SPECIAL_TOKENS
from gnomon.tokenizer.pretokenizer import PRETOKENIZERS
from gnomon.tokenizer.tokenizer import Tokenizer

SMALLEST = -(-(len(SPECIAL_TOKENS) + 256) // 64) * 64
"""The least vocabulary: special tokens and bytes, no merges."""


LEAST = 2
"""How often a word must be in the text to be a token: of one that is there once nothing can be learned."""


def train_tokenizer(
    texts: Iterable[str], vocabulary: int, pretokenizer: str, progress: Progress = silent, *, kind: str = "bpe"
) -> Tokenizer:
    """Return a tokenizer of at most `vocabulary` ids, learned from `texts`; fewer where the text supports
    no more merges or words, and none but bytes where SMALLEST is asked for.

    Of kind `words` its tokens are whole words, as the pre-tokenizer cuts them, the most frequent first. A word that
    is none becomes its bytes, so that any text comes back. llama.cpp reads it where that cuts as `llama-bpe`.

    The names of special tokens in `texts` are plain text. Documents in training begin with end-of-text,
    so `add_special_tokens=True` in other libraries puts it first.
    """
    split = pre_tokenizers.Split(tokenizers.Regex(PRETOKENIZERS[pretokenizer]), "isolated")
    cut = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    size = vocabulary if vocabulary > SMALLEST else len(SPECIAL_TOKENS) + 256
    if kind == "words":
        inner = _of_words(_told(texts, progress), size, cut)
    else:
        # llama.cpp takes a word that is a token as it is, without merging, where the pre-tokenizer is llama-bpe
        inner = _of_merges(_told(texts, progress), size, cut, ignore_merges=pretokenizer == "llama-bpe")
    inner.pre_tokenizer, inner.decoder = cut, decoders.ByteLevel()
    first = (END_OF_TEXT, SPECIAL_TOKENS.index(END_OF_TEXT))
    inner.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", pair=f"{END_OF_TEXT} $A {END_OF_TEXT} $B", special_tokens=[first]
    )
    return Tokenizer(inner)


def _of_merges(texts: Iterator[str], size: int, cut: Any, *, ignore_merges: bool) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(models.BPE(ignore_merges=ignore_merges))
    inner.pre_tokenizer = cut
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=_specials(),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return inner


def _of_words(texts: Iterator[str], size: int, cut: Any) -> tokenizers.Tokenizer:
    """Return BPE without a merge, which takes a word that is a token as it is, and the bytes of any other."""
    counting = tokenizers.Tokenizer(models.WordLevel())
    counting.pre_tokenizer = cut
    counting.train_from_iterator(
        texts, trainers.WordLevelTrainer(vocab_size=size, min_frequency=LEAST, special_tokens=[], show_progress=False)
    )
    ranks = counting.get_vocab()  # by how often, then by letters
    named = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = [word for word in sorted(ranks, key=ranks.__getitem__) if len(word) > 1]
    ids = {token: i for i, token in enumerate([*named, *words][:size])}
    inner = tokenizers.Tokenizer(models.BPE(ids, [], ignore_merges=True))
    inner.add_special_tokens(_specials())
    return inner


def _specials() -> list[tokenizers.AddedToken]:
    return [tokenizers.AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS]


def _told(texts: Iterable[str], progress: Progress) -> Iterator[str]:
    done = 0
    for text in texts:
        done += len(text.encode())
        progress("learning the tokenizer", done, None, "bytes")
        yield text
