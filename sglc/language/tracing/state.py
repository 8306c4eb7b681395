"""The state of a traced program: what its statements do becomes operations on prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sglc.backend.choices import METHODS
from sglc.ir.types import Type
from sglc.language.future import unknown_variable
from sglc.language.group import ProgramStateGroup
from sglc.language.primitives import Expression, Gen, RoleBegin, RoleEnd, Sections, Select, Symbol, parts_of
from sglc.language.surface import StateSurface
from sglc.language.tracing.placeholder import Placeholder, Shape
from sglc.language.tracing.twins import traced_location

if TYPE_CHECKING:
    from sglc.ir.graph import Value
    from sglc.language.tracing.path import Path

MISTAKE = "ends in an error: a mistake in this statement"


@dataclass(frozen=True, slots=True)
class Variable:
    """What a name stands for; `generation` is the text of the gen or select that set it."""

    content: Any
    generation: Value | None = None
    shape: Shape = None


class TracedState(StateSurface):
    """Stands for a `ProgramState` while its program is traced. What it can't stand for ends the trace."""

    def __init__(self, path: Path, place: str, overrides: Mapping[str, Any]) -> None:
        self.ret_value: Any = None
        self._path = path
        self._place = place
        self._overrides = dict(overrides)
        self._prompt: Value = path.emit("empty", (), (Type.PROMPT,))[0]
        self._forked_from = self._prompt
        self._role: str | None = None
        self._due = False  # template text waits for what follows it
        self._closed = 0  # messages
        self._vars: dict[str, Variable] = {}
        self._own: dict[str, None] = {}
        self._open_scopes: list[str] = []
        self._samplings = self._selects = self._forks = self._calls = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._path.leave(f"uses .{name} of a state inside the program", "use it behind the run")

    # Statements

    def __iadd__(self, other: Any) -> TracedState:
        """Append text or an expression."""
        for part in self._parts(other):
            if isinstance(part, Symbol | str):
                self._text(part)
            elif isinstance(part, Sections):
                self._sections(part)
            elif isinstance(part, Gen):
                self._gen(part)
            elif isinstance(part, Select):
                self._select(part)
            elif isinstance(part, RoleBegin):
                self.begin(part)
            else:
                self.end(part)
        return self

    def _parts(self, other: Any) -> Any:
        if type(other) is not str and not isinstance(other, Symbol | Expression):
            raise self._path.leave(MISTAKE)
        return parts_of(other)

    def _text(self, text: str | Symbol) -> None:
        value = self._lifted_text(text)
        self._due = False
        self._grow("append", (value,))

    def _lifted_text(self, text: str | Symbol) -> Value:
        if isinstance(text, Placeholder) and text.type is not Type.TEXT:
            if text.type is not Type.VALUE:
                raise self._path.leave(MISTAKE)
            text = self._path.apply("as_text", text)
        return self._path.lift(text)

    def _sections(self, part: Sections) -> None:
        values = tuple(self._lifted_text(text) for text in part.texts)
        self._due = False
        self._grow("sections", values)

    def _grow(self, name: str, operands: tuple[Value, ...] = (), **attributes: Any) -> None:
        (self._prompt,) = self._path.emit(name, (self._prompt, *operands), (Type.PROMPT,), attributes, hint="p")

    def rest(self) -> None:
        """Let template text that waits be written as it stands alone."""
        if self._due:
            self._due = False
            self._grow("rest")

    def _gen(self, part: Gen) -> None:
        path = self._path
        attributes: dict[str, Any] = {**self._overrides, **dict(part.changes)}
        attributes["site"] = f"{self._place}:{self._samplings}"
        own = ("regex", "json_schema", "grammar", "complete", "reasoning")
        attributes |= {key: getattr(part, key) for key in own if getattr(part, key)}
        self._samplings += 1
        self.rest()
        n = attributes["n"] if "n" in attributes else path.exploration.base_n(path)
        kind = Type.TEXT if n == 1 else Type.TEXTS
        for key in [key for key, value in attributes.items() if value is None]:
            del attributes[key]
        self._prompt, text = path.emit(
            "gen", (self._prompt,), (Type.PROMPT, kind), attributes, hint=part.name or "", location=part.location
        )
        path.exploration.generations.add(text)
        shape = _meta_shape({**path.exploration.base_lengths, **attributes}, n)
        self._set(part.name, Variable(Placeholder(path, kind, text, shape=(n, None) if n > 1 else None), text, shape))
        if part.reasoning is not None:
            (thoughts,) = path.emit("thoughts", (text,), (kind,))
            self._set(f"{part.name}_reasoning_content", Variable(Placeholder(path, kind, thoughts)))

    def _select(self, part: Select) -> None:
        path = self._path
        method = next((name for name, method in METHODS.items() if method is part.method), None)
        if method is None:
            raise path.leave("selects by a method of its own", "use one of sglc's methods")
        self.rest()
        choices = [self._lifted_text(choice) for choice in part.choices]
        attributes: dict[str, Any] = {"site": f"{self._place}:{self._samplings}?{self._selects}"}
        if method != "token_length_normalized":
            attributes["method"] = method
        self._selects += 1
        self._prompt, text = path.emit(
            "select",
            (self._prompt, *choices),
            (Type.PROMPT, Type.TEXT),
            attributes,
            hint=part.name or "",
            location=part.location,
        )
        path.exploration.generations.add(text)
        if all(type(choice) is str for choice in part.choices):
            path.facts.choose_among(text, part.choices)
        self._set(part.name, Variable(Placeholder(path, Type.TEXT, text), text))

    # Roles

    def begin(self, part: RoleBegin) -> None:
        """Begin a message."""
        if self._role is not None:
            raise self._path.leave(MISTAKE, location=part.location)
        self._role = part.role
        self._grow("begin", role=part.role)
        self._due = True

    def end(self, part: RoleEnd) -> None:
        """End the open message."""
        if self._role != part.role:
            raise self._path.leave(MISTAKE, location=part.location)
        self._role = None
        self._grow("end", role=part.role)
        self._closed += 1
        self._due = True

    @contextmanager
    def scope_of(self, begin: RoleBegin, end: RoleEnd) -> Iterator[None]:
        """Begin a message, and end it behind a `with` block."""
        self.begin(begin)
        yield
        self.end(end)

    # Variables

    def __contains__(self, name: str) -> bool:
        """Whether a statement written so far sets this variable."""
        return self._name(name) in self._vars

    def _name(self, name: Any) -> Any:
        return self._path.known(name) if isinstance(name, Placeholder) else name

    def get_var(self, name: str) -> Any:
        """Return what a variable stands for."""
        return self._variable(name).content

    def _variable(self, name: str) -> Variable:
        name = self._name(name)
        if name in self._open_scopes:
            raise self._path.leave(MISTAKE)
        if name not in self._vars:
            error = unknown_variable(name, list(self._vars))
            error.location = traced_location()
            self._path.genuine[id(error)] = error
            raise error
        return self._vars[name]

    def set_var(self, name: str, value: Any) -> None:
        """Set a variable."""
        self._set(self._name(name), Variable(value))

    def _set(self, name: str | None, variable: Variable) -> None:
        if name is not None:
            self._vars[name] = variable
            self._own[name] = None

    def get_meta_info(self, name: str) -> Any:
        """Return what the engine reports of a generation or choice."""
        variable = self._variable(name)
        if variable.generation is None:
            return {}
        (meta,) = self._path.emit("meta", (variable.generation,), (Type.DICT,))
        return Placeholder(self._path, Type.DICT, meta, shape=variable.shape)

    @contextmanager
    def var_scope(self, name: str) -> Iterator[None]:
        """Set variable `name` to all text appended inside the `with` block."""
        name = self._name(name)
        self.rest()
        start = self._prompt
        self._open_scopes.append(name)
        yield
        self._open_scopes.remove(name)
        self.rest()
        (text,) = self._path.emit("since", (start, self._prompt), (Type.TEXT,), hint=str(name))
        self._set(name, Variable(Placeholder(self._path, Type.TEXT, text)))

    # Forks

    def fork(self, size: Any = 1, position_ids_offset: list[int] | None = None) -> ProgramStateGroup:
        """Return `size` states that go on from here."""
        count = self._path.known(size) if isinstance(size, Placeholder) else size
        if not isinstance(count, int) or count < 0:
            raise self._path.leave(MISTAKE)
        group = f"{self._place}/{self._samplings}.{self._forks}"
        self._forks += 1
        self.rest()
        return TracedGroup([self._child(f"{group}.{i}") for i in range(count)], self)

    def _child(self, place: str) -> TracedState:
        child = TracedState(self._path, place, self._overrides)
        child._prompt = child._forked_from = self._prompt
        child._role, child._closed = self._role, self._closed
        child._vars = self._vars.copy()
        return child

    @contextmanager
    def copy(self, position_ids_offset: list[int] | None = None) -> Iterator[TracedState]:
        """Open a scratch state that goes on from here; what it sets becomes a list of one here."""
        group = self.fork(1)
        yield group[0]
        group.join()

    def gather(self, states: list[Any]) -> None:
        """Take what branches have set as lists, in branch order."""
        values: dict[str, list[Any]] = {}
        for state in states:
            for name in state._own:
                values.setdefault(name, []).append(state._vars[name].content)
        for name, contents in values.items():
            self._set(name, Variable(contents))

    def concatenate(self, states: list[Any]) -> None:
        """Append the texts of branches since their fork."""
        for state in states:
            state.rest()
            (text,) = self._path.emit("since", (state._forked_from, state._prompt), (Type.TEXT,))
            self.rest()
            self._grow("append", (text,))

    # Programs inside

    def called(self, overrides: Mapping[str, Any]) -> TracedState:
        """Return the state of a program called from here; it inherits what is not overridden."""
        self._calls += 1
        place = f"{self._place}/{self._samplings}.call{self._calls}"
        return TracedState(self._path, place, {**self._overrides, **overrides})

    # Reading the whole

    def sync(self) -> None:
        """Wait for nothing."""
        self.rest()

    def text(self) -> Any:
        """Return the whole text."""
        self.rest()
        return Placeholder(self._path, Type.TEXT, self._path.emit("text", (self._prompt,), (Type.TEXT,))[0])

    def messages(self) -> Any:
        """Return the finished messages."""
        self.rest()
        (value,) = self._path.emit("messages", (self._prompt,), (Type.LIST,))
        shape = (self._closed, {"role": None, "content": None})
        return Placeholder(self._path, Type.LIST, value, shape=shape)

    def text_iter(self, var_name: str | None = None) -> Iterator[Any]:
        """Yield the text, or one variable, in one piece."""
        whole = self.text() if var_name is None else self.get_var(var_name)
        yield whole[0] if isinstance(whole, Placeholder) and whole.type is Type.TEXTS else whole

    def finish(self, returned: Any) -> None:
        """End the graph here."""
        path = self._path
        self.rest()
        operands = [self._prompt]
        attributes: dict[str, Any] = {}
        if returned is not None:
            operands.append(self._returned(returned))
            attributes["returns"] = True
        names, values = self._outputs()
        operands += values
        if names:
            attributes["names"] = tuple(names)
        path.check()
        if path.block.terminator is not None:
            raise path.exploration.nondeterministic(None)
        path.block.end("return", operands, attributes, path.exploration.program.location)

    def _outputs(self) -> tuple[list[str], list[Value]]:
        """Return the names and values of all variables."""
        names = [name for name in self._vars if isinstance(name, str)]
        if len(names) != len(self._vars):
            raise self._path.leave("names a variable by something else than text")
        return names, [self._output(self._vars[name]) for name in names]

    def _returned(self, thing: Any) -> Value:
        """Return the value of what the function returned: there may be states in it."""
        path = self._path
        if type(thing) is TracedState:
            if thing.ret_value is not None:
                raise path.leave(
                    "returns the state of a program that returned something itself", "return what it returned"
                )
            thing.rest()
            names, values = thing._outputs()
            attributes = {"names": tuple(names)} if names else {}
            return path.emit("state", (thing._prompt, *values), (Type.VALUE,), attributes)[0]
        if type(thing) is TracedGroup:
            return path.emit("group", [self._returned(each) for each in thing], (Type.VALUE,))[0]
        if type(thing) in (list, tuple, dict) and holds_state(thing):
            parts = [each for pair in thing.items() for each in pair] if type(thing) is dict else thing
            name = type(thing).__name__
            return path.emit(name, [self._returned(each) for each in parts], (Type(name),))[0]
        return path.lift(thing)

    def _output(self, variable: Variable) -> Value:
        if variable.generation is not None:
            return variable.generation
        value = self._path.lift(variable.content)
        if isinstance(variable.content, Placeholder) and self._path.exploration.is_generation(value):
            (value,) = self._path.emit("apply", (value,), (value.type,), {"fn": "same"})
        return value


class TracedGroup(ProgramStateGroup):
    """The branches of a fork in a traced program."""

    __slots__ = ()

    def _spread(self, other: Any) -> Any:
        if isinstance(other, Symbol):
            return [other] * len(self.states)
        return super()._spread(other)


def holds_state(thing: Any) -> bool:
    """Whether there is a state in a value."""
    if type(thing) in (TracedState, TracedGroup):
        return True
    if type(thing) in (list, tuple):
        return any(map(holds_state, thing))
    return type(thing) is dict and any(map(holds_state, thing.values()))


def _meta_shape(attributes: Mapping[str, Any], n: int) -> Shape:
    """Return what a generation's report most likely looks like; a row for which it does not leaves the graph."""
    if n > 1:
        return None
    tokens = max(1, attributes["max_new_tokens"])
    entry = {"logprob": None, "token_id": None, "text": None}
    return {
        "prompt_tokens": None,
        "cached_tokens": None,
        "completion_tokens": None,
        "finish_reason": None,
        "input_token_logprobs": None,
        "output_token_logprobs": (tokens, entry),
        "input_top_logprobs": None,
        "output_top_logprobs": (tokens, (attributes["top_logprobs_num"], entry)),
    }
