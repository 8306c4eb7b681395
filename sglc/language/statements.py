"""The statements of a state: each changes the prompt in its turn, some only when the engine has answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sglc.automata.constraint import Constraint
from sglc.automata.token_constraint import compile_json_schema, compile_regex
from sglc.backend.prompt import Piece, Prompt
from sglc.backend.random_stream import stream_key
from sglc.backend.request import Completion, Delta, Event, Request, TokenLogprob
from sglc.errors import Cancelled, EngineError, Location, ProgramError
from sglc.ir.sampling import SamplingParams
from sglc.language.future import Future
from sglc.language.primitives import Gen, Select
from sglc.language.reasoning import split_reasoning

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.language.line import PromptLine

_SCORING = SamplingParams(max_new_tokens=0, return_logprob=True, temperature=0.0)


class Action:
    """A statement that needs no engine: a function of the state, run in its turn."""

    __slots__ = ("_failed", "_run")

    def __init__(self, run: Callable[[], None], failed: Callable[[BaseException], None] | None = None) -> None:
        self._run = run
        self._failed = failed

    def start(self, state: PromptLine) -> bool:
        """Do it; return True: the next statement can follow at once."""
        self._run()
        return True

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be done."""
        if self._failed is not None:
            self._failed(error)


class Awaiting:
    """A statement that waits for a future, then acts on its value."""

    __slots__ = ("_act", "_future")

    def __init__(self, future: Future, act: Callable[[Any], None]) -> None:
        self._future = future
        self._act = act

    def start(self, state: PromptLine) -> bool:
        """Act at once if the future is done, else when it is; the state goes on behind that."""
        if self._future.done:
            self._arrived(state)
            return True
        self._future.when_done(lambda: self._arrived(state, resume=True))
        return False

    def _arrived(self, state: PromptLine, resume: bool = False) -> None:
        if self._future.error is not None:
            self._future.seen = True
            state.poison(self._future.error)
            return
        self._act(self._future.result())
        if resume:
            state.advance()

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be done."""


class TemplateText:
    """A piece of the chat template."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def start(self, state: PromptLine) -> bool:
        """Append it, its special tokens recognized."""
        tokenizer = state.row.engine.tokenizer
        at_start = not state.prompt.started and not state.prompt.tail
        pieces: Sequence[Piece] = tokenizer.template_pieces(self._text, at_start=at_start)
        state.pieces.append(self._text)
        state.prompt = state.prompt.append_template(pieces, tokenizer.prefix)
        return True

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be appended."""


class Generation:
    """A `gen` on its way: one request, or `n`; the prompt continues with the first one's text."""

    __slots__ = (
        "_completions",
        "_gen",
        "_missing",
        "_params",
        "_prompt",
        "_site",
        "future",
        "in_message",
        "sent",
        "state",
        "thoughts",
    )

    def __init__(self, gen: Gen, params: SamplingParams, site: str, future: Future, thoughts: Future | None) -> None:
        self._gen = gen
        self._params = params
        self._site = site
        self.future = future
        self.thoughts = thoughts
        self.in_message = False
        self._completions: list[Completion | None] = []
        self.sent: list[Request] = []
        self._missing = 0

    def start(self, state: PromptLine) -> bool:
        """Join the requests that the loop hands to the engine in one go."""
        self.state = state
        state.row.loop.pending.append(self)
        return False

    @property
    def location(self) -> Location | None:
        """Where the generation is written."""
        return self._gen.location

    @property
    def answered(self) -> bool:
        """Whether no event is to come."""
        return self.future.done

    def texts(self) -> list[tuple[str, bool]]:
        """Return the texts to be tokenized, each with whether it begins the prompt."""
        return self.state.prompt.texts(self.state.row.engine.tokenizer.restarts_after_special)

    def requests(self, encoded: Sequence[Sequence[int]]) -> list[Request]:
        """Return the engine's requests, given the encodings of `texts()`."""
        state, params = self.state, self._params
        row = state.row
        tokenizer = row.engine.tokenizer
        self._prompt = state.prompt.settle(encoded, tokenizer.prefix)
        chat = tokenizer.chat if self.in_message else None
        end_ids: frozenset[int] = chat.end_ids if chat is not None else frozenset()
        if chat is not None and chat.end_strings:
            params = replace(params, stop=(*params.stop, *chat.end_strings))
        score_from = params.logprob_start_len if params.return_logprob else None
        if score_from is not None and score_from > len(self._prompt.tokens):
            found = f"found logprob_start_len = {score_from}"
            raise ProgramError(
                f"{found}; wanted at most {len(self._prompt.tokens)}, the prompt's tokens", self.location
            )
        self._missing = params.n
        self._completions = [None] * params.n
        self.sent = [
            Request(
                tokens=self._prompt.tokens,
                params=params,
                sink=row.loop.inbox.put,
                stream_key=stream_key(params.seed or 0, row.index, f"{self._site}:{sample}"),
                score_from=score_from,
                constraint=_constraint(self._gen, row.engine),
                end_ids=end_ids,
                priority=row.priority,
                streamed=row.streamed and sample == 0 and self._gen.reasoning is None,
            )
            for sample in range(params.n)
        ]
        return self.sent

    def deliver(self, request: Request, event: Event) -> None:
        """Take an event of one of the requests."""
        if isinstance(event, Completion):
            self.state.row.account(event)
            self._completions[self.sent.index(request) if self._params.n > 1 else 0] = event
            self._missing -= 1
            if self._missing == 0:
                self._finish([c for c in self._completions if c is not None])
        elif isinstance(event, Delta):
            self.future.live += event.text
            self.future.meta = {
                "prompt_tokens": event.prompt_tokens,
                "completion_tokens": event.completion_tokens,
                "finish_reason": None,
                "output_token_logprobs": event.output_logprobs,
                "output_top_logprobs": event.output_top,
            }
            self.state.live += event.text
        else:
            for other in self.sent:
                other.cancelled = True
            error = EngineError(str(event), self.location)
            error.__cause__ = event.__cause__
            self.fail(error)
            self.state.poison(error)

    def cancel(self) -> None:
        """Withdraw the requests from the engine, and give up the state."""
        for request in self.sent:
            request.cancelled = True
        error = Cancelled("found the program closed before this was finished; wanted it read to its end")
        self.fail(error)
        self.state.poison(error)

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be answered."""
        self.future.fail(error)
        if self.thoughts is not None:
            self.thoughts.fail(error)

    def _finish(self, completions: list[Completion]) -> None:
        state, first = self.state, completions[0]
        texts = [completion.text for completion in completions]
        if self._gen.reasoning is not None:
            split = [split_reasoning(text, self._gen.reasoning) for text in texts]
            texts = [answer for _, answer in split]
            if self.thoughts is not None:
                thoughts = [thought for thought, _ in split]
                self.thoughts.set(thoughts if self._params.n > 1 else thoughts[0])
            state.prompt = state.prompt.append(texts[0])  # the thoughts never were in it
        else:
            state.prompt = self._prompt.extended(first.tokens).append(first.tail)
        state.pieces.append(texts[0])
        state.live = ""
        metas = [_meta(completion) for completion in completions]
        self.future.meta = metas[0] if self._params.n == 1 else {**metas[0], "samples": metas}
        self.future.finish = first.finish.kind
        self.future.live = texts[0]
        self.future.set(texts if self._params.n > 1 else texts[0])
        state.advance()


class Choice:
    """A `select` on its way: one scoring per choice, two for methods that compare with the empty prompt."""

    __slots__ = ("_base", "_missing", "_results", "_select", "_tokens", "future", "sent", "state")

    def __init__(self, select: Select, future: Future) -> None:
        self._select = select
        self.future = future
        self.sent: list[Request] = []
        self._tokens: list[list[int]] = []

    def start(self, state: PromptLine) -> bool:
        """Join the requests that the loop hands to the engine in one go."""
        self.state = state
        state.row.loop.pending.append(self)
        return False

    @property
    def location(self) -> Location | None:
        """Where the choice is written."""
        return self._select.location

    @property
    def answered(self) -> bool:
        """Whether no event is to come."""
        return self.future.done

    def texts(self) -> list[tuple[str, bool]]:
        """Return the texts before the choices that they are not tokenized together with."""
        return self._split()[0].texts(self.state.row.engine.tokenizer.restarts_after_special)

    def _split(self) -> tuple[Prompt, str]:
        """Return the prompt without the text just before the choices, and that text."""
        prompt = self.state.prompt
        if prompt.tail and isinstance(prompt.tail[-1], str):
            return Prompt(prompt.tokens, prompt.tail[:-1], prompt.started), prompt.tail[-1]
        return prompt, ""

    def requests(self, encoded: Sequence[Sequence[int]]) -> list[Request]:
        """Return the scorings, given the encodings of `texts()`."""
        row = self.state.row
        tokenizer = row.engine.tokenizer
        before, text = self._split()
        restarting = bool(before.tail) and tokenizer.restarts_after_special  # a special token is just before
        at_start = restarting or not (before.started or before.tail)
        self._base = before.settle(encoded, tokenizer.prefix)
        scored: list[list[int]] = []
        for choice in self._select.choices:
            ids, ends = tokenizer.encode_with_ends(text + choice, at_start=at_start)
            first = next((i for i, end in enumerate(ends) if end > len(text)), None)
            if first is None:
                raise ProgramError(f"found the choice {choice!r}, which has no tokens; wanted text", self.location)
            self._tokens.append(ids)
            scored.append(ids[first:])
            self.sent.append(self._scoring(self._base.extended(ids), len(self._base.tokens) + first))
        if self._select.method.needs_unconditional:
            self.sent += [self._scoring(Prompt(started=True).extended(ids), 0) for ids in scored]
        self._missing = len(self.sent)
        self._results: list[list[TokenLogprob]] = [[] for _ in self.sent]
        return self.sent

    def _scoring(self, prompt: Prompt, score_from: int) -> Request:
        row = self.state.row
        return Request(prompt.tokens, _SCORING, row.loop.inbox.put, score_from=score_from, priority=row.priority)

    def deliver(self, request: Request, event: Event) -> None:
        """Take an event of one of the scorings."""
        if isinstance(event, Completion):
            self.state.row.account(event)
            self._results[self.sent.index(request)] = event.input_logprobs
            self._missing -= 1
            if self._missing == 0:
                self._decide()
        elif isinstance(event, Exception):
            for other in self.sent:
                other.cancelled = True
            error = EngineError(str(event), self.location)
            self.fail(error)
            self.state.poison(error)

    def cancel(self) -> None:
        """Withdraw the requests from the engine, and give up the state."""
        for request in self.sent:
            request.cancelled = True
        error = Cancelled("found the program closed before this was finished; wanted it read to its end")
        self.fail(error)
        self.state.poison(error)

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be answered."""
        self.future.fail(error)

    def _decide(self) -> None:
        count = len(self._select.choices)
        rows = [[entry.logprob or 0.0 for entry in result] for result in self._results]
        method = self._select.method
        decision = method.decide(rows[:count], rows[count:] if method.needs_unconditional else None)
        chosen = self._select.choices[decision.index]
        state = self.state
        state.prompt = self._base.extended(self._tokens[decision.index])
        state.pieces.append(chosen)
        self.future.meta = {
            "input_token_logprobs": self._results[:count],
            "output_token_logprobs": [[] for _ in range(count)],
            **decision.meta_info,
        }
        if method.needs_unconditional:
            self.future.meta["unconditional_token_logprobs"] = self._results[count:]
        self.future.live = chosen
        self.future.set(chosen)
        state.advance()


Pending = Generation | Choice
Statement = Action | Awaiting | TemplateText | Generation | Choice


def _constraint(gen: Gen, engine: Engine) -> Constraint | None:
    if gen.regex is not None:
        return compile_regex(gen.regex, engine.token_bytes)
    return compile_json_schema(gen.json_schema, engine.token_bytes) if gen.json_schema is not None else None


def _meta(completion: Completion) -> dict[str, Any]:
    finish = completion.finish
    reason: dict[str, Any] = {"type": finish.kind}
    if finish.kind == "length":
        reason["length"] = completion.completion_tokens
    else:
        reason["matched"] = finish.matched
    return {
        "prompt_tokens": completion.prompt_tokens,
        "cached_tokens": completion.cached_tokens,
        "completion_tokens": completion.completion_tokens,
        "finish_reason": reason,
        "input_token_logprobs": completion.input_logprobs,
        "output_token_logprobs": completion.output_logprobs,
        "input_top_logprobs": completion.input_top,
        "output_top_logprobs": completion.output_top,
    }
