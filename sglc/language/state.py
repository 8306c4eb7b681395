"""The state of a running program: what `s` is inside a program, and what `run` returns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sglc.errors import Cancelled, ProgramError, caller_location
from sglc.language.choice import Choice
from sglc.language.future import Future, gathered, settled, unknown_variable
from sglc.language.generation import Generation
from sglc.language.line import PromptLine
from sglc.language.primitives import Gen, RoleBegin, RoleEnd, Sections, Select, Symbol, parts_of, resolve
from sglc.language.statements import Action, Awaiting
from sglc.language.surface import StateSurface

if TYPE_CHECKING:
    from sglc.backend.counters import Counters
    from sglc.ir.sampling import SamplingParams
    from sglc.language.group import ProgramStateGroup
    from sglc.language.row import Row


class ProgramState(PromptLine, StateSurface):
    """One prompt growing statement by statement, with the variables set on the way.

    Statements never wait; reading does (`s["x"]`, `text()`, `messages()`, `sync()`). What is known in program
    order (which names exist, which role is open, where a sampling site is) is settled when a statement is written.
    """

    def __init__(self, row: Row, path: str, params: SamplingParams) -> None:
        super().__init__(row)
        self.ret_value: Any = None
        self.params = params
        self._path = path
        self._vars: dict[str, Future] = {}
        self._own: dict[str, None] = {}  # names set since the fork that made this state, in order
        self._open_scopes: list[str] = []
        self._growing: dict[str, int] = {}  # scopes that get text now: name → their first piece
        self._samplings = self._choices = self._forks = self._calls = 0
        self._fork_piece = 0

    # Statements

    def __iadd__(self, other: object) -> ProgramState:
        """Append text or an expression."""
        if isinstance(other, str):
            self.do(other)
            return self
        for part in parts_of(other):
            if isinstance(part, str):
                self.do(part)
            elif isinstance(part, Symbol):
                raise ProgramError(
                    "found a text of a program that is traced; wanted one of this run", caller_location()
                )
            elif isinstance(part, Sections):
                for text in self.row.orders.get(part.texts, part.texts):
                    self.__iadd__(text)
            elif isinstance(part, Gen):
                self._gen(part)
            elif isinstance(part, Select):
                future = Future()
                self._set(part.name, future)
                self.do(Choice(part, f"{self._path}:{self._samplings}?{self._choices}", future))
                self._choices += 1
            elif isinstance(part, RoleBegin):
                self.dialogue.begin(part)
            else:
                self.dialogue.end(part)
        return self

    def _gen(self, part: Gen) -> None:
        try:
            params = resolve(self.params, part.changes)
        except ValueError as error:
            raise ProgramError(str(error), part.location) from None
        future = Future()
        thoughts = None
        self._set(part.name, future)
        if part.reasoning is not None:
            thoughts = Future()
            self._set(f"{part.name}_reasoning_content", thoughts)
        generation = Generation(part, params, f"{self._path}:{self._samplings}", future, thoughts)
        generation.in_message = self.dialogue.role is not None
        self._samplings += 1
        self.do(generation)

    # Roles

    @contextmanager
    def scope_of(self, begin: RoleBegin, end: RoleEnd) -> Iterator[None]:
        """Open a message for a `with` block."""
        self.dialogue.begin(begin)
        try:
            yield
        finally:
            if self._error is None:
                self.dialogue.end(end)

    # Variables

    def __contains__(self, name: str) -> bool:
        """Whether a statement written so far sets this variable."""
        return name in self._vars

    def get_var(self, name: str) -> Any:
        """Return a variable, waiting until it is there.

        Raises UnknownVariable for a name that no statement has set, and the error of a generation that failed.
        """
        return self._read(self._var(name))

    def set_var(self, name: str, value: Any) -> None:
        """Set a variable."""
        self._set(name, settled(value))

    def get_meta_info(self, name: str) -> dict[str, Any]:
        """Return token counts, the finish reason and log-probabilities of a generation or choice."""
        future = self._var(name)
        self._read(future)
        return future.meta

    def _var(self, name: str) -> Future:
        if name in self._open_scopes:
            raise ProgramError(
                f"found {name!r} read inside its own var_scope; wanted the read behind it", caller_location()
            )
        if name not in self._vars:
            self._run_on(lambda: name in self._vars)
        future = self._vars.get(name)
        if future is None:
            if self._error is not None:
                raise self._seen(self._error)
            error = unknown_variable(name, list(self._vars))
            error.location = caller_location()
            raise error
        return future

    def _run_on(self, enough: Callable[[], bool]) -> None:
        """Let a program that is streamed run on until it has said enough for a reader outside of it."""
        row = self.row
        if not row.done and not row.loop.in_body:
            row.loop.run_until(lambda: row.done or enough())

    def _set(self, name: str | None, future: Future) -> None:
        if name is not None:
            self._vars[name] = future
            self._own[name] = None

    def _read(self, future: Future) -> Any:
        if not future.done:
            self.row.loop.wait(future)
        if future.error is not None:
            self._seen(future.error)
        return future.result()

    @contextmanager
    def var_scope(self, name: str) -> Iterator[None]:
        """Set variable `name` to all text appended inside the `with` block."""
        future = Future()
        start = 0

        def begin() -> None:
            nonlocal start
            start = self._growing[name] = len(self.pieces)

        def end() -> None:
            self._growing.pop(name, None)
            future.set("".join(self.pieces[start:]))

        self.do(Action(begin))
        self._open_scopes.append(name)
        try:
            yield
        finally:
            self._open_scopes.remove(name)
        self._set(name, future)
        self.do(Action(end, future.fail))

    # Forks

    def fork(self, size: int = 1, position_ids_offset: list[int] | None = None) -> ProgramStateGroup:
        """Return `size` states that go on from here, each by itself. `position_ids_offset` has no effect."""
        from sglc.language.group import ProgramStateGroup

        if not isinstance(size, int) or size < 0:
            raise ProgramError(f"found fork({size!r}); wanted a number of branches ≥ 0", caller_location())
        group = f"{self._path}/{self._samplings}.{self._forks}"
        self._forks += 1
        children = [self._child(f"{group}.{i}") for i in range(size)]
        for child in children:
            child.hold()

        def begin() -> None:
            for child in children:
                child.prompt = self.prompt
                child.pieces = self.pieces.copy()
                child._fork_piece = len(child.pieces)
                child.dialogue.adopt_messages(self.dialogue)
                child.advance()

        def failed(error: BaseException) -> None:
            for child in children:
                child.poison(error)

        self.do(Action(begin, failed))
        return ProgramStateGroup(children, self)

    def _child(self, path: str) -> ProgramState:
        child = ProgramState(self.row, path, self.params)
        child._vars = self._vars.copy()
        child.dialogue.adopt_roles(self.dialogue)
        self.row.states.append(child)
        return child

    @contextmanager
    def copy(self, position_ids_offset: list[int] | None = None) -> Iterator[ProgramState]:
        """Open a scratch state that goes on from here; what it sets becomes a list of one here."""
        group = self.fork(1, position_ids_offset)
        yield group[0]
        group.join()

    def gather(self, states: list[ProgramState]) -> None:
        """Take what branches have set since their fork as lists, in branch order."""
        values: dict[str, list[Future]] = {}
        for state in states:
            for name in state._own:
                values.setdefault(name, []).append(state._vars[name])
        for name, futures in values.items():
            self._set(name, gathered(futures))

    def concatenate(self, states: list[ProgramState]) -> None:
        """Append the texts of branches since their fork, each in its turn."""
        for state in states:
            self.do(Awaiting(state._text_since_fork(), self.append))

    def _text_since_fork(self) -> Future:
        """Return a future of the text appended since the fork, up to this statement."""
        future = Future()
        self.do(Action(lambda: future.set("".join(self.pieces[self._fork_piece :])), future.fail))
        return future

    def next_call_path(self) -> str:
        """Return the path of the next program called from here, for its random streams."""
        self._calls += 1
        return f"{self._path}/{self._samplings}.call{self._calls}"

    def cancel(self) -> None:
        """End a program that is streamed: withdraw what is unfinished; reading that raises Cancelled from now on."""
        if self.row.loop.in_body:
            raise ProgramError("found cancel() inside a program; wanted return", caller_location())
        if not self.row.done:
            self.row.loop.close()
            self.row.state.poison(Cancelled("found a program that was cancelled; wanted it read before that"))

    # Reading the whole

    def sync(self) -> None:
        """Wait until every statement written so far is done; outside the program, until it has ended.

        Raises the error of a statement that failed.
        """
        self._run_on(lambda: False)
        if self._error is not None:
            raise self._seen(self._error)
        self.dialogue.write_due()
        if not self.idle:
            future = Future()
            self.do(Action(lambda: future.set(None), future.fail))
            self._read(future)

    def text(self) -> str:
        """Return the whole text, waiting until it is there."""
        self._refuse_whole("text()")
        self.sync()
        return "".join(self.pieces)

    def messages(self) -> list[dict[str, str]]:
        """Return the finished messages, waiting until they are there."""
        self._refuse_whole("messages()")
        self.sync()
        return [dict(message) for message in self.dialogue.messages]

    def keep_only(self, names: Sequence[str]) -> None:
        """Forget what was not asked of the run (`outputs`), though it is there: another time it might not be."""
        self._vars = {name: future for name, future in self._vars.items() if name in names}
        self.ret_value = None

    def _refuse_whole(self, what: str) -> None:
        """Raise ProgramError behind a run of which only some variables were wanted."""
        outputs = self.row.outputs
        if outputs is not None and self.row.done and self.row.error is None:
            found = f"found {what} of a run with outputs={outputs!r}"
            raise ProgramError(f"{found}; wanted these alone, or a run without outputs", caller_location())

    @property
    def error(self) -> BaseException | None:
        """The error that ended this program or branch, or None."""
        return self.row.error if self.row.state is self else self._error

    @property
    def index(self) -> int:
        """The number of this program's input row."""
        return self.row.index

    @property
    def counters(self) -> Counters:
        """What this program's requests cost."""
        return self.row.counters

    def variables(self) -> dict[str, Any]:
        """Return the variables that are there, by name."""
        return {n: f.result() for n, f in self._vars.items() if f.done and f.error is None}

    def finish(self) -> dict[str, str]:
        """Return why each generation ended: stop or length."""
        return {n: f.finish for n, f in self._vars.items() if f.finish is not None}

    def __repr__(self) -> str:
        if self._error is not None:
            return f"ProgramState(error={self._error!s})"
        return f"ProgramState({''.join(self.pieces)!r}{'' if self.idle else ' …'})"

    # Streams

    def text_iter(self, var_name: str | None = None) -> Iterator[str]:
        """Yield the text, or one variable, piece by piece as it comes. Raises the error that ends it."""
        from sglc.language.streaming import stream

        return stream(self, var_name)

    def text_async_iter(self, var_name: str | None = None, return_meta_data: bool = False) -> AsyncIterator[Any]:
        """Yield as `text_iter` does, without blocking asyncio; with the variable's meta info if asked."""
        from sglc.language.streaming import async_stream

        return async_stream(self, var_name, return_meta_data)

    def text_so_far(self, var_name: str | None = None) -> str:
        """Return what a stream can show now: the whole text, or one variable ("" before it exists).

        Of several samples a stream shows the first: the one that the text goes on with.
        """
        first = 0 if var_name is None else self._growing.get(var_name)
        if first is not None:
            return "".join(self.pieces[first:]) + self.live
        future = self._vars.get(var_name) if var_name is not None else None
        if future is None:
            return ""
        if future.done and future.error is None and future.finish is None:  # not a generation
            return str(future.result())
        return future.live

    def meta_so_far(self, var_name: str) -> dict[str, Any]:
        """Return a variable's meta info, {} before it is there."""
        return self._vars[var_name].meta if var_name in self._vars else {}

    def stream_over(self, var_name: str | None) -> bool:
        """Whether nothing will be added to `text_so_far`."""
        future = self._vars.get(var_name) if var_name is not None else None
        return self.row.done or self._error is not None or (future is not None and future.done)

    def raise_if_failed(self, var_name: str | None = None) -> None:
        """Raise the error that ended this state, or that `var_name` does not exist once all is done."""
        error = self._error or self.row.error
        if error is not None:
            raise self._seen(error)
        if var_name is not None:
            self._var(var_name)
