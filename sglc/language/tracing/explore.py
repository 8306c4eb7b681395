"""Exploring the paths of a function: it runs once for each sequence of outcomes, and the runs make one graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any

from sglc.errors import Location, SglcError, error_location
from sglc.ir.graph import BlockBuilder, Graph, Value, make_graph
from sglc.ir.types import Type, type_of
from sglc.language.tracing.active import tracing
from sglc.language.tracing.environment import Environment
from sglc.language.tracing.facts import Label
from sglc.language.tracing.frozen import containers_in
from sglc.language.tracing.hooks import HOOKS
from sglc.language.tracing.leave import Leave, Nondeterminism, raised_inside
from sglc.language.tracing.path import Path
from sglc.language.tracing.placeholder import Placeholder
from sglc.language.tracing.recipe import Argument, Cook, Question, Recipe
from sglc.language.tracing.state import TracedState
from sglc.language.tracing.twins import twin_of

if TYPE_CHECKING:
    from sglc.ir.sampling import SamplingParams
    from sglc.language.function import SglFunction
    from sglc.language.tracing.frozen import Key

MAX_PATHS = 64
"""Paths through one function; beyond, it is eager from the decision on."""

MAX_OPS = 20_000
"""Operations of one graph."""

ENDS_IN_ERROR = "ends in an error: "


@dataclass(frozen=True, slots=True)
class Break:
    """Where a graph ends in an eager region: why, what would mend it, and the line of the program."""

    cause: str
    mend: str
    location: Location | None

    @property
    def is_error(self) -> bool:
        """Whether the program ends here with an error, which an eager run is left to tell."""
        return self.cause.startswith(ENDS_IN_ERROR)


@dataclass(slots=True)
class Exploration:
    """All runs of one trace: the blocks they fill, and what they asked of the row that they are traced with.

    `witnessed` tells whether there is such a row; without one, arguments are as unknown as what is generated.
    """

    program: SglFunction
    arguments: Mapping[str, Any]
    params: SamplingParams
    witnessed: bool
    root: BlockBuilder = field(default_factory=BlockBuilder)
    environment: Environment = field(default_factory=Environment)
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    kinds: dict[Recipe, Type] = field(default_factory=dict)
    equalities: dict[Value, tuple[Value, str, bool]] = field(default_factory=dict)
    texts: set[Value] = field(default_factory=set)
    generations: set[Value] = field(default_factory=set)
    questions: list[tuple[Question, Key]] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    _pending: list[tuple[Label, ...]] = field(default_factory=list)
    _finished: int = 0
    _ops: int = 0
    _asked: set[Question] = field(default_factory=set)
    alive: list[Any] = field(default_factory=list)
    _values: dict[str, Value] = field(default_factory=dict)
    _identities: dict[str, Any] = field(default_factory=dict)
    cook: Cook = field(init=False)

    def __post_init__(self) -> None:
        self.cook = Cook(self.arguments, {"n": self.params.n})

    def run(self) -> Graph:
        """Explore all paths; return their graph. What can't be captured is an eager region of it."""
        names = Question(None, "names")
        self.questions.append((names, names.answer(self.cook, [])))
        original = self.program.func
        twin = twin_of(original, HOOKS) if isinstance(original, FunctionType) else None
        if twin is None:
            return self._wholly_eager("has no source to be read", "write it in a file", self.program.location)
        self._pending.append(())
        try:
            while self._pending:
                self._run_path(twin, self._pending.pop())
                self._finished += 1
        except Nondeterminism as found:
            return self._wholly_eager("does something else when it runs again", "wrap it in sglc.call", found.location)
        used = [self._values[name] for name in self.arguments if name in self._values]
        return make_graph(_name(self.program.name), used, self.root)

    def _wholly_eager(self, cause: str, mend: str, location: Location | None) -> Graph:
        self.breaks = [Break(cause, mend, location)]
        root = BlockBuilder()
        root.end("eager", (), _attributes(cause, mend), location)
        return make_graph(_name(self.program.name), (), root)

    def _run_path(self, twin: FunctionType, script: tuple[Label, ...]) -> None:
        path = Path(self, script)
        state = TracedState(path, "", {})
        path.states.append(state)
        with tracing(path):
            try:
                path.functions.append(twin)
                returned = twin(state, **{name: self._bind(path, name) for name in self.arguments})
                path.functions.clear()
                path.check()
                if path.repeating:
                    raise self.nondeterministic(self.program.location)
                state.finish(returned)
            except Leave as leave:
                self._end(path, path.left or leave)
            except Exception as error:
                if path.left is None:
                    path.left = self._error(path, error)
                self._end(path, path.left)

    def _error(self, path: Path, error: Exception) -> Leave:
        """Return what ends a run in which the program raised."""
        place = error_location(error) or self.program.location
        if isinstance(error, SglcError) or id(error) in path.genuine or not raised_inside(error):
            return Leave(f"{ENDS_IN_ERROR}{type(error).__name__}", "", place)
        return Leave(f"is beyond what sglc can trace ({type(error).__name__}: {error})", "wrap it in sglc.call", place)

    def _end(self, path: Path, leave: Leave) -> None:
        if path.repeating or path.block.terminator is not None:
            raise self.nondeterministic(leave.location)
        self.breaks.append(Break(leave.cause, leave.mend, leave.location))
        path.block.end("eager", (), _attributes(leave.cause, leave.mend), leave.location)

    def _bind(self, path: Path, name: str) -> Any:
        """Return what stands for an argument."""
        recipe = Argument(name)
        witness = self.arguments[name]
        if not self.witnessed:
            if not isinstance(witness, Type):
                return witness
            self.kinds[recipe] = witness
            return Placeholder(path, witness, recipe=recipe)
        if type(witness) not in (str, int, float, bool, list, tuple, dict):
            if witness is None:
                self.ask(recipe, "type")
            else:
                self.ask(recipe, "value")
                self.environment.add_outside(witness)
                for container in containers_in(witness):
                    self.environment.add_outside(container)
            return witness
        self.ask(recipe, "type")
        kind = type_of(witness)
        self.kinds[recipe] = kind = Type.LIST if kind is Type.TEXTS else kind
        return Placeholder(path, kind, recipe=recipe, witness=witness)

    # What paths ask

    def argument(self, name: str) -> Value:
        """Return the value of an argument of the graph."""
        if name not in self._values:
            self._values[name] = Value(name, self.kinds.get(Argument(name), Type.VALUE))
        return self._values[name]

    def ask(self, recipe: Recipe, about: Any) -> None:
        """Note an answer of the row at hand: the trace holds for rows that give the same one."""
        question = Question(recipe, about)
        if question not in self._asked:
            self._asked.add(question)
            self.questions.append((question, question.answer(self.cook, self.alive)))

    def base_n(self, path: Path) -> int:
        """Return how many samples a generation has that does not say it itself: a parameter of the run."""
        if self.witnessed:
            self.ask(Argument("n", "parameter"), "value")
        return self.params.n

    @property
    def base_lengths(self) -> dict[str, int]:
        """Lengths that a generation inherits from the run: expected, not relied upon."""
        return {"max_new_tokens": self.params.max_new_tokens, "top_logprobs_num": self.params.top_logprobs_num}

    def is_generation(self, value: Value) -> bool:
        """Whether a value is the text of a gen or select."""
        return value in self.generations

    def reserve(self, path: Path, others: int) -> None:
        """Make room for the other outcomes of a decision, or end the run."""
        if self._finished + len(self._pending) + 1 + others > MAX_PATHS:
            raise path.leave(
                f"has more than {MAX_PATHS} ways through it", "put a bound on the loop, or use fewer branches"
            )

    def later(self, scripts: Iterable[tuple[Label, ...]]) -> None:
        """Explore these paths too, the first of them first."""
        self._pending.extend(reversed(list(scripts)))

    def count_op(self, path: Path) -> None:
        """Count an operation, and end the run if there are too many."""
        self._ops += 1
        if self._ops > MAX_OPS:
            raise path.leave(f"has more than {MAX_OPS:,} operations", "")

    def nondeterministic(self, location: Location | None) -> Nondeterminism:
        """Return what gives up, to be raised: a run did not repeat itself."""
        return Nondeterminism(location)

    def name_function(self, function: Callable[..., Any], identity: Any) -> str:
        """Return the name under which the graph calls a function of the user's."""
        module = getattr(function, "__module__", None) or "builtins"
        base = f"{module}:{getattr(function, '__qualname__', type(function).__name__)}"
        name, count = base, 1
        while name in self.functions and self._identities[name] != identity:
            count += 1
            name = f"{base}#{count}"
        self.functions.setdefault(name, function)
        self._identities[name] = identity
        return name


def _attributes(cause: str, mend: str) -> dict[str, str]:
    return {"cause": cause, "mend": mend} if mend else {"cause": cause}


def _name(name: str) -> str:
    return re.sub(r"\W", "_", name) or "program"
