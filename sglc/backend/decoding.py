"""What a generation asks of the engine, and what its answer means."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sglc.automata.constraint import Constraint
from sglc.automata.token_constraint import TokenConstraint, compile_grammar, compile_json_schema, compile_regex
from sglc.automata.token_limits import check_reach, most_tokens, whole_texts
from sglc.backend.asking import Asking, Origin
from sglc.backend.prompt import Prompt
from sglc.backend.random_stream import stream_key
from sglc.backend.reasoning import split_reasoning
from sglc.backend.request import Completion, Delta, Request, Sink
from sglc.errors import Location, ProgramError, SglcError
from sglc.ir.sampling import SamplingParams

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.step import Ints
    from sglc.backend.tokenizer import Tokenizer


class Decode:
    """A generation but for its prompt: the same for all rows that come to it, on one engine.

    `site` names its random stream. `in_message`: the end of an assistant's message ends it. `reasoning` names the kind
    of thinking model whose thoughts are taken out. `regex`, `json_schema` and `grammar` exclude each other; with
    `complete`, what they constrain is whole at the last token at the latest. `shared`: an answer is good for all that
    ask the same.
    """

    __slots__ = (
        "_asked",
        "complete",
        "grammar",
        "in_message",
        "json_schema",
        "location",
        "params",
        "reasoning",
        "regex",
        "shared",
        "site",
    )

    def __init__(
        self,
        params: SamplingParams,
        site: str,
        *,
        in_message: bool = False,
        reasoning: str | None = None,
        regex: str | None = None,
        json_schema: str | None = None,
        grammar: str | None = None,
        complete: bool = False,
        shared: bool = False,
        location: Location | None = None,
    ) -> None:
        self.params = params
        self.site = site
        self.in_message = in_message
        self.reasoning = reasoning
        self.regex = regex
        self.json_schema = json_schema
        self.grammar = grammar
        self.complete = complete
        self.shared = shared
        self.location = location
        self._asked: _Asked | None = None

    def asked(self, engine: Engine) -> _Asked:
        """Return what every request of it has in common. Raises an SglcError for what can't be asked."""
        if self._asked is None:
            chat = engine.tokenizer.chat if self.in_message else None
            params = self.params
            if chat is not None and chat.end_strings:
                try:
                    params = replace(params, stop=(*params.stop, *chat.end_strings))
                except ValueError as error:
                    raise ProgramError(f"{error}, the end of the chat template's messages included") from None
            end_ids: frozenset[int] = chat.end_ids if chat is not None else frozenset()
            self._asked = self._constrained(params, end_ids, engine)
        return self._asked

    @property
    def draw(self) -> Hashable:
        """What two generations share only if they say the same behind the same tokens."""
        constrained = self.regex, self.json_schema, self.grammar, self.complete
        return (self.params, self.in_message, self.reasoning, *constrained)

    @property
    def constrained(self) -> bool:
        """Whether not every text may be said."""
        return self.regex is not None or self.json_schema is not None or self.grammar is not None

    def _constrained(self, params: SamplingParams, end_ids: frozenset[int], engine: Engine) -> _Asked:
        """Return what is asked, with no more tokens than the longest member can have.

        Raises a ProgramError where no member can be said within the tokens, before any is.
        """
        constraint = self._constraint(engine)
        if constraint is None:
            return _Asked(params, end_ids, None)
        most = most_tokens(constraint.table)
        if most is not None and most < params.max_new_tokens:
            params = replace(params, max_new_tokens=max(most, params.min_new_tokens))
        if params.max_new_tokens:
            check_reach(constraint.table, params.max_new_tokens)
        if self.complete:
            return _Asked(params, end_ids, whole_texts(constraint.table, params.max_new_tokens))
        return _Asked(params, end_ids, constraint)

    def _constraint(self, engine: Engine) -> TokenConstraint | None:
        if self.regex is not None:
            return compile_regex(self.regex, engine.vocabulary)
        if self.grammar is not None:
            return compile_grammar(self.grammar, engine.vocabulary)
        return compile_json_schema(self.json_schema, engine.vocabulary) if self.json_schema is not None else None


class _Asked(NamedTuple):
    """The parts of a request that do not depend on the row."""

    params: SamplingParams
    end_ids: frozenset[int]
    constraint: Constraint | None


class Decoded:
    """What came of a generation. What is seldom looked at is made when it is."""

    __slots__ = ("_meta", "_others", "_several", "_split", "borrowed", "first", "reasoning")

    def __init__(self, decode: Decode, completions: Sequence[Completion], borrowed: bool = False) -> None:
        """`borrowed`: another asked the same, and this one has cost nothing."""
        self.borrowed = borrowed
        self.first = completions[0]
        self.reasoning = decode.reasoning
        self._others = tuple(completions[1:])
        self._several = decode.params.n > 1
        self._split: list[tuple[str, str]] | None = None
        self._meta: dict[str, Any] | None = None

    def behind(self, settled: Prompt) -> Prompt:
        """Return the prompt, which is in tokens, with the first sample behind it.

        Not for answers without their thoughts: those go on from the prompt as text like any other.
        """
        return settled.extended(self.first.tokens).append(self.first.tail)

    @property
    def completions(self) -> tuple[Completion, ...]:
        """The samples in order."""
        return (self.first, *self._others)

    @property
    def text(self) -> str:
        """The text that the prompt goes on with."""
        return self.first.text if self.reasoning is None else self._parts()[0][1]

    @property
    def value(self) -> Any:
        """The text, or of several samples the list of their texts."""
        return [answer for _, answer in self._parts()] if self._several else self.text

    @property
    def thoughts(self) -> Any:
        """The thoughts that were taken out, or of several samples the list of them."""
        return [thought for thought, _ in self._parts()] if self._several else self._parts()[0][0]

    def _parts(self) -> list[tuple[str, str]]:
        """Return the thoughts and the answer of each sample."""
        if self._split is None:
            texts = [completion.text for completion in self.completions]
            kind = self.reasoning
            self._split = [("", text) if kind is None else split_reasoning(text, kind) for text in texts]
        return self._split

    @property
    def meta(self) -> dict[str, Any]:
        """Token counts, the finish reason and log-probabilities: of the first sample, and of each as `samples`."""
        if self._meta is None:
            metas = [_meta(completion) for completion in self.completions]
            self._meta = {**metas[0], "samples": metas} if self._several else metas[0]
        return self._meta

    @property
    def finish(self) -> str:
        """Why the first sample ended: stop or length."""
        return self.first.finish.kind


class Decoding(Asking):
    """A generation on its way: one request, or `n`. `done` gets what came of it, and the prompt in tokens."""

    __slots__ = ("_decode", "_done", "_prompt", "_settled", "_shown", "answers")

    def __init__(
        self,
        decode: Decode,
        prompt: Prompt,
        origin: Origin,
        done: Callable[[Decoded, Prompt], None],
        failed: Callable[[SglcError], None],
        shown: Callable[[Delta], None] | None = None,
    ) -> None:
        super().__init__(origin, failed, decode.location)
        self._decode = decode
        self._prompt = prompt
        self._done = done
        self._shown = shown
        self.answers: list[Completion] | None = None  # of one that others may share

    def texts(self, tokenizer: Tokenizer) -> list[tuple[str, bool]]:
        """Return the texts to be tokenized, each with whether it counts as the beginning of one."""
        return self._prompt.texts(tokenizer.restarts_after_special)

    def requests(self, encoded: Sequence[Sequence[int]], engine: Engine, sink: Sink) -> Sequence[Request]:
        """Return a request a sample. Raises an SglcError for what can't be asked."""
        decode, origin = self._decode, self.origin
        settled = self._settled = self._prompt.settle(encoded, engine.tokenizer.prefix)
        score_from = decode.params.logprob_start_len if decode.params.return_logprob else None
        if score_from is not None and score_from > len(settled.tokens):
            found = f"found logprob_start_len = {score_from}"
            raise ProgramError(f"{found}; wanted at most {len(settled.tokens)}, the prompt's tokens")
        params, end_ids, constraint = decode.asked(engine)
        self.sent = [
            Request(
                tokens=settled.tokens,
                params=params,
                sink=sink,
                stream_key=stream_key(params.seed or 0, origin.row, f"{decode.site}:{sample}"),
                score_from=score_from,
                constraint=constraint,
                end_ids=end_ids,
                priority=origin.priority,
                streamed=origin.streamed and sample == 0 and decode.reasoning is None,
                planned=origin.planned,
            )
            for sample in range(params.n)
        ]
        return self.sent

    @property
    def decode(self) -> Decode:
        """What is asked, but for the prompt."""
        return self._decode

    @property
    def asked_tokens(self) -> Ints:
        """The prompt's tokens, once they are known."""
        return self._settled.tokens

    def take(self, answers: Sequence[Completion]) -> None:
        """Take the answers to another that asked the same."""
        self.answered = True
        self.sent = ()
        self._done(Decoded(self._decode, answers, borrowed=True), self._settled)

    def _finish(self, answers: list[Completion]) -> None:
        if self._decode.shared:
            self.answers = answers
        self._done(Decoded(self._decode, answers), self._settled)

    def _show(self, delta: Delta) -> None:
        if self._shown is not None:
            self._shown(delta)


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
        "input_token_logprobs": [*completion.input_logprobs],
        "output_token_logprobs": [*completion.output_logprobs],
        "input_top_logprobs": [*completion.input_top],
        "output_top_logprobs": [*completion.output_top],
    }
