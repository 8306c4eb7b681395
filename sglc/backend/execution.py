"""One row of a plan on its way: what is computed so far, what can be done next, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sglc.backend.choosing import Choosing
from sglc.backend.claim import Claim, Hold
from sglc.backend.decoding import Decoded, Decoding
from sglc.backend.instructions import Call, Decode, Instruction, Sampling, Score, Settle
from sglc.backend.scoring import Scored, Scoring
from sglc.backend.section_reader import NO_ORDERS, Orders
from sglc.backend.served import Served
from sglc.backend.settling import Settling

if TYPE_CHECKING:
    from sglc.backend.asking import Asking, Origin
    from sglc.backend.exchange import Exchange
    from sglc.backend.host_call import CallOutcome
    from sglc.backend.plan import BoundPlan, End, Section
    from sglc.backend.prompt import Prompt
    from sglc.backend.transcript import Transcript
    from sglc.errors import SglcError


Answer = Decoded | Scored

_NO_CALLS: dict[int, CallOutcome] = {}
_NO_CLAIMS: dict[int, Claim] = {}
"""In place of those of rows that have none, which are most: thousands of empty ones are a burden."""


class _Reply:
    """Hands an answer to who has asked: one small object a question, of which thousands are under way."""

    __slots__ = ("_before", "_execution", "_instruction")

    def __init__(self, execution: Execution, instruction: Sampling, before: Transcript) -> None:
        self._execution = execution
        self._instruction = instruction
        self._before = before

    def __call__(self, answer: Answer, asked: Prompt) -> None:
        self._execution.answered(self._instruction, self._before, answer, asked)


class Outcome(NamedTuple):
    """What a row came to: its final prompt, what its function returned, how its path ended and what is there then.

    `values` are those of its variables, `answers` those of all generations and choices on its way, in order (of another
    state than the program's own, those that its variables are the texts of, by variable).
    """

    transcript: Transcript
    returned: Any
    end: End
    values: Sequence[Any]
    answers: Sequence[Answer | None]


class Host(Protocol):
    """The row that is run, as its execution knows it."""

    @property
    def index(self) -> int:
        """The number of its input row."""

    @property
    def origin(self) -> Origin:
        """Where its questions come from."""

    @property
    def context(self) -> Context:
        """The context variables that its calls get a copy of."""

    def still_holds(self) -> bool:
        """Whether all is as it was when the program was captured; asked after each call of host code."""

    def plan_returned(self, outcome: Outcome) -> None:
        """Take what the row came to."""

    def plan_left(self, served: Served) -> None:
        """Go on in Python, from the function's first line, with what is known already."""


class Execution:
    """Runs a plan for one row, on the thread that drives its exchange.

    Operations run as soon as what they need is there, in the order of the program where several can. A row never fails
    here: where something goes wrong it issues nothing more, waits for what is under way, and leaves.
    """

    __slots__ = (
        "_calls",
        "_claims",
        "_end",
        "_exchange",
        "_host",
        "_leaving",
        "_missing",
        "_plan",
        "_ready",
        "_under_way",
        "_unfinished",
        "_values",
    )

    def __init__(
        self,
        plan: BoundPlan,
        arguments: Sequence[Any],
        host: Host,
        exchange: Exchange,
        orders: Orders = NO_ORDERS,
    ) -> None:
        """`arguments` are the values of the plan's arguments, in their order, `orders` those of the row's sections."""
        self._plan = plan
        self._host = host
        self._exchange = exchange
        first = plan.plan.first
        self._values = plan.values.copy()
        self._values[: len(arguments)] = arguments
        self._values[-1] = orders
        self._missing = plan.plan.missing.copy()
        self._ready: list[Instruction] | None = None  # while instructions are run, those that can be
        self._unfinished = len(first.instructions)
        self._end: End | None = first.end
        self._under_way = 0
        self._leaving = False
        self._calls = _NO_CALLS
        self._claims = _NO_CLAIMS  # by place, what the prompts there go on from

    def start(self) -> None:
        """Do what can be done at once, and ask for what can't."""
        self._run([*self._plan.plan.ready])

    @property
    def rank(self) -> str:
        """The text of the prompt that says which place the row has among others; "" where the plan does not say."""
        ranked = self._plan.plan.ranked
        transcript: Transcript | None = self._values[ranked] if ranked is not None else None
        return transcript.text if transcript is not None else ""

    def _run(self, ready: list[Instruction]) -> None:
        """Do what is ready, and what becomes ready by that; end the row where nothing is left."""
        self._ready = ready
        values = self._values
        try:
            for instruction in ready:  # grows while it is read
                instruction.run(self, values)
                if not instruction.asks:
                    self._complete(instruction, ready)
        except Exception:  # whatever it is, the eager run meets it where it belongs
            self._leave()
            return
        self._ready = None
        if not self._unfinished:
            self._finish()

    def _complete(self, instruction: Instruction, ready: list[Instruction]) -> None:
        """Let those go on that waited for an instruction."""
        self._unfinished -= 1
        missing = self._missing
        for user in instruction.users:
            number = user.number
            missing[number] -= 1
            if not missing[number]:
                ready.append(user)
        if self._claims:
            self._move_claims(instruction)
        for place in instruction.drops:
            self._values[place] = None

    def _finish(self) -> None:
        self._drop_claims([*self._claims])
        end = self._end
        assert end is not None  # a branch is an instruction: it was taken
        if end.prompt is None:
            self._leave()
            return
        values = self._values
        self._host.plan_returned(
            Outcome(
                values[end.prompt].rest(),
                values[end.returned] if end.returned is not None else None,
                end,
                tuple([values[place] for place in end.places]),
                tuple([values[sampling.answer] for sampling in end.samplings]),
            )
        )

    # What instructions ask for

    def enter(self, section: Section) -> None:
        """Go on in the block of a case."""
        ready, missing = self._ready, self._missing
        assert ready is not None  # a branch is what is run
        self._end = section.end
        self._unfinished += len(section.instructions)
        for instruction in section.instructions:
            missing[instruction.number] -= 1
            if not missing[instruction.number]:
                ready.append(instruction)

    def decode(self, instruction: Decode, transcript: Transcript) -> None:
        """Generate behind a prompt."""
        before = transcript.rest()
        asking = Decoding(
            self._plan.questions[instruction.index],
            before.asked_prompt(self._exchange.engine.tokenizer),
            self._host.origin,
            _Reply(self, instruction, before),
            self._failed,
        )
        self._ask(instruction, asking)

    def score(self, instruction: Score, transcript: Transcript, choices: Sequence[str]) -> None:
        """Choose what goes on behind a prompt. Raises ValueError for want of choices."""
        if not choices:
            raise ValueError("found no choices; wanted at least one")
        before = transcript.rest()
        exchange = self._exchange
        kind = partial(Choosing, exchange) if instruction.as_tree else Scoring
        asking = kind(
            choices,
            instruction.method,
            before.asked_prompt(exchange.engine.tokenizer),
            self._host.origin,
            _Reply(self, instruction, before),
            self._failed,
            instruction.location,
        )
        self._ask(instruction, asking)

    def settle(self, instruction: Settle, transcript: Transcript) -> None:
        """Tokenize a prompt for all that go on from it."""
        exchange = self._exchange
        prompt = transcript.asked_prompt(exchange.engine.tokenizer)
        done = partial(self._settled, instruction, transcript)
        exchange.pending.append(Settling(prompt, self._host.origin, done, self._failed))
        self._under_way += 1

    def call(self, instruction: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Run host code."""
        self._exchange.call(
            instruction.function,
            args,
            kwargs,
            self._host.context.copy(),
            partial(self._called, instruction),
            row=self._host.index,
            number=instruction.call_number,
        )
        self._under_way += 1

    def _ask(self, instruction: Sampling, asking: Asking) -> None:
        if instruction.turn:
            claim = Claim(instruction.ahead) if instruction.keep else None
            asking.hold = Hold(instruction.turn, claim, self._claims.get(instruction.source), instruction.ahead)
            if claim is not None:
                if self._claims is _NO_CLAIMS:
                    self._claims = {}
                self._claims[instruction.target] = claim
        self._exchange.pending.append(asking)
        self._under_way += 1

    def _move_claims(self, instruction: Instruction) -> None:
        """Let what goes on from a prompt go on from its claim, and drop claims that nothing goes on from any more."""
        claim = self._claims.get(instruction.source)
        if claim is not None and instruction.continues:
            self._claims[instruction.target] = claim
            claim.prompts += 1
        self._drop_claims(instruction.drops)

    def _drop_claims(self, places: Iterable[int]) -> None:
        for place in places:
            claim = self._claims.pop(place, None)
            if claim is not None:
                claim.prompts -= 1
                if not claim.prompts:
                    self._exchange.dropped.append(claim)

    # What comes of it

    def answered(self, instruction: Sampling, before: Transcript, answer: Answer, asked: Prompt) -> None:
        """Take what came of a question behind the prompt `before`, and that prompt in tokens."""
        values = self._values
        values[instruction.answer] = answer
        values[instruction.target] = before.answered(answer, asked)
        values[instruction.text] = answer.value
        self._arrived(instruction)

    def _settled(self, instruction: Settle, before: Transcript, prompt: Prompt) -> None:
        self._values[instruction.target] = before.anchored(prompt)
        self._arrived(instruction)

    def _called(self, instruction: Call, outcome: CallOutcome) -> None:
        if self._calls is _NO_CALLS:
            self._calls = {}
        self._calls[instruction.call_number] = outcome
        self._values[instruction.target] = outcome.value
        if outcome.error is not None or not self._host.still_holds():
            self._leaving = True
        self._arrived(instruction)

    def _failed(self, error: SglcError) -> None:
        self._under_way -= 1
        self._leave()

    def _arrived(self, instruction: Instruction) -> None:
        self._under_way -= 1
        if self._leaving:
            self._leave()
        else:
            ready: list[Instruction] = []
            self._complete(instruction, ready)
            self._run(ready)

    def _leave(self) -> None:
        """Issue nothing more; once nothing is under way, hand over what is known."""
        self._leaving = True
        if self._under_way:
            return
        self._drop_claims([*self._claims])
        generations: dict[str, Decoded] = {}
        choices: dict[str, Scored] = {}
        for sampling in self._plan.plan.samplings:
            answer = self._values[sampling.answer]
            if isinstance(answer, Decoded):
                generations[sampling.site] = answer
            elif answer is not None:
                choices[sampling.site] = answer
        self._host.plan_left(Served(generations, choices, self._calls))
