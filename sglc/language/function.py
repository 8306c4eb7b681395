"""`@sglc.function`: an LLM program, and the ways to run it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, overload

from sglc.errors import Location, ProgramError, Unsupported, caller_location
from sglc.ir.sampling import PARAMETER_NAMES, SamplingParams
from sglc.language import batch
from sglc.language.default_backend import default_backend
from sglc.language.options import DEFAULT_LEVEL, Optimize, run_options
from sglc.language.row import current_state
from sglc.language.state import ProgramState
from sglc.language.tracing.active import active

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.language.capture import Capture, Captures, Variant

_NO_DEFAULT = inspect.Parameter.empty


class SglFunction:
    """A Python function whose first parameter `s` is a `ProgramState`, to be run on an engine."""

    def __init__(
        self,
        func: Callable[..., Any],
        num_api_spec_tokens: int | None = None,
        bound: Mapping[str, Any] | None = None,
        captures: Captures | None = None,
    ) -> None:
        code = inspect.unwrap(func).__code__
        self.func = func
        self.name = func.__name__
        self.file, self.line = code.co_filename, code.co_firstlineno
        self.num_api_spec_tokens = num_api_spec_tokens
        self.bound = dict(bound or {})
        self._captures = captures
        parameters = list(inspect.signature(func).parameters.values())
        if not parameters or parameters[0].name != "s":
            found = parameters[0].name if parameters else "no parameter"
            raise ProgramError(f"found {found} as the first parameter of {self.name}; wanted s", self.location)
        named = [p for p in parameters[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self._positional = [p.name for p in named if p.kind is not p.KEYWORD_ONLY]
        self._takes_more = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.arg_names = [p.name for p in named]
        self.arg_defaults = {p.name: p.default for p in named if p.default is not _NO_DEFAULT}
        self.required = [n for n in self.arg_names if n not in self.arg_defaults and n not in self.bound]
        self._least, self._most = frozenset(self.required), frozenset(self.arg_names)
        self.__doc__ = func.__doc__
        self.__name__ = self.name
        self.__wrapped__ = func

    @property
    def location(self) -> Location:
        """Where the function is written."""
        return Location(self.file, self.line)

    def __repr__(self) -> str:
        return f"SglFunction({self.name}, {self.location})"

    # Arguments

    def bind(self, **kwargs: Any) -> SglFunction:
        """Return this program with some arguments fixed; they win over those given to a run."""
        for name in kwargs:
            if name not in self.arg_names and not self._takes_more:
                raise ProgramError(self._mismatch(f"the argument {name!r}"), caller_location())
        return SglFunction(self.func, self.num_api_spec_tokens, {**self.bound, **kwargs}, self._own_captures())

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of the body by name. Raises ProgramError for one too many or too few."""
        if not args and self._least <= kwargs.keys() <= self._most:
            return {**kwargs, **self.bound}
        free = [name for name in self._positional if name not in self.bound]
        if len(args) > len(free):
            raise ProgramError(self._mismatch(f"{len(args)} arguments in a row"), caller_location())
        given = dict(zip(free, args, strict=False))
        for name, value in kwargs.items():
            if name in given:
                raise ProgramError(self._mismatch(f"the argument {name!r} twice"), caller_location())
            if name not in self.arg_names and not self._takes_more:
                raise ProgramError(self._mismatch(f"the argument {name!r}"), caller_location())
            given[name] = value
        given.update(self.bound)
        missing = [name for name in self.required if name not in given]
        if missing:
            raise ProgramError(self._mismatch("no " + ", ".join(map(repr, missing))), caller_location())
        return given

    def _mismatch(self, found: str) -> str:
        listed = ", ".join(n if n in self.required else f"{n} (optional)" for n in self.arg_names) or "none"
        return f"{self.name}: found {found}; wanted the arguments: {listed}"

    def split(self, kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (program arguments, sampling parameters); a parameter of the program's own wins."""
        sampling = {k: v for k, v in kwargs.items() if k in PARAMETER_NAMES and k not in self.arg_names}
        return {k: v for k, v in kwargs.items() if k not in sampling}, sampling

    # Running

    def __call__(self, *args: Any, **kwargs: Any) -> ProgramState:
        """Run the program: inside another program as a part of it, else as `run`."""
        return self.run(*args, **kwargs)

    def run(
        self,
        *args: Any,
        stream: bool = False,
        backend: Engine | None = None,
        use_thread: bool = True,
        optimize: Optimize = DEFAULT_LEVEL,
        outputs: Iterable[str] | None = None,
        eager: bool = False,
        **kwargs: Any,
    ) -> ProgramState:
        """Run the program on one row and return its finished state.

        Takes the program's arguments and sampling defaults (`SamplingParams`). With `stream` the state comes at
        once and the program runs while it is read. Inside another program the run belongs to that one: it inherits
        the caller's sampling parameters and engine, and does not wait for its last generations.
        Programs are captured and run as graphs, which are optimized as the level `optimize` says (0: not at all; 3: the
        order of `sglc.unordered` sections, too); with `eager`, and while they stream, in Python: with the same results.
        `outputs` are the variables that are wanted: what only others need is not computed. Raises the error that ended
        the program. `use_thread` has no effect: programs need no threads.
        """
        self._refuse_in_trace()
        arguments, sampling = self.split(kwargs)
        caller = current_state.get()
        if caller is not None and caller.row.loop.in_body and backend is None and not stream:
            return self._run_inside(caller, self.arguments(args, arguments), sampling)
        options = run_options(optimize, outputs, eager or stream)
        row = batch.start_one(self, args, arguments, params_of(sampling), backend or default_backend(), options, stream)
        if not stream:
            batch.finish_one(row)
        return row.state

    def _run_inside(self, caller: ProgramState, arguments: dict[str, Any], sampling: dict[str, Any]) -> ProgramState:
        try:
            params = caller.params.override(sampling)
        except ValueError as error:
            raise ProgramError(str(error), caller_location()) from None
        row = caller.row
        state = ProgramState(row, caller.next_call_path(), params)
        row.states.append(state)
        token = current_state.set(state)
        try:
            state.ret_value = self.func(state, **arguments)
        finally:
            current_state.reset(token)
        return state

    async def arun(
        self,
        *args: Any,
        backend: Engine | None = None,
        optimize: Optimize = DEFAULT_LEVEL,
        outputs: Iterable[str] | None = None,
        eager: bool = False,
        **kwargs: Any,
    ) -> ProgramState:
        """Run as `run` does, without blocking asyncio."""
        arguments, sampling = self.split(kwargs)
        options = run_options(optimize, outputs, eager)
        row = batch.start_one(self, args, arguments, params_of(sampling), backend or default_backend(), options)
        return await batch.afinish_one(row)

    def stream(self, *args: Any, **kwargs: Any) -> ProgramState:
        """Return a state that runs while its text is read: `run` with `stream=True`."""
        return self.run(*args, stream=True, **kwargs)

    def run_batch(
        self,
        batch_kwargs: Iterable[Any],
        *,
        backend: Engine | None = None,
        num_threads: int | str = "auto",
        concurrency: int | None = None,
        progress_bar: bool = False,
        generator_style: bool = False,
        as_completed: bool = False,
        indices: Iterable[int] | None = None,
        rows_ready: Callable[[], bool] | None = None,
        optimize: Optimize = DEFAULT_LEVEL,
        outputs: Iterable[str] | None = None,
        eager: bool = False,
        **sampling: Any,
    ) -> Any:
        """Run the program on many rows and return their states in input order.

        Rows are dicts of arguments, or tuples in the order of the parameters; any iterable, read as it is needed. A
        row that fails does not stop the others: its state's `error` is set. `generator_style` yields the
        states in input order, `as_completed` as they finish (`state.index` says which row). `concurrency` (or a
        number as `num_threads`) bounds the rows open at a time. `indices` are the row numbers, for runs that go on
        where another stopped: random streams depend on them. `rows_ready` says whether a slow source has its next row
        at hand; while rows are open, none is waited for. `optimize`, `outputs` and `eager` are those of `run`; rows
        that are given as a list are run in the order in which they have most in common, unless `optimize` is 0.
        """
        self._refuse_in_trace()
        unknown = [name for name in sampling if name not in PARAMETER_NAMES]
        if unknown:
            raise ProgramError(
                f"found run_batch({unknown[0]}=…); wanted sampling parameters and options", caller_location()
            )
        if concurrency is None and isinstance(num_threads, int):
            concurrency = num_threads
        states = batch.run_rows(
            self,
            batch_kwargs,
            params_of(sampling),
            backend or default_backend(),
            run_options(optimize, outputs, eager),
            concurrency,
            ordered=not as_completed,
            at_once=not (generator_style or as_completed),
            progress_bar=progress_bar,
            indices=indices,
            rows_ready=rows_ready,
        )
        return states if generator_style or as_completed else list(states)

    async def arun_batch(
        self,
        batch_kwargs: Iterable[Any],
        *,
        backend: Engine | None = None,
        concurrency: int | None = None,
        progress_bar: bool = False,
        optimize: Optimize = DEFAULT_LEVEL,
        outputs: Iterable[str] | None = None,
        eager: bool = False,
        **sampling: Any,
    ) -> list[ProgramState]:
        """Run as `run_batch` does, without blocking asyncio."""
        states = [
            state
            async for state in batch.arun_rows(
                self,
                batch_kwargs,
                params_of(sampling),
                backend or default_backend(),
                run_options(optimize, outputs, eager),
                concurrency,
                progress_bar=progress_bar,
            )
        ]
        return sorted(states, key=lambda state: state.index)

    def cache(self, backend: Engine | None = None) -> NoReturn:
        """Refuse: a prefix is computed once by itself when the first rows need it."""
        raise Unsupported(
            f"found {self.name}.cache(); shared prefixes are cached by themselves, wanted nothing", caller_location()
        )

    # Capturing

    def trace(self, backend: Engine | None = None, **kwargs: Any) -> Capture:
        """Return the program as a graph.

        With all its arguments it is traced as for that row; otherwise those left out stay symbolic, of the type of
        their annotation, or text, and those given are fixed. Sampling parameters are those of a run.
        """
        from sglc.language import capture

        arguments, sampling = self.split(kwargs)
        params = params_of(sampling)
        given = {**arguments, **self.bound}
        if all(name in given for name in self.required):
            return capture.trace(self, self.arguments((), arguments), params).capture
        fixed = self.bind(**arguments) if arguments else self
        return capture.trace(fixed, capture.argument_types(fixed), params, witnessed=False).capture

    def captures(self) -> list[Capture]:
        """Return the graphs that runs have made so far, one for each kind of row."""
        return self._own_captures().all()

    def variant(self, arguments: Mapping[str, Any], params: SamplingParams) -> Variant | None:
        """Return what a row with these arguments is run by; None for the eager interpreter."""
        return self._own_captures().find(self, arguments, params)

    def variants(self, rows: Iterable[Mapping[str, Any]], params: SamplingParams) -> list[Variant | None]:
        """Return what `variant` does for each of several rows that begin at the same time."""
        return self._own_captures().find_all(self, rows, params)

    def _own_captures(self) -> Captures:
        if self._captures is None:
            from sglc.language.capture import Captures

            self._captures = Captures()
        return self._captures

    def _refuse_in_trace(self) -> None:
        """End a trace that comes by here unseen, in code that was not rewritten."""
        path = active()
        if path is not None:
            raise path.leave(f"runs {self.name} from code whose source was not seen", "call it from the program itself")


def params_of(sampling: Mapping[str, Any]) -> SamplingParams:
    """Return the defaults of a run. Raises ProgramError for a value out of range."""
    try:
        return SamplingParams().override(sampling)
    except (ValueError, TypeError) as error:
        raise ProgramError(str(error), caller_location()) from None


@overload
def function(func: Callable[..., Any], num_api_spec_tokens: int | None = None) -> SglFunction: ...
@overload
def function(
    func: None = None, num_api_spec_tokens: int | None = None
) -> Callable[[Callable[..., Any]], SglFunction]: ...
def function(
    func: Callable[..., Any] | None = None, num_api_spec_tokens: int | None = None
) -> SglFunction | Callable[[Callable[..., Any]], SglFunction]:
    """Make a program of a function whose first parameter is `s`; usable bare or with arguments.

    `num_api_spec_tokens` is kept for programs that name it; it concerned remote APIs only.
    """
    if func is not None:
        return SglFunction(func, num_api_spec_tokens)
    return lambda wrapped: SglFunction(wrapped, num_api_spec_tokens)
