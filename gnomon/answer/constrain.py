"""Which tokens may come next, so that what a model says is a well-formed answer or an abstention."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from gnomon.answer.grammar import SLICES, grammar
from gnomon.base.errors import ConfigError, DependencyError
from gnomon.base.optional import need
from gnomon.tokenizer.tokenizer import Tokenizer

ABSTAIN, STOP = "<|abstain|>", "<|/a|>"
"""The token that is an abstention, and the one that ends an answer."""

GRAMMARS = 256
"""Kept compiled, of each tokenizer, but for those with evidence, which do not come again and hold 2 MB each. One
takes 1 to 5 ms, with 1 KB of evidence 6, and a copy of one 3 µs.
"""


class Constraint(Protocol):
    """What one answer may still be. A new one stands before the answer's first token."""

    def allowed(self) -> NDArray[np.bool_]:
        """Return, for each id of the model's vocabulary, whether it may come next; there is always one."""
        ...

    def advance(self, token: int) -> None:
        """Take the token that came. Raises ValueError for one that was not allowed."""
        ...

    @property
    def may_stop(self) -> bool:
        """Whether what came so far is a whole answer."""
        ...


class Constraints:
    """Makes constraints for one tokenizer: `constraints_of` gives it, made once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._library = need("llguidance", extra="constrain", why="answering by the rules of a type")
        try:
            self.abstain, self.stop = tokenizer.special_id(ABSTAIN), tokenizer.special_id(STOP)
        except KeyError as e:
            raise ConfigError(
                f"the tokenizer has no token {e.args[0]}, with which a model abstains or ends an answer",
                do="train with a tokenizer of Gnomon's, or one that `gnomon tokenizer import` wrote",
            ) from None
        self.vocabulary = tokenizer.vocabulary
        self._inner = self._library.LLTokenizer(_Words(tokenizer, self.stop), tokenizer.vocabulary, slices=SLICES)
        self._compiled = lru_cache(GRAMMARS)(self._compile)

    def start(
        self, types: Sequence[str], *, evidence: Sequence[str] | None = None, banned: Iterable[str] = ()
    ) -> Constraint:
        """Return a constraint to answers of any of the types, or to the one token that is an abstention.

        With `evidence`, which may be empty, names and codes are spans of whole words of one of its passages. No text of
        `banned` is an answer.
        """
        written = grammar(types, self.abstain, evidence=evidence, banned=banned)
        matcher, first = self._compile(written) if evidence else self._compiled(written)
        return _Guided(matcher.deep_copy(), first)

    def _compile(self, written: str) -> tuple[Any, NDArray[np.bool_]]:
        """Return a matcher to copy, and its first mask, which is the dearest: 150 to 300 µs."""
        limits = self._library.LLParserLimits(initial_lexer_fuel=50_000_000, step_lexer_fuel=5_000_000)
        matcher = self._library.LLMatcher(self._inner, written, limits=limits)
        if matcher.is_error():
            raise ValueError(f"llguidance refuses the grammar: {matcher.get_error():.500}")
        return matcher, _mask(matcher, self.vocabulary)


class _Guided:
    """llguidance's matcher of one answer, as a Constraint."""

    def __init__(self, matcher: Any, first: NDArray[np.bool_]) -> None:
        self._matcher, self._first, self._vocabulary = matcher, first, len(first)
        self._begun = False

    def allowed(self) -> NDArray[np.bool_]:
        return _mask(self._matcher, self._vocabulary) if self._begun else self._first.copy()

    def advance(self, token: int) -> None:
        self._begun = True
        if not self._matcher.consume_token(token):
            raise ValueError(f"token {token} was not allowed: {self._matcher.get_error():.500}")

    @property
    def may_stop(self) -> bool:
        return self._matcher.is_accepting()


def _mask(matcher: Any, vocabulary: int) -> NDArray[np.bool_]:
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    if matcher.is_error():
        raise ValueError(f"llguidance has no mask: {matcher.get_error():.500}")
    return np.unpackbits(bits, count=vocabulary, bitorder="little").view(np.bool_)


class _Words:
    """A tokenizer as llguidance wants it: bytes of each token, and which are control tokens that no text spells."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, stop: int) -> None:
        self.tokens = tokenizer.token_bytes
        self.special_token_ids = sorted(tokenizer.special_ids)
        self.eos_token_id = stop
        self._tokenizer = ref(tokenizer)  # which keeps what is made of it alive, and not the other way round

    def __call__(self, text: bytes | str) -> list[int]:
        tokenizer = self._tokenizer()
        assert tokenizer is not None
        return tokenizer.encode(text if isinstance(text, str) else text.decode(errors="replace"))


def has_constraints() -> bool:
    """Return whether the package is there that constraints are made with."""
    try:
        need("llguidance", extra="constrain", why="answering by the rules of a type")
    except DependencyError:
        return False
    return True


_OF: WeakKeyDictionary[Tokenizer, Constraints] = WeakKeyDictionary()


def constraints_of(tokenizer: Tokenizer) -> Constraints:
    """Return what makes constraints for a tokenizer: made once for each, in a tenth of a second at 32k tokens.

    Raises DependencyError where llguidance is not installed, ConfigError for a tokenizer without the control tokens.
    """
    if tokenizer not in _OF:
        _OF[tokenizer] = Constraints(tokenizer)
    return _OF[tokenizer]
