"""What a choice asks of the engine: how its texts are scored, and what the decision does to the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sglc.backend.asking import Asking, Origin
from sglc.backend.choices import ChoicesSamplingMethod
from sglc.backend.prompt import Prompt
from sglc.backend.request import Completion, Request, Sink, TokenLogprob
from sglc.errors import Location, ProgramError, SglcError
from sglc.ir.sampling import SamplingParams

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.tokenizer import Tokenizer

Scores = Sequence[TokenLogprob]
"""The log-probabilities of the tokens of a choice that are scored."""

SCORING = SamplingParams(max_new_tokens=0, return_logprob=True, temperature=0.0)
"""What a request asks that only has its own tokens scored."""


class Scored:
    """What came of a choice: the chosen text, and the prompt with it, in tokens."""

    __slots__ = ("_prompt", "completions", "meta", "text")

    finish = None
    reasoning = None
    borrowed = False

    def __init__(self, text: str, meta: dict[str, Any], prompt: Prompt, completions: list[Completion]) -> None:
        self.text = text
        self.meta = meta
        self.completions = completions
        self._prompt = prompt

    @property
    def value(self) -> str:
        """The chosen text."""
        return self.text

    def behind(self, settled: Prompt) -> Prompt:
        """Return the prompt with the chosen text behind it, in tokens.

        `settled`, the prompt up to where the text begins that the choices were tokenized with, is part of it: how far
        that goes back is known to whoever asked.
        """
        return self._prompt


def split_before_choices(prompt: Prompt) -> tuple[Prompt, str]:
    """Return a prompt without the text at its end, and that text: choices are tokenized together with it."""
    if prompt.tail and isinstance(prompt.tail[-1], str):
        return Prompt(prompt.tokens, prompt.tail[:-1], prompt.started), prompt.tail[-1]
    return prompt, ""


def begins_text(before: Prompt, tokenizer: Tokenizer) -> bool:
    """Whether text behind a prompt that is tokenized apart from it is encoded as the beginning of one."""
    if before.tail and isinstance(before.tail[-1], int):  # a special token
        return tokenizer.restarts_after_special
    return before.is_empty


def first_scored(choice: str, text: str, ends: Sequence[int]) -> int:
    """Return the first token of `text + choice` that is not wholly inside `text`, given where its tokens end.

    Raises ProgramError for a choice without tokens.
    """
    first = next((i for i, end in enumerate(ends) if end > len(text)), None)
    if first is None:
        raise ProgramError(f"found the choice {choice!r}, which has no tokens; wanted text")
    return first


def decide(
    choices: Sequence[str],
    method: ChoicesSamplingMethod,
    base: Prompt,
    tokens: Sequence[list[int]],
    scores: Sequence[Scores],
    unconditional: Sequence[Scores] | None,
    answers: list[Completion],
) -> Scored:
    """Return what comes of choices with these scores.

    `tokens` are theirs with those of the text just before them, `base` is the prompt up to there, in tokens.
    """
    rows = _logprobs(scores)
    decision = method.decide(rows, None if unconditional is None else _logprobs(unconditional))
    meta = {
        "input_token_logprobs": [[*score] for score in scores],
        "output_token_logprobs": [[] for _ in choices],
        **decision.meta_info,
    }
    if unconditional is not None:
        meta["unconditional_token_logprobs"] = [[*score] for score in unconditional]
    return Scored(choices[decision.index], meta, base.extended(tokens[decision.index]), answers)


def _logprobs(scores: Sequence[Scores]) -> list[list[float]]:
    return [[entry.logprob or 0.0 for entry in score] for score in scores]


class Scoring(Asking):
    """A choice on its way: one scoring per text, two for methods that compare with the empty prompt.

    `done` gets what came of it, and the prompt up to the text just before the choices, in tokens.
    """

    __slots__ = ("_base", "_choices", "_done", "_method", "_prompt", "_tokens")

    def __init__(
        self,
        choices: Sequence[str],
        method: ChoicesSamplingMethod,
        prompt: Prompt,
        origin: Origin,
        done: Callable[[Scored, Prompt], None],
        failed: Callable[[SglcError], None],
        location: Location | None = None,
    ) -> None:
        super().__init__(origin, failed, location)
        self._choices = choices
        self._method = method
        self._prompt = prompt
        self._done = done
        self._tokens: list[list[int]] = []

    def texts(self, tokenizer: Tokenizer) -> list[tuple[str, bool]]:
        """Return the texts before the choices that they are not tokenized together with."""
        return split_before_choices(self._prompt)[0].texts(tokenizer.restarts_after_special)

    def requests(self, encoded: Sequence[Sequence[int]], engine: Engine, sink: Sink) -> Sequence[Request]:
        """Return the scorings. Raises ProgramError for a choice without tokens."""
        tokenizer = engine.tokenizer
        before, text = split_before_choices(self._prompt)
        at_start = begins_text(before, tokenizer)
        self._base = before.settle(encoded, tokenizer.prefix)
        scored: list[list[int]] = []
        requests: list[Request] = []
        for choice in self._choices:
            ids, ends = tokenizer.encode_with_ends(text + choice, at_start=at_start)
            first = first_scored(choice, text, ends)
            self._tokens.append(ids)
            scored.append(ids[first:])
            requests.append(self._scoring(self._base.extended(ids), len(self._base.tokens) + first, sink))
        if self._method.needs_unconditional:
            requests += [self._scoring(Prompt(started=True).extended(ids), 0, sink) for ids in scored]
        self.sent = requests
        return requests

    def _scoring(self, prompt: Prompt, score_from: int, sink: Sink) -> Request:
        return Request(
            prompt.tokens,
            SCORING,
            sink,
            score_from=score_from,
            priority=self.origin.priority,
            planned=self.origin.planned,
        )

    def _finish(self, answers: list[Completion]) -> None:
        count = len(self._choices)
        scores = [answer.input_logprobs for answer in answers]
        unconditional = scores[count:] if self._method.needs_unconditional else None
        scored = decide(self._choices, self._method, self._base, self._tokens, scores[:count], unconditional, answers)
        self._done(scored, self._base)
