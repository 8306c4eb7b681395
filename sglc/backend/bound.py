"""What a run of plans costs at most, whatever the model says: every way that a row may go is looked at."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sglc.backend.asking import Origin
from sglc.backend.bound_costs import Cost, Known, Room, most
from sglc.backend.bound_prompts import Grown, TokenLimits
from sglc.backend.bound_values import (
    ANYTHING,
    Unknown,
    applied,
    concatenated,
    greatest,
    is_unknown,
    listed,
    size_of,
    total,
    utf8_size,
)
from sglc.backend.choice_tree import ChoiceTree
from sglc.backend.encode_memo import EncodeMemo
from sglc.backend.instructions import Branch, Call, Decode, Instruction, Release, Score, Settle
from sglc.backend.prompt import Prompt
from sglc.backend.scoring import begins_text, first_scored, split_before_choices
from sglc.backend.section_reader import NO_ORDERS, Orders
from sglc.backend.transcript import Transcript
from sglc.errors import SglcError
from sglc.ir.effects import may_raise
from sglc.ir.types import Type

if TYPE_CHECKING:
    from sglc.backend.decoding import Decode as Question
    from sglc.backend.engine import Engine
    from sglc.backend.plan import BoundPlan, Section
    from sglc.backend.prediction import Prediction
    from sglc.backend.step import Ints
    from sglc.ir.graph import Op, Value

MOST_OPEN = 16_384
"""Rows open at a time, unless told otherwise."""


class PlannedRow(NamedTuple):
    """A row's plan and the values of its arguments in their order, the plan without any pass, the orders of sections.

    The plan without passes stands for the row in Python, where it goes on if it has to leave the graph.
    """

    plan: BoundPlan
    arguments: Sequence[Any]
    unoptimized: BoundPlan
    orders: Orders = NO_ORDERS


def bound(rows: Iterable[PlannedRow], engine: Engine, open_rows: int = MOST_OPEN) -> Prediction:
    """Return the most that rows cost on an engine with an empty cache, whatever is generated.

    Host code is not called: what it returns may be anything.
    """
    known = Known({}, {}, set())
    limits = TokenLimits(engine.tokenizer.with_memo(EncodeMemo()))  # a run finds the other as it is now
    costs: list[Cost] = []
    for row in rows:
        walk = _Walk(engine, limits, known)
        cost = walk.row(row.plan, row.arguments, row.orders)
        if cost.left:
            cost.add(_Walk(engine, limits, known).row(row.unoptimized, row.arguments))
        costs.append(cost)
    settings = engine.settings
    room = Room(
        kv_tokens=engine.kv_tokens,
        max_step_tokens=settings["max_step_tokens"],
        max_running=settings["max_running"],
        cache=settings["cache"],
        open_rows=open_rows,
    )
    return most(costs, known, room)


class _Walk:
    """One row's way through a plan, with values that are known and others that are not."""

    def __init__(self, engine: Engine, limits: TokenLimits, known: Known) -> None:
        self._engine = engine
        self._tokenizer = limits.tokenizer
        self._limits = limits
        self._known = known
        self._certain = True  # on the way that is gone in any case
        self._questions: Sequence[Question] = ()

    def row(self, plan: BoundPlan, arguments: Sequence[Any], orders: Orders = NO_ORDERS) -> Cost:
        """Return what a row costs."""
        values = plan.values.copy()
        values[: len(arguments)] = arguments
        values[-1] = orders
        self._questions = plan.questions
        for prompt in plan.pinned:
            self._known.add(prompt)
        return self._section(plan.plan.first, values, [0] * len(values))

    def _section(self, section: Section, values: list[Any], times: list[int], began: int = 0) -> Cost:
        """Return what a block costs. `times` are the passes before each value is there, by its place."""
        cost = Cost(longest=began)
        for instruction in section.instructions:
            ready = max([began, *(times[place] for place in instruction.sources)])
            if isinstance(instruction, Branch):
                cost.add(self._branch(instruction, values, times, ready))
                continue
            if isinstance(instruction, Release):
                continue
            passes = self._run(instruction, values, cost)
            if isinstance(instruction, Call):
                ready = cost.longest  # it waits for what is before it in the program
            places = [instruction.target]
            if isinstance(instruction, Decode | Score):
                places += [instruction.text, instruction.answer]
            for place in places:
                times[place] = ready + passes
            cost.longest = max(cost.longest, ready + passes)
        if section.end is not None and section.end.prompt is None:
            cost.left = cost.unbounded = True  # nobody knows what Python does
        return cost

    def _branch(self, branch: Branch, values: list[Any], times: list[int], ready: int) -> Cost:
        on = values[branch.source]
        if not is_unknown(on):
            taken = branch.cases.get(on) if type(on) in (bool, str) else None
            return self._section(taken, values, times, ready) if taken is not None else Cost(left=True)
        certain, self._certain = self._certain, False
        ways = [self._section(case, values.copy(), times.copy(), ready) for case in branch.cases.values()]
        self._certain = certain
        return Cost.greatest(ways)

    def _run(self, instruction: Instruction, values: list[Any], cost: Cost) -> int:
        """Put an instruction's results in their places; return how many passes they take."""
        if isinstance(instruction, Decode):
            return self._decode(instruction, values, cost)
        if isinstance(instruction, Score):
            return self._score(instruction, values, cost)
        if isinstance(instruction, Call):
            values[instruction.target] = ANYTHING
            cost.called = cost.left = True
            return 0
        if isinstance(instruction, Settle):
            values[instruction.target] = self._settled(values[instruction.source], cost)
            return 0
        operands = [values[place] for place in instruction.sources]
        if any(isinstance(operand, Unknown | Grown) for operand in operands):
            values[instruction.target] = self._unknown(instruction, operands, cost)
            return 0
        try:
            instruction.compute(values)
        except Exception:  # the row leaves its graph here
            values[instruction.target] = ANYTHING
            cost.left = True
        return 0

    def _unknown(self, instruction: Instruction, operands: list[Any], cost: Cost) -> Any:
        """Return what comes of operands of which one is not known."""
        op = instruction.op
        name, first = op.name, operands[0]
        if name == "apply":
            cost.left |= may_raise(op, _unknown_constant)
            return ANYTHING if op.attributes.get("keywords") else applied(op.attributes["fn"], operands)
        if name == "concat":
            return concatenated(operands)
        cost.left |= name == "dict" and may_raise(op, _unknown_constant)
        if name in ("list", "tuple"):
            return listed(operands)
        if name in ("text", "since"):
            return Unknown(operands[-1].size, 0) if isinstance(operands[-1], Grown) else ANYTHING
        if isinstance(first, Transcript):
            first = self._grown(first)
        return _on_prompt(op, first, operands[1:]) if isinstance(first, Grown) else ANYTHING

    def _grown(self, transcript: Transcript) -> Grown:
        """Return a known prompt as one that something unknown may follow."""
        fixed = transcript.asked_prompt(self._tokenizer).tokens
        if len(fixed):
            self._known.add(fixed)
        return Grown.of(transcript, self._limits)

    def _settled(self, prompt: Any, cost: Cost) -> Any:
        if isinstance(prompt, Grown):
            cost.texts += prompt.texts
            return prompt.settled()
        asked = prompt.asked_prompt(self._tokenizer)
        return prompt.anchored(self._tokens(asked, cost, anchored=True))

    def _tokens(self, prompt: Prompt, cost: Cost, *, anchored: bool = False) -> Prompt:
        """Return a known prompt in tokens, its texts noted."""
        tokenizer = self._tokenizer
        texts = prompt.texts(tokenizer.restarts_after_special)
        for key in texts:
            self._note(*key)
        cost.texts += 2 * tokenizer.has_dummy_prefix  # where a template begins, its first text is tried in two ways
        encoded = tokenizer.encode_batch([text for text, _ in texts], [start for _, start in texts]) if texts else []
        return prompt.anchored(encoded, tokenizer.prefix) if anchored else prompt.settle(encoded, tokenizer.prefix)

    def _note(self, text: str, at_start: bool) -> None:
        texts = self._known.texts
        key = text, at_start and self._tokenizer.has_dummy_prefix
        texts[key] = texts.get(key, 0) + 1

    # Requests

    def _decode(self, instruction: Decode, values: list[Any], cost: Cost) -> int:
        question = self._questions[instruction.index]
        try:
            params = question.asked(self._engine).params
        except SglcError:
            params = question.params
            cost.left = True
        cost.left |= question.constrained  # which may leave no way on
        new, size = params.max_new_tokens, self._limits.text_of_token * params.max_new_tokens
        before = values[instruction.source].rest()
        asked = self._asked(before, cost)
        scored = asked.length - min(asked.length, params.logprob_start_len or 0) if params.return_logprob else 0
        if not (question.shared and self._is_known(("decode", question.draw), asked.tokens)):
            for number in range(params.n):
                self._request(cost, asked if not number else asked.again(), new, scored, instruction.ahead)
        prompt = before if isinstance(before, Grown) else self._grown(before)
        if question.reasoning is not None or asked.tail is None:
            values[instruction.target] = prompt.append(size)
        else:
            may_be_cut = bool(params.stop or params.stop_regex)
            values[instruction.target] = prompt.behind(asked.length).answered(new, may_be_cut, size)
        values[instruction.text] = Unknown(size * params.n, int(params.n > 1), params.n)
        values[instruction.answer] = ANYTHING
        return max(1, new)

    def _score(self, instruction: Score, values: list[Any], cost: Cost) -> int:
        choices = [values[place] for place in instruction.sources[1:]]
        before = values[instruction.source].rest()
        cost.left |= not all(isinstance(choice, str) and choice for choice in choices)
        if isinstance(before, Transcript) and all(isinstance(choice, str) for choice in choices):
            behind = self._score_known(instruction, before, choices, cost)
        else:
            prompt = before if isinstance(before, Grown) else self._grown(before)
            behind = self._score_unknown(instruction, prompt, choices, cost)
        values[instruction.target] = behind
        values[instruction.text] = Unknown(greatest([size_of(choice) for choice in choices]), 0)
        values[instruction.answer] = ANYTHING
        return 1

    def _score_known(self, instruction: Score, before: Transcript, choices: Sequence[str], cost: Cost) -> Grown:
        tokenizer = self._tokenizer
        inside, text = split_before_choices(before.asked_prompt(tokenizer))
        at_start = begins_text(inside, tokenizer)
        base = self._tokens(inside, cost)
        tokens: list[list[int]] = []
        firsts: list[int] = []
        for choice in choices:
            self._note(text + choice, at_start)
            ids, ends = tokenizer.encode_with_ends(text + choice, at_start=at_start)
            try:
                firsts.append(first_scored(choice, text, ends))
            except SglcError:
                cost.left = True
                return self._grown(before).append(0)
            tokens.append(ids)
        self._scorings(base, tokens, firsts, instruction, cost)
        if instruction.method.needs_unconditional:
            alone = [ids[first:] for ids, first in zip(tokens, firsts, strict=True)]
            if instruction.as_tree:  # what is known of it is known to all rows
                alone = [ids for ids in alone if not self._is_known("alone", np.array(ids, np.int64))]
            self._scorings(Prompt(started=True), alone, [0] * len(alone), instruction, cost)
        size = max(map(utf8_size, choices))
        most_tokens = max(map(len, tokens))
        return self._grown(before).behind(len(base.tokens)).answered(most_tokens, False, size)

    def _scorings(
        self, base: Prompt, tokens: Sequence[list[int]], firsts: Sequence[int], instruction: Score, cost: Cost
    ) -> None:
        """Add the requests that score known tokens behind a prompt."""
        if instruction.as_tree and tokens:
            ways = ChoiceTree(base, tokens, firsts).requests(_nobody, Origin(0, (0,)))
            asked = [(way.tokens, way.score_from or 0) for way in ways]
        else:
            start = len(base.tokens)
            asked = [(base.extended(ids).tokens, start + first) for ids, first in zip(tokens, firsts, strict=True)]
        for whole, first in asked:
            self._request(cost, _Asked(whole, len(whole), 0, 0), 0, len(whole) - first, instruction.ahead)

    def _score_unknown(self, instruction: Score, prompt: Grown, choices: Sequence[Any], cost: Cost) -> Grown:
        tails = [total([prompt.tail, self._limits.tokens_of(size_of(choice))]) for choice in choices]
        cost.texts += prompt.texts + len(choices) + 2 * self._tokenizer.has_dummy_prefix
        for choice, tail in zip(choices, tails, strict=True):
            scored = self._limits.tokens_of(size_of(choice)) or 0  # each of them has something of the choice
            length, missing = prompt.tokens + (tail or 0), prompt.missing + (tail or 0)
            self._request(cost, _Asked(None, length, missing, tail), 0, scored, instruction.ahead)
            if instruction.method.needs_unconditional:
                self._request(cost, _Asked(None, scored, scored, tail), 0, scored, 0)
        longest, size = greatest(tails), greatest([size_of(choice) for choice in choices])
        if longest is None:
            return prompt.append(None)
        return prompt.behind(prompt.tokens).answered(longest, False, size)

    def _asked(self, prompt: Transcript | Grown, cost: Cost) -> _Asked:
        """Return a prompt as a request has it, its texts counted."""
        if isinstance(prompt, Transcript):
            tokens = self._tokens(prompt.asked_prompt(self._tokenizer), cost).tokens
            return _Asked(tokens, len(tokens), 0, 0)
        cost.texts += prompt.texts + 2 * self._tokenizer.has_dummy_prefix
        return _Asked(None, prompt.tokens + (prompt.tail or 0), prompt.missing + (prompt.tail or 0), prompt.tail)

    def _request(self, cost: Cost, asked: _Asked, new: int, scored: int, ahead: int) -> None:
        """Add a request: `new` tokens at most, `scored` log-probabilities of its prompt."""
        length = asked.length
        needed = length + min(1, new)
        cost.left |= needed > self._engine.model.max_length or needed - 1 > self._engine.kv_tokens  # it is refused then
        cost.unbounded |= asked.tail is None
        cost.requests += 1
        cost.prompts += length
        cost.decoded += new
        cost.steps += max(1, new)
        cost.outputs += max(0, new - 1)
        cost.ahead += ahead
        cost.missing += asked.missing
        cost.relogit += 1 + scored
        if asked.tokens is not None:
            self._known.add(asked.tokens if new or not scored else asked.tokens[:-1])

    def _is_known(self, kind: Hashable, tokens: Ints | None) -> bool:
        """Whether something is asked for once, and was asked for in any case."""
        if tokens is None:
            return False
        key = kind, tokens.tobytes()
        if key in self._known.shared:
            return True
        if self._certain:
            self._known.shared.add(key)
        return False


class _Asked(NamedTuple):
    """A prompt as a request has it: its tokens where they are known, else at most how many there are.

    `missing` are those whose KV no request before it has computed, `tail` those of text (None: nothing bounds that).
    """

    tokens: Ints | None
    length: int
    missing: int
    tail: int | None

    def again(self) -> _Asked:
        """Return it for another request at the same time, which finds its KV."""
        return self._replace(missing=0)


def _on_prompt(op: Op, prompt: Grown, texts: Sequence[Any]) -> Any:
    """Return what an operation on prompts makes of one that is not known."""
    attributes = op.attributes
    match op.name:
        case "extend" | "arrange":
            return prompt.append(total([size_of(text) for text in texts]))
        case "tokens":
            return prompt.append_tokens(attributes["text"], len(attributes["ids"]))
        case "open":
            return prompt.begin(attributes["role"])
        case "close":
            return prompt.end(attributes["role"])
        case "rest":
            return prompt.rest()
        case "pin":
            return prompt
    return prompt.append(None) if op.results and op.results[0].type is Type.PROMPT else ANYTHING


def _unknown_constant(value: Value) -> None:
    """Return nothing: what is asked about is looked at elsewhere."""


def _nobody(events: Sequence[Any]) -> None:
    """Take what comes of requests that are not sent."""
