"""What a program asks of the engine, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sglc.automata.constraint import Constraint
from sglc.backend.claim import Claim
from sglc.backend.random_stream import stream_key
from sglc.backend.step import Ints
from sglc.ir.sampling import SamplingParams

Priority = tuple[int, ...]
"""Lower runs first: (program, branch, …) in the order they came."""


class TokenLogprob(NamedTuple):
    """Log-probability of a token under the model's own distribution; None for a first token, which has none."""

    logprob: float | None
    token_id: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Finish:
    """Why a generation ended, and what matched if a stop did."""

    kind: Literal["stop", "length"]
    matched: str | int | None = None


LENGTH = Finish("length")
"""Neither a stop nor the model ended it: it is as long as it may be."""


@dataclass(slots=True)
class Completion:
    """A finished generation. `tokens` are those kept; `tail` is text of a token that a stop cut in two.

    `sibling_logprobs` has those of the request's `siblings`, by place, in their order.
    """

    text: str
    tokens: Ints
    tail: str
    finish: Finish
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    filled: int
    relogit: int
    refilled: int
    input_logprobs: Sequence[TokenLogprob]
    output_logprobs: Sequence[TokenLogprob]
    input_top: Sequence[list[TokenLogprob]]
    output_top: Sequence[list[TokenLogprob]]
    sibling_logprobs: Mapping[int, Sequence[float]] | None = None


@dataclass(slots=True)
class Delta:
    """A piece of a running generation, for streams: text that no later stop can take back.

    The log-probabilities are those of all `completion_tokens` so far, where they were asked for.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    output_logprobs: list[TokenLogprob]
    output_top: list[list[TokenLogprob]]


DEFAULT_KEY = stream_key(seed=0, row=0, site="")
"""The random stream of a request that names none."""

Event = Completion | Delta | Exception
Sink = Callable[[Sequence[tuple["Request", Event]]], None]
"""Takes events from the engine's thread; must not block."""


@dataclass(slots=True, eq=False)
class Request:
    """One generation, or with `max_new_tokens` 0 and `score_from` one scoring, of a tokenized prompt.

    `stream_key` selects the random stream, `score_from` the first prompt token whose log-probability is wanted.
    `siblings` are tokens that might stand at a place of the prompt instead of its own: theirs are wanted, too. Places
    are behind the first and not before `score_from`. A request is known by its identity; it holds nothing of the
    program that made it.

    `planned`: it comes from a program whose course is known, so waiting requests tell what KV is used next, and when.
    The first number of its `priority` is that of its row. `claim` is made good when it has finished: its row goes on
    from there. `behind` is the claim that it goes on from itself. `ahead` is how many tokens may follow behind its end
    along the longest way, texts and outputs of the row's later requests.
    """

    tokens: Ints
    params: SamplingParams
    sink: Sink
    stream_key: int = DEFAULT_KEY
    score_from: int | None = None
    siblings: Mapping[int, Sequence[int]] | None = None
    constraint: Constraint | None = None
    end_ids: frozenset[int] = frozenset()
    priority: Priority = (0,)
    streamed: bool = False
    cancelled: bool = False
    planned: bool = False
    claim: Claim | None = None
    behind: Claim | None = None
    ahead: int = 0
