"""A request while it runs: its tokens, the KV they have, its text, and whether it is over."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sglc.backend.drafts import FIRST_LENGTH, drafted, next_length
from sglc.backend.request import LENGTH, Completion, Delta, Event, Finish, Request, TokenLogprob
from sglc.backend.step import Edits
from sglc.backend.stops import stop_matcher
from sglc.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sglc.backend.detokenizer import Detokenizer
    from sglc.backend.radix import Node
    from sglc.backend.step import Ints
    from sglc.backend.tokenizer import Tokenizer

_MOST_AHEAD = 64
"""Slots for outputs that a sequence has room for from the beginning."""

_NO_SLOTS: Ints = np.empty(0, np.int64)
_NOTHING: Any = ()
"""In place of lists of what is not there yet, or not asked for: thousands that wait keep the garbage collector busy."""


class Sequence:
    """Mutable state of one request in the engine.

    Positions 0 .. `kv` - 1 have a slot; the first `shared` of these slots belong to the radix tree (the path to
    `node`, locked while the sequence runs), the rest to the sequence. Positions before `ready` have been computed;
    those from `ready` to `kv` have KV already and are computed again only for their logits. `high_water` is
    the most positions that were ever computed: what lies below it after a preemption is computed a second time.

    During a step `draft` are tokens that are expected behind the last one; their slots are those behind `kv`.
    """

    __slots__ = (
        "_counting",
        "_detokenizer",
        "_draft_length",
        "_drafted_states",
        "_ends",
        "_finish",
        "_longest",
        "_matcher",
        "_plain",
        "_sent",
        "_spared",
        "behind",
        "cached",
        "constraint_state",
        "counts",
        "draft",
        "drafting",
        "end_ids",
        "expected",
        "filled",
        "follows",
        "high_water",
        "input_logprobs",
        "input_top",
        "kv",
        "length",
        "node",
        "order",
        "output",
        "output_logprobs",
        "output_top",
        "prompt_length",
        "ready",
        "refilled",
        "relogit",
        "request",
        "running",
        "scored",
        "shared",
        "sibling_logprobs",
        "slots",
        "text",
        "tokenizer",
        "wants_next",
    )

    _detokenizer: Detokenizer

    def __init__(
        self,
        request: Request,
        tokenizer: Tokenizer,
        order: tuple[int, ...],
        end_ids: frozenset[int],
        longest: int | None = None,
    ) -> None:
        """`longest` is the most positions that the model has, for a sequence that may draft."""
        params = request.params
        self.request = request
        self.prompt_length = self.length = len(request.tokens)  # length: prompt and output together
        self.tokenizer = tokenizer
        self.order = order
        self.node: Node | None = None
        self.expected = False  # whether its use of KV is to come: while it waits, if it is planned
        self.behind: Seq[Sequence] = ()  # once it runs, those of its row that wait for its end
        self.follows = False  # what it waited for is over: it has that one's room
        self.slots: Ints = _NO_SLOTS
        self.kv = self.shared = self.ready = self.high_water = 0
        self.filled = self.relogit = self.refilled = 0
        self.cached: int | None = None
        self.running = False
        self.output: list[int] = _NOTHING
        self.text = ""
        self.end_ids = end_ids
        self._ends = end_ids
        if params.ignore_eos or params.stop_token_ids:
            self._ends = frozenset(params.stop_token_ids).union(() if params.ignore_eos else end_ids)
        self._counting = bool(params.frequency_penalty or params.presence_penalty) or params.repetition_penalty != 1.0
        self.counts: dict[int, int] = {} if self._counting else _NOTHING
        self._plain = not (request.constraint or params.logit_bias or self._counting or params.min_new_tokens)
        self.constraint_state: Hashable = request.constraint.start if request.constraint else None
        self.drafting = longest is not None and request.constraint is not None and params.max_new_tokens > 0
        self.draft: Seq[int] = ()
        self._drafted_states: Seq[Hashable] = ()  # of the constraint, behind each token of the draft
        self._draft_length = FIRST_LENGTH
        self._longest = min(longest or 0, self.prompt_length + params.max_new_tokens)
        self.wants_next = params.max_new_tokens > 0 or (params.return_logprob and params.top_logprobs_num > 0)
        """Whether the logits behind the last token are wanted, to draw from or to report."""
        self._spared = int(request.score_from is not None and not self.wants_next)
        self.scored = max(0, (request.score_from or 0) - 1)
        reports = params.return_logprob or request.score_from is not None
        self.input_logprobs: list[TokenLogprob] = [] if reports else _NOTHING
        if request.score_from == 0:
            first = int(request.tokens[0])
            self.input_logprobs.append(TokenLogprob(None, first, self.token_text(first)))
        self.input_top: list[list[TokenLogprob]] = [] if reports else _NOTHING
        self.sibling_logprobs: dict[int, Seq[float]] = {} if request.siblings else _NOTHING
        self.output_logprobs: list[TokenLogprob] = [] if reports else _NOTHING
        self.output_top: list[list[TokenLogprob]] = [] if reports else _NOTHING
        self._matcher = stop_matcher(params.stop, params.stop_regex)
        self._sent = 0
        self._finish: Finish | None = None

    def begin(self) -> None:
        """Run from now on, for the first time or again."""
        self.running = True
        if not self.output:
            self.output = []
            self._detokenizer = self.tokenizer.detokenizer()

    def token_run(self, start: int, end: int) -> Ints:
        """Return the tokens at positions start .. end - 1."""
        prompt = self.request.tokens
        size = len(prompt)
        if end <= size:
            return prompt if end - start == size else prompt[start:end]
        if start >= size:
            return np.array(self.output[start - size : end - size], np.int64)
        return np.concatenate([prompt[start:], np.array(self.output[: end - size], np.int64)])

    @property
    def target(self) -> int:
        """Positions that have to be computed before anything can be said: a scoring needs all but the last."""
        return self.length - self._spared

    def first_wanted(self) -> int:
        """Return the first position whose logits are still wanted; its KV may be cached, it is computed anyway."""
        if self.request.score_from is not None and self.scored < self.prompt_length - 1:
            return self.scored
        return self.length - 1 if self.wants_next else self.target

    def assign_slots(self, slots: Ints) -> None:
        """Give the next positions their KV slots."""
        self._place_slots(slots)
        self.kv += len(slots)

    def _place_slots(self, slots: Ints) -> None:
        """Write down slots for the positions from `kv` on."""
        end = self.kv + len(slots)
        if end > len(self.slots):
            expected = self.length + min(self.request.params.max_new_tokens, _MOST_AHEAD)
            grown = np.empty(max(end, expected, 2 * len(self.slots)), np.int64)
            if self.kv:
                grown[: self.kv] = self.slots[: self.kv]
            self.slots = grown
        self.slots[self.kv : end] = slots

    # What is expected to be sampled

    def next_draft(self, most: int) -> list[int]:
        """Return at most so many tokens that are expected next, as far as they may be drawn and another one behind."""
        constraint = self.request.constraint
        assert constraint is not None
        most = min(most, self._draft_length, self._longest - self.length - 1)
        draft, self._drafted_states = drafted(constraint, self.constraint_state, self._ends, most)
        return draft

    def begin_draft(self, draft: Seq[int], slots: Ints) -> None:
        """Have the first tokens of the next draft computed in this step, too."""
        self._place_slots(slots)
        self.draft = draft

    def settle_draft(self, accepted: int) -> Ints:
        """Keep the KV of so many drafted tokens; return the slots of the others."""
        end = self.kv + len(self.draft)
        self._draft_length = next_length(self._draft_length, len(self.draft), accepted)
        self.draft = ()
        if accepted:
            self.kv += accepted
            self.ready = self.kv
        return self.slots[self.kv : end]

    # What a sampled token does

    def append(self, token_id: int) -> Finish | None:
        """Take a sampled token; return why the generation is over, or None."""
        request = self.request
        self.output.append(token_id)
        self.length += 1
        if token_id in self._ends:
            self._finish = Finish("stop", token_id)
            return self._finish
        piece = self._detokenizer.push(token_id)
        if self._counting:
            self.counts[token_id] = self.counts.get(token_id, 0) + 1
        if piece:
            old = len(self.text)
            self.text += piece
            if self._matcher is not None:
                match = self._matcher.find(self.text, old)
                if match is not None:
                    self.text = self.text[: match.start]
                    self._finish = Finish("stop", match.stop)
                    return self._finish
        if request.constraint is not None:
            self.constraint_state = request.constraint.advance(self.constraint_state, token_id)
            if request.constraint.must_end(self.constraint_state):
                self._finish = Finish("stop")
                return self._finish
        if len(self.output) >= request.params.max_new_tokens:
            self._finish = LENGTH
        return self._finish

    # What a draw has to respect

    @property
    def edited(self) -> bool:
        """Whether the logits of the next draw have to be changed."""
        if self._plain:
            return False
        params = self.request.params
        early = len(self.output) < params.min_new_tokens
        return early or self._counting or self.request.constraint is not None or bool(params.logit_bias)

    def edits(self) -> list[Edits]:
        """Return the changes to the logits of the next draw, and of those behind each token of the draft.

        There are fewer where a drafted token is one after which there is no way on. Raises EngineError where a
        constraint leaves neither a token nor the end.
        """
        edits = [self._edits(self.constraint_state, self.counts, len(self.output))]
        counts = self.counts.copy() if self.draft and self._counting else self.counts
        for drawn, (token_id, state) in enumerate(
            zip(self.draft, self._drafted_states, strict=False), len(self.output) + 1
        ):
            if self._counting:
                counts[token_id] = counts.get(token_id, 0) + 1
            try:
                edits.append(self._edits(state, counts, drawn))
            except EngineError:  # whoever gets here hears of it then
                break
        return edits

    def _edits(self, state: Hashable, counts: dict[int, int], drawn: int) -> Edits:
        """Return the changes to the logits of one draw."""
        params = self.request.params
        ends = self.end_ids.union(params.stop_token_ids)
        early = drawn < params.min_new_tokens
        bias = params.logit_bias
        counted = seen = None
        if self._counting:
            counted = (np.array([*counts], np.int64), np.array([*counts.values()], np.int64))
            seen = np.unique(np.concatenate([self.request.tokens, counted[0]]))
        return Edits(
            allowed=self._allowed(state, ends, early),
            forbidden=tuple(ends) if early and self.request.constraint is None else (),
            bias=(np.array([i for i, _ in bias], np.int64), np.array([a for _, a in bias])) if bias else None,
            seen=seen if params.repetition_penalty != 1.0 else None,
            repetition_penalty=params.repetition_penalty,
            counted=counted,
            frequency_penalty=params.frequency_penalty,
            presence_penalty=params.presence_penalty,
        )

    def _allowed(self, state: Hashable, ends: frozenset[int], early: bool) -> npt.NDArray[np.bool_] | None:
        """Return the mask of a constraint, with the ends where the text may end."""
        constraint = self.request.constraint
        if constraint is None:
            return None
        allowed = constraint.allowed(state)
        if constraint.may_end(state) and not early and not self.request.params.ignore_eos:
            allowed = allowed.copy()
            allowed[list(ends)] = True
        if not allowed.any():
            raise EngineError(f"found no token that continues {self.text!r} within its constraint; wanted one")
        return allowed

    # What the caller gets

    def token_text(self, token_id: int) -> str | None:
        """Return a token's text where log-probabilities are to have it."""
        return self.tokenizer.decode([token_id]) if self.request.params.return_text_in_logprobs else None

    def delta(self) -> Delta | None:
        """Return the text that became safe to show since the last call, or None."""
        safe = len(self.text) if self._matcher is None else self._matcher.safe_length(self.text)
        if safe <= self._sent:
            return None
        piece = self.text[self._sent : safe]
        self._sent = safe
        return self._delta(piece)

    def _delta(self, piece: str) -> Delta:
        logprobs, top = [*self.output_logprobs], [*self.output_top]
        return Delta(piece, self.prompt_length, len(self.output), logprobs, top)

    def closing_events(self) -> list[Event]:
        """Return the last events of a sequence that is over: what its stream still lacks, and its completion."""
        completion = self.completion()
        events: list[Event] = []
        if self.request.streamed and len(completion.text) > self._sent:
            events.append(self._delta(completion.text[self._sent :]))
        events.append(completion)
        return events

    def completion(self) -> Completion:
        """Return the finished generation, cut exactly at its stop."""
        finish = self._finish or LENGTH
        output: Seq[int] = self.output
        tail = ""
        if isinstance(finish.matched, int):
            output = output[:-1]
            text = self.text + self._detokenizer.flush()
        elif isinstance(finish.matched, str):
            text = self.text
            output, tail = self._cut(len(text))
        else:
            text = self.text + self._detokenizer.flush()
        return Completion(
            text=text,
            tokens=np.array(output, np.int64),
            tail=tail,
            finish=finish,
            prompt_tokens=self.prompt_length,
            cached_tokens=self.cached or 0,
            completion_tokens=len(self.output),
            filled=self.filled,
            relogit=self.relogit,
            refilled=self.refilled,
            input_logprobs=self.input_logprobs or (),
            output_logprobs=self.output_logprobs or (),
            input_top=self.input_top or (),
            output_top=self.output_top or (),
            sibling_logprobs=self.sibling_logprobs or None,
        )

    def _cut(self, length: int) -> tuple[list[int], str]:
        """Return the tokens wholly inside the first `length` characters, and the characters behind them."""
        detokenizer = self.tokenizer.detokenizer()
        kept = characters = seen = 0
        for i, token_id in enumerate(self.output):
            seen += len(detokenizer.push(token_id))
            if seen > length:
                break
            if not detokenizer.pending:
                kept, characters = i + 1, seen
        return self.output[:kept], self.text[characters:length]
