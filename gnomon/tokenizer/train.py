"""Learns the merges of a byte-level BPE tokenizer from text."""

from collections.abc import Iterable, Iterator

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from gnomon.base.progress import Progress, silent
from gnomon.taxonomy import END_OF_TEXT, SPECIAL_TOKENS
from gnomon.tokenizer.pretokenizer import PRETOKENIZERS
from gnomon.tokenizer.tokenizer import Tokenizer

SMALLEST = -(-(len(SPECIAL_TOKENS) + 256) // 64) * 64
"""The least vocabulary: special tokens and bytes, no merges."""


def train_tokenizer(texts: Iterable[str], vocabulary: int, pretokenizer: str, progress: Progress = silent) -> Tokenizer:
    """Return a tokenizer of at most `vocabulary` ids, learned from `texts`; fewer where the text supports
    no more merges, and none but bytes where SMALLEST is asked for.

    The names of special tokens in `texts` are plain text. Documents in training begin with end-of-text,
    so `add_special_tokens=True` in other libraries puts it first.
    """
    # llama.cpp takes a word that is a token as it is, without merging, where the pre-tokenizer is llama-bpe
    inner = tokenizers.Tokenizer(models.BPE(ignore_merges=pretokenizer == "llama-bpe"))
    split = pre_tokenizers.Split(tokenizers.Regex(PRETOKENIZERS[pretokenizer]), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary if vocabulary > SMALLEST else len(SPECIAL_TOKENS) + 256,
        special_tokens=[tokenizers.AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_told(texts, progress), trainer)
    first = (END_OF_TEXT, SPECIAL_TOKENS.index(END_OF_TEXT))
    inner.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", pair=f"{END_OF_TEXT} $A {END_OF_TEXT} $B", special_tokens=[first]
    )
    return Tokenizer(inner)


def _told(texts: Iterable[str], progress: Progress) -> Iterator[str]:
    done = 0
    for text in texts:
        done += len(text.encode())
        progress("learning the tokenizer", done, None, "bytes")
        yield text
