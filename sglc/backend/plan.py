"""Plans made ready to run: built once, for all rows and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from sglc.backend.decoding import Decode as Question
from sglc.backend.instructions import (
    INSTRUCTIONS,
    Branch,
    Decode,
    Instruction,
    Pin,
    Release,
    Sampling,
    Settle,
    Values,
)
from sglc.backend.prompt import Prompt
from sglc.backend.reasoning import check_model_type
from sglc.backend.section_reader import NO_ORDERS, SectionReader
from sglc.backend.transcript import Transcript
from sglc.ir.effects import may_raise
from sglc.ir.graph import Block, Graph, Op, Value
from sglc.ir.sampling import PARAMETER_NAMES, SamplingParams
from sglc.ir.types import Type

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.roles import Roles
    from sglc.backend.step import Ints

_COMPUTES = {"extend", "tokens", "settle", "pin", "open", "close", "rest", "text", "since", "concat", "apply"}
_IMMUTABLE = {Type.PROMPT, Type.TEXT, Type.INT, Type.FLOAT, Type.BOOL, Type.NONE}


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """How a path ends: `prompt` is the place of its final prompt, None where the row goes on in Python.

    `returned` is the place of what the function returned, if it did, `places` those of its variables. `samplings` are
    the generations and choices on the path; `answers` say which of them a variable is the text of. `with_states` says
    whether there are further states in what the function returned.
    """

    prompt: int | None = None
    returned: int | None = None
    names: Sequence[str] = ()
    places: Sequence[int] = ()
    samplings: Sequence[Sampling] = ()
    answers: Sequence[int | None] = ()
    with_states: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A block ready to run: its instructions, and its end unless it branches."""

    instructions: Sequence[Instruction]
    end: End | None


class Plan:
    """A graph of plan operations, ready for rows. `functions` are those that its calls name.

    `calls` is how many calls of host code it has, on all paths together: rows of a plan without any never ask whether
    what it was captured from still holds. `ranked` is the place of the prompt that says in which order rows begin.
    `sections` reads what a row says in the sections that are arranged, None where none are.

    Raises ValueError for a graph that is no plan, KeyError for a function that is not given.
    """

    def __init__(self, graph: Graph, functions: Mapping[str, Callable[..., Any]] | None = None) -> None:
        if graph.level != "plan":
            raise ValueError(f"found a {graph.level}; wanted a plan: see codegen.lower")
        builder = _Builder(graph, functions or {})
        self.graph = graph
        self.arguments = tuple(value.name for value in graph.arguments)
        self.first = builder.first
        self.missing = builder.missing if max(builder.missing, default=0) > 255 else bytearray(builder.missing)
        self.ready = [each for each in self.first.instructions if not builder.missing[each.number]]
        self.samplings: Sequence[Sampling] = builder.samplings
        self.calls = builder.calls
        self.ranked = builder.ranked
        self.sections = SectionReader.of(graph)
        self._values: Values = [None] * builder.size + [NO_ORDERS]  # the last place is for a row's orders
        for place, value in builder.constants.items():
            self._values[place] = value
        self._starts = builder.starts
        self._prompts = builder.prompts
        self._uniform = builder.uniform
        self._bound: WeakKeyDictionary[Engine, dict[SamplingParams, BoundPlan | None]] = WeakKeyDictionary()
        self._last: tuple[ref[Engine], SamplingParams, BoundPlan | None] | None = None

    def bind(self, engine: Engine, params: SamplingParams) -> BoundPlan | None:
        """Return the plan for rows of a run on `engine` with these parameters; the same one each time.

        None where a statement of it makes a mistake there, such as a role that the chat template does not have: the
        program has to run eagerly, which tells the mistake.
        """
        last = self._last
        if last is not None and last[0]() is engine and last[1] is params:
            return last[2]
        known = self._bound.setdefault(engine, {})
        if params not in known:
            known[params] = self._bind(engine, params)
        self._last = (ref(engine), params, known[params])
        return known[params]

    def _bind(self, engine: Engine, params: SamplingParams) -> BoundPlan | None:
        no_roles = engine.tokenizer.no_roles
        values = self._values.copy()
        for place in self._starts:
            values[place] = Transcript(no_roles)
        roles: dict[int, Roles] = dict.fromkeys(self._starts, no_roles)
        questions: list[Question] = []
        try:
            for op, source, target in self._prompts:
                roles[target] = _roles_behind(op, roles[source])
                if op.name == "decode":
                    questions.append(_question(op, params, in_message=roles[target].role is not None))
            pinned = [*self._compute_uniform(values, engine)]
        except Exception:  # whatever it is, the eager run meets it where it belongs
            return None
        return BoundPlan(self, values, questions, pinned)

    def _compute_uniform(self, values: Values, engine: Engine) -> Iterator[Ints]:
        """Compute what is the same in every row, and yield the tokens of prompts that are pinned."""
        tokenizer = engine.tokenizer
        for instruction in self._uniform:
            if not isinstance(instruction, Settle | Pin):
                instruction.compute(values)
                continue
            transcript: Transcript = values[instruction.source]
            prompt = transcript.asked_prompt(tokenizer).anchored_inside(tokenizer)
            if isinstance(instruction, Settle) and not prompt.is_empty:
                prompt = Prompt(prompt.settled(tokenizer).tokens, (), prompt.started)
            values[instruction.target] = transcript.anchored(prompt)
            if isinstance(instruction, Pin) and len(prompt.tokens):
                yield prompt.tokens


@dataclass(frozen=True, slots=True, eq=False)
class BoundPlan:
    """A plan on an engine, with the parameters of a run: the values that all rows start with, and what they ask.

    `pinned` are the tokens of the prompts whose KV is to stay while a batch runs.
    """

    plan: Plan
    values: Values
    questions: Sequence[Question]
    pinned: Sequence[Ints] = ()


def _roles_behind(op: Op, before: Roles) -> Roles:
    """Return the roles behind an operation on a prompt. Raises ProgramError where they do not allow it."""
    if op.name in ("settle", "pin"):
        return before
    if op.name == "open":
        return before.begin(op.attributes["role"])
    return before.written.end(op.attributes["role"]) if op.name == "close" else before.written


def _question(op: Op, params: SamplingParams, in_message: bool) -> Question:
    """Return what a `decode` asks. Raises an error for parameters that do not go together."""
    attributes = op.attributes
    if "reasoning" in attributes:
        check_model_type(attributes["reasoning"], op.location)
    return Question(
        params.override({name: value for name, value in attributes.items() if name in PARAMETER_NAMES}),
        attributes["site"],
        in_message=in_message,
        reasoning=attributes.get("reasoning"),
        regex=attributes.get("regex"),
        json_schema=attributes.get("json_schema"),
        grammar=attributes.get("grammar"),
        complete=attributes.get("complete", False),
        shared=attributes.get("shared", False),
        location=op.location,
    )


@dataclass(slots=True)
class _Path:
    """What is before a place in a plan, on the way there.

    `risks` are what a call has to wait for: the call before it, and what may raise since then. `users` are those of
    prompts that are not released, by place.
    """

    risks: list[Instruction] = field(default_factory=list)
    users: dict[int, list[Instruction]] = field(default_factory=dict)
    samplings: list[Sampling] = field(default_factory=list)

    def copy(self) -> _Path:
        users = {place: users.copy() for place, users in self.users.items()}
        return _Path(self.risks.copy(), users, self.samplings.copy())


class _Builder:
    """Finds a place for every value, and for every instruction what it waits for."""

    def __init__(self, graph: Graph, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.size = len(graph.arguments)
        self.constants: dict[int, Any] = {}
        self.starts: list[int] = []
        self.samplings: list[Sampling] = []
        self.calls = 0
        self.ranked: int | None = None
        self.prompts: list[tuple[Op, int, int]] = []  # operations on prompts, where from, where to
        self.missing: list[int] = []  # how many others each instruction waits for, by its number
        self.uniform: list[Instruction] = []  # those whose results are the same in every row
        self._known: set[int] = set()  # the places of what is the same in every row
        self._functions = functions
        self._places = {value: i for i, value in enumerate(graph.arguments)}
        self._answers: dict[Value, int] = {}
        self._makers: dict[int, Instruction] = {}
        self._decodes = 0
        self._with_states = any(op.name == "state" for op in graph.ops())
        self.first = self._section(graph.block, _Path(), nested=False)

    def of(self, value: Value) -> int:
        """Return a value's place among those of a row."""
        return self._places[value]

    def answer(self, value: Value) -> int:
        """Return the place of the answer that has this text of a generation or choice."""
        return self._answers[value]

    def find_answer(self, value: Value) -> int | None:
        """Return the place of the answer that has this text, None for a value that is no such text."""
        return self._answers.get(value)

    def function(self, name: str) -> Callable[..., Any]:
        """Return the function that calls name."""
        return self._functions[name]

    def _new_place(self) -> int:
        self.size += 1
        return self.size - 1

    def _section(self, block: Block, path: _Path, nested: bool) -> Section:
        instructions: list[Instruction] = []
        *body, terminator = block
        for op in body:
            self._places.update((result, self._new_place()) for result in op.results)
            if op.name == "const":
                self.constants[self.of(op.result)] = op.attributes["value"]
                self._known.add(self.of(op.result))
            elif op.name == "start":
                self.starts.append(self.of(op.result))
                self._known.add(self.of(op.result))
            elif self._is_uniform(op):
                self._compute_once(op)
            elif op.name == "rank":
                self.ranked = self.of(op.operands[0])
            elif op.name == "release":
                self._release(op, instructions, path, nested)
            else:
                self._add(op, instructions, path, nested)
        if terminator.name != "branch":
            return Section(instructions, self._end(terminator, path))
        cases = {case.label: self._section(case.block, path.copy(), True) for case in terminator.cases}
        branch = Branch(terminator, self, cases)
        self._take(branch, instructions, self._makers_of(branch), nested)
        return Section(instructions, None)

    def _add(self, op: Op, instructions: list[Instruction], path: _Path, nested: bool) -> None:
        """Make an instruction, which waits for its operands; a call also for what may raise before it."""
        if op.name in ("decode", "score", "choose"):
            self._answers[op.results[1]] = self._new_place()
        instruction = INSTRUCTIONS[op.name](op, self)
        awaited = self._makers_of(instruction)
        if op.name == "call":
            awaited |= dict.fromkeys(path.risks)
            path.risks = [instruction]
            self.calls += 1
        elif may_raise(op, self._constant):  # the eager run raises there, too: no call behind it may run
            path.risks.append(instruction)
        self._take(instruction, instructions, awaited, nested)
        if isinstance(instruction, Sampling):
            self.samplings.append(instruction)
            path.samplings.append(instruction)
        if isinstance(instruction, Decode):
            instruction.index = self._decodes
            self._decodes += 1
        for result in op.results:
            self._makers[self.of(result)] = instruction
        for value, place in zip(op.operands, instruction.sources, strict=True):
            if value.type is Type.PROMPT:
                path.users.setdefault(place, []).append(instruction)
        if op.results and op.results[0].type is Type.PROMPT:
            self.prompts.append((op, instruction.source, instruction.target))
            instruction.continues = not isinstance(instruction, Sampling)

    def _is_uniform(self, op: Op) -> bool:
        """Whether an operation comes to the same in every row, which rows may then have in common."""
        return (
            op.name in _COMPUTES
            and op.result.type in _IMMUTABLE
            and self._known.issuperset(map(self.of, op.operands))
            and not may_raise(op, self._constant)
        )

    def _compute_once(self, op: Op) -> None:
        instruction = INSTRUCTIONS[op.name](op, self)
        self.uniform.append(instruction)
        self._known.add(instruction.target)
        if op.result.type is Type.PROMPT:
            self.prompts.append((op, instruction.source, instruction.target))

    def _release(self, op: Op, instructions: list[Instruction], path: _Path, nested: bool) -> None:
        """Let a prompt be dropped by its only user, or when all that use it are done."""
        place = self.of(op.operands[0])
        if place in self._known or place == self.ranked:  # rows are compared by it once they have begun
            return
        users = path.users.pop(place, None) or [self._makers[place]]
        if len(users) == 1 and users[0] in instructions:
            users[0].drops = (*users[0].drops, place)
        else:
            self._take(Release(op, self), instructions, dict.fromkeys(users), nested)

    def _makers_of(self, instruction: Instruction) -> dict[Instruction, None]:
        return {self._makers[place]: None for place in instruction.sources if place in self._makers}

    def _take(
        self,
        instruction: Instruction,
        instructions: list[Instruction],
        awaited: Mapping[Instruction, None],
        nested: bool,
    ) -> None:
        """Number an instruction, and let it wait for others and, in a case, for its branch."""
        instruction.number = len(self.missing)
        self.missing.append(len(awaited) + nested)
        for other in awaited:
            other.users.append(instruction)
        instructions.append(instruction)

    def _constant(self, value: Value) -> Any:
        """Return a value that is known already, None for others."""
        return self.constants.get(self.of(value))

    def _end(self, terminator: Op, path: _Path) -> End:
        if terminator.name == "eager":
            return End()
        prompt, *values = terminator.operands
        returned = values.pop(0) if terminator.attributes.get("returns", False) else None
        by_place = {sampling.text: i for i, sampling in enumerate(path.samplings)}
        places = tuple(map(self.of, values))
        return End(
            self.of(prompt),
            self.of(returned) if returned is not None else None,
            tuple(terminator.attributes.get("names", ())),
            places,
            path.samplings,
            tuple(by_place.get(place) for place in places),
            self._with_states,
        )
