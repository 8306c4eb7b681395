"""Token sequences as a tree: which requests score all of them with every inner node computed once, and no leaf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sglc.backend.asking import Origin
from sglc.backend.prompt import Prompt
from sglc.backend.request import Completion, Request, Sink, TokenLogprob
from sglc.backend.scoring import SCORING


@dataclass(slots=True)
class _Way:
    """A sequence of the tree, asked for what follows the inner nodes that no way before it passes.

    `score_from` is the first place whose tokens are asked about. `siblings` are those that other sequences have at a
    place, each with its number among them.
    """

    tokens: Sequence[int]
    score_from: int
    siblings: dict[int, dict[int, int]] = field(default_factory=dict)


class ChoiceTree:
    """Sequences of tokens behind a prompt in tokens, each scored from a place on (`firsts`, counted behind the prompt).

    What a node says of the next token is asked of one way through it. Ways come in depth-first order: each finds in the
    cache, or in the very step that computes it, what it shares with those before it, so it computes its own inner nodes
    only. A sequence none of whose inner nodes is its own needs no way.
    """

    def __init__(self, prompt: Prompt, sequences: Sequence[Sequence[int]], firsts: Sequence[int]) -> None:
        """`sequences` are not empty, nor are the parts of them that are scored."""
        self._prompt = prompt
        self._sequences = [tuple(sequence) for sequence in sequences]
        self._firsts = firsts
        self._ways: list[_Way] = []
        self._owners: list[Sequence[int]] = [()] * len(sequences)  # of each scored token: the way that is asked for it
        self._plan_ways()

    def requests(self, sink: Sink, origin: Origin) -> list[Request]:
        """Return a request for each way."""
        before = len(self._prompt.tokens)
        return [
            Request(
                self._prompt.extended(way.tokens).tokens,
                SCORING,
                sink,
                score_from=before + way.score_from,
                siblings={before + place: tuple(tokens) for place, tokens in way.siblings.items()},
                priority=origin.priority,
                planned=origin.planned,
            )
            for way in self._ways
        ]

    def scores(self, answers: Sequence[Completion]) -> list[list[TokenLogprob]]:
        """Return what the answers to the requests, in their order, say of the scored tokens of each sequence."""
        return [
            [self._score(answers[way], self._ways[way], first + i, tokens[first + i]) for i, way in enumerate(owners)]
            for tokens, first, owners in zip(self._sequences, self._firsts, self._owners, strict=True)
        ]

    def _plan_ways(self) -> None:
        sequences = self._sequences
        owners: list[int] = []  # by depth, the way that the node of the current sequence belongs to
        before: Sequence[int] = ()
        # Backwards, so that a sequence comes before those that begin it, which are on its way then.
        for number in sorted(range(len(sequences)), key=sequences.__getitem__, reverse=True):
            tokens, first = sequences[number], self._firsts[number]
            del owners[_shared(before, tokens) + 1 :]
            if len(owners) < len(tokens):
                self._ways.append(_Way(tokens, max(first, len(owners))))
                owners += [len(self._ways) - 1] * (len(tokens) - len(owners))
            for place in range(first, len(tokens)):
                self._note(self._ways[owners[place]], place, tokens[place])
            self._owners[number] = owners[first : len(tokens)]
            before = tokens

    def _note(self, way: _Way, place: int, token: int) -> None:
        """Let a way be asked for a token at a place."""
        way.score_from = min(way.score_from, place)
        if way.tokens[place] != token and not self._begins_prompt(place):
            siblings = way.siblings.setdefault(place, {})
            siblings.setdefault(token, len(siblings))

    def _score(self, answer: Completion, way: _Way, place: int, token: int) -> TokenLogprob:
        if way.tokens[place] == token:
            return answer.input_logprobs[place - way.score_from]
        if self._begins_prompt(place):
            return TokenLogprob(None, token, None)
        assert answer.sibling_logprobs is not None  # it was asked for this one
        logprobs = answer.sibling_logprobs[len(self._prompt.tokens) + place]
        return TokenLogprob(logprobs[way.siblings[place][token]], token, None)

    def _begins_prompt(self, place: int) -> bool:
        """Whether nothing comes before a place, so that no token has a log-probability there."""
        return place == 0 and not len(self._prompt.tokens)


def _shared(one: Sequence[int], two: Sequence[int]) -> int:
    """Return how many tokens two sequences begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
