"""What a constraint leaves no choice about: the bytes, and the tokens that a model is likely to say for them.

The tokens are those that the tokenizer would write. Where the last of them could merge with what follows, they are held
back: for each byte of the run's end, if some longer token begins with the bytes from there on and the constraint could
allow it there, all tokens that reach beyond that byte are left out. llguidance has the same rule.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from sglc.automata.byte_steps import ByteSteps, reached_below
from sglc.automata.vocabulary import Vocabulary
from sglc.automata.vocabulary_trie import ROOT

MAX_DRAFT_BYTES = 256
"""How much of a forced run a draft spells; the rest is spelled once the model has said this."""

_TOKENS_THAT_MAY_MERGE = 4


class ForcedTokens:
    """The forced runs of an automaton over a vocabulary, worked out once a state. As safe for threads as its steps."""

    def __init__(self, steps: ByteSteps, vocabulary: Vocabulary) -> None:
        self._steps = steps
        self._vocabulary = vocabulary
        self._drafts: dict[Hashable, tuple[int, ...]] = {}
        self._extended: dict[tuple[bytes, Hashable], bool] = {}

    def forced(self, state: Hashable, most: int | None = None) -> bytes:
        """Return the bytes, at most `most` of them, that every member goes on with from a state."""
        run = bytearray()
        while (most is None or len(run) < most) and (step := self._steps.forced_step(state)) is not None:
            byte, state = step
            run.append(byte)
        return bytes(run)

    def draft(self, state: Hashable) -> tuple[int, ...]:
        """Return the draft of what is forced from a state on. The tokenizer is asked once a state."""
        tokens = self._drafts.get(state)
        if tokens is None:
            run = whole_characters(self.forced(state, MAX_DRAFT_BYTES))
            end = self._steps.walk(state, run)
            tokens = self._drafts[state] = spelled(run, self._vocabulary, lambda suffix: self._may_extend(suffix, end))
        return tokens

    def _may_extend(self, suffix: bytes, end: Hashable) -> bool:
        """Whether a token begins with a suffix of a run and goes on as the constraint may, from the run's end."""
        known = self._extended.get((suffix, end))
        if known is None:
            trie = self._vocabulary.trie
            node = trie.walk(ROOT, suffix)
            below = () if node is None else reached_below(self._steps, end, trie, node)
            known = self._extended[suffix, end] = any(bool(trie.is_text[nodes].any()) for nodes in below)
        return known


def whole_characters(run: bytes) -> bytes:
    """Return a run without a character that it has only the first bytes of; nothing where it begins inside one."""
    try:
        run.decode()
    except UnicodeDecodeError as error:
        return run[: error.start] if error.reason == "unexpected end of data" else b""
    return run


def spelled(run: bytes, vocabulary: Vocabulary, may_extend: Callable[[bytes], bool]) -> tuple[int, ...]:
    """Return the tokens that a model which writes like its tokenizer would say for a run of whole characters.

    `may_extend(suffix)` says whether a longer token may follow where that suffix of the run begins. There are no tokens
    where the vocabulary does not know how its tokenizer writes.
    """
    if not run or vocabulary.encode is None:
        return ()
    tokens = vocabulary.encode(run.decode())
    texts = [vocabulary.tokens[token] for token in tokens]
    if b"".join(texts) != run:  # a normalizer changed the text
        return ()
    return tuple(tokens[: _certain(run, texts, may_extend)])


def _certain(run: bytes, texts: Sequence[bytes], may_extend: Callable[[bytes], bool]) -> int:
    """Return how many tokens of a run stay the same whatever follows it."""
    tail = sum(map(len, texts[-_TOKENS_THAT_MAY_MERGE:]))
    place = next((place for place in range(len(run) - tail, len(run)) if may_extend(run[place:])), len(run))
    end = 0
    for count, text in enumerate(texts):
        end += len(text)
        if end > place:
            return count
    return len(texts)
