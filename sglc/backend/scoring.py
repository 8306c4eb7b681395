"""What a choice asks of the engine: how its texts are scored, and what the decision does to the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sglc.backend.asking import Asking, Origin
from sglc.backend.choices import ChoicesSamplingMethod
from sglc.backend.prompt import Prompt
from sglc.backend.request import Completion, Request, Sink
from sglc.errors import Location, ProgramError, SglcError
from sglc.ir.sampling import SamplingParams

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.tokenizer import Tokenizer

_SCORING = SamplingParams(max_new_tokens=0, return_logprob=True, temperature=0.0)


class Scored:
    """What came of a choice: the chosen text, and its tokens with those of the text just before the choices."""

    __slots__ = ("_tokens", "completions", "meta", "text")

    finish = None
    reasoning = None

    def __init__(self, text: str, meta: dict[str, Any], tokens: list[int], completions: list[Completion]) -> None:
        self.text = text
        self.meta = meta
        self.completions = completions
        self._tokens = tokens

    @property
    def value(self) -> str:
        """The chosen text."""
        return self.text

    def behind(self, settled: Prompt) -> Prompt:
        """Return the prompt up to the text just before the choices, in tokens, with that text and the chosen one."""
        return settled.extended(self._tokens)


def split_before_choices(prompt: Prompt) -> tuple[Prompt, str]:
    """Return a prompt without the text at its end, and that text: choices are tokenized together with it."""
    if prompt.tail and isinstance(prompt.tail[-1], str):
        return Prompt(prompt.tokens, prompt.tail[:-1], prompt.started), prompt.tail[-1]
    return prompt, ""


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
        restarting = bool(before.tail) and tokenizer.restarts_after_special  # a special token is just before
        at_start = restarting or not (before.started or before.tail)
        self._base = before.settle(encoded, tokenizer.prefix)
        scored: list[list[int]] = []
        requests: list[Request] = []
        for choice in self._choices:
            ids, ends = tokenizer.encode_with_ends(text + choice, at_start=at_start)
            first = next((i for i, end in enumerate(ends) if end > len(text)), None)
            if first is None:
                raise ProgramError(f"found the choice {choice!r}, which has no tokens; wanted text")
            self._tokens.append(ids)
            scored.append(ids[first:])
            requests.append(self._scoring(self._base.extended(ids), len(self._base.tokens) + first, sink))
        if self._method.needs_unconditional:
            requests += [self._scoring(Prompt(started=True).extended(ids), 0, sink) for ids in scored]
        self.sent = requests
        return requests

    def _scoring(self, prompt: Prompt, score_from: int, sink: Sink) -> Request:
        return Request(prompt.tokens, _SCORING, sink, score_from=score_from, priority=self._origin.priority)

    def _finish(self, answers: list[Completion]) -> None:
        count = len(self._choices)
        scores = [[*answer.input_logprobs] for answer in answers]
        rows = [[entry.logprob or 0.0 for entry in score] for score in scores]
        unconditional = self._method.needs_unconditional
        decision = self._method.decide(rows[:count], rows[count:] if unconditional else None)
        meta = {
            "input_token_logprobs": scores[:count],
            "output_token_logprobs": [[] for _ in range(count)],
            **decision.meta_info,
        }
        if unconditional:
            meta["unconditional_token_logprobs"] = scores[count:]
        chosen = decision.index
        self._done(Scored(self._choices[chosen], meta, self._tokens[chosen], answers), self._base)
