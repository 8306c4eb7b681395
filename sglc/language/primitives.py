"""What a program appends to its prompt: text, generations, choices and roles, as immutable expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from sglc.automata.languages import (
    dtype_pattern,
    grammar_language,
    json_schema_language,
    json_schema_text,
    regex_language,
)
from sglc.backend.choices import ChoicesSamplingMethod, token_length_normalized
from sglc.backend.reasoning import check_model_type
from sglc.errors import Location, ProgramError, SglcError, Unsupported, caller_location
from sglc.ir.sampling import SamplingParams

if TYPE_CHECKING:
    from sglc.automata.automaton import Automaton
    from sglc.automata.context_free import ContextFree

ROLES = ("system", "user", "assistant")

Changes = tuple[tuple[str, Any], ...]
"""Sampling parameters a generation sets itself, as sorted (name, value) pairs."""


@dataclass(frozen=True, slots=True)
class Gen:
    """A generation. At most one of `regex`, `json_schema`, `grammar`; `reasoning` names a kind of thinking model."""

    name: str | None
    changes: Changes
    location: Location | None
    regex: str | None = None
    json_schema: str | None = None
    grammar: str | None = None
    complete: bool = False
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """A choice between texts by their likelihood."""

    name: str | None
    choices: tuple[str, ...]
    method: ChoicesSamplingMethod
    location: Location | None


@dataclass(frozen=True, slots=True)
class RoleBegin:
    """The beginning of a message."""

    role: str
    location: Location | None


@dataclass(frozen=True, slots=True)
class RoleEnd:
    """The end of a message."""

    role: str
    location: Location | None


class Symbol:
    """A text that is not known yet: what a trace has in place of one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Sections:
    """Texts whose order carries no meaning, in the order written."""

    texts: tuple[str | Symbol, ...]


Part = str | Symbol | Sections | Gen | Select | RoleBegin | RoleEnd


class Expression:
    """A sequence of parts; `+` puts expressions and strings one behind the other."""

    __slots__ = ("parts",)

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def __add__(self, other: object) -> Expression:
        return Expression(*self.parts, *parts_of(other))

    def __radd__(self, other: object) -> Expression:
        return Expression(*parts_of(other), *self.parts)

    def __repr__(self) -> str:
        return f"Expression{self.parts!r}"


def parts_of(value: object) -> tuple[Part, ...]:
    """Return the parts of a string or expression. Raises ProgramError for anything else."""
    if isinstance(value, Symbol):  # asked first: a symbol may not know yet what else it is
        return (value,)
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Expression):
        return value.parts
    raise ProgramError(
        f"found {value!r} of type {type(value).__name__}; wanted text or an expression", caller_location()
    )


def gen(
    name: str | None = None,
    max_tokens: int | None = None,
    min_tokens: int | None = None,
    n: int | None = None,
    stop: str | Sequence[str] | None = None,
    stop_token_ids: Sequence[int] | None = None,
    stop_regex: str | Sequence[str] | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    min_p: float | None = None,
    frequency_penalty: float | None = None,
    presence_penalty: float | None = None,
    ignore_eos: bool | None = None,
    return_logprob: bool | None = None,
    logprob_start_len: int | None = None,
    top_logprobs_num: int | None = None,
    return_text_in_logprobs: bool | None = None,
    dtype: type | str | None = None,
    choices: Sequence[str] | None = None,
    choices_method: ChoicesSamplingMethod | None = None,
    regex: str | None = None,
    json_schema: str | Mapping[str, Any] | type | None = None,
    *,
    grammar: str | None = None,
    complete: bool = False,
    repetition_penalty: float | None = None,
    logit_bias: Mapping[int, float] | None = None,
    seed: int | None = None,
) -> Expression:
    """Return a generation whose text is stored under `name`.

    What is left None is inherited from the run (see `SamplingParams`; `max_tokens` is `max_new_tokens`). With
    `choices` this is `select`. `dtype` (int, float, str, bool), `regex`, `json_schema` and `grammar` (EBNF in lark's
    syntax, of which the rule `start` derives the whole text) constrain the text, at most one of them. A constraint
    whose texts all have at most so many bytes takes no more tokens, whatever `max_tokens` is; one that can't be met
    within `max_tokens` is an error before any token is computed. With `complete` tokens are allowed only as long as the
    text can become whole within `max_tokens`; that is for what token tables serve, which recursion does not.
    Raises ProgramError for a wrong argument, with the line of the call.
    """
    location = caller_location()
    if choices is not None:
        return _select(name, choices, choices_method or token_length_normalized, location)
    given = {
        "max_new_tokens": max_tokens,
        "min_new_tokens": min_tokens,
        "n": n,
        "stop": stop,
        "stop_token_ids": stop_token_ids,
        "stop_regex": stop_regex,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "min_p": min_p,
        "frequency_penalty": frequency_penalty,
        "presence_penalty": presence_penalty,
        "repetition_penalty": repetition_penalty,
        "logit_bias": logit_bias,
        "ignore_eos": ignore_eos,
        "seed": seed,
        "return_logprob": return_logprob,
        "logprob_start_len": logprob_start_len,
        "top_logprobs_num": top_logprobs_num,
        "return_text_in_logprobs": return_text_in_logprobs,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    if dtype is not None or regex is not None or json_schema is not None or grammar is not None:
        return _constrained(name, changes, location, dtype, regex, json_schema, grammar, complete)
    if complete:
        raise ProgramError("found complete without a constraint; wanted dtype, regex, json_schema or grammar", location)
    return Expression(Gen(name, _frozen(changes, location), location))


def gen_int(name: str | None = None, **sampling: Any) -> Expression:
    """Return a generation of a whole number: `gen` with dtype int."""
    return gen(name, dtype=int, **sampling)


def gen_string(name: str | None = None, **sampling: Any) -> Expression:
    """Return a generation of a quoted string: `gen` with dtype str."""
    return gen(name, dtype=str, **sampling)


def select(
    name: str | None = None,
    choices: Sequence[str] | None = None,
    temperature: float = 0.0,
    choices_method: ChoicesSamplingMethod = token_length_normalized,
) -> Expression:
    """Return the choice of the likeliest of several texts, stored under `name`.

    Raises ProgramError for an empty list, an empty choice, or a temperature (choosing is not sampling).
    """
    location = caller_location()
    if temperature is not None and temperature > 1e-5:
        raise ProgramError(f"found select with temperature {temperature}; wanted 0: choosing is not sampling", location)
    return _select(name, choices, choices_method, location)


def system(expr: str | Expression | None = None) -> Expression:
    """Return a system message."""
    return _message("system", expr)


def user(expr: str | Expression | None = None) -> Expression:
    """Return a user message."""
    return _message("user", expr)


def assistant(expr: str | Expression | None = None) -> Expression:
    """Return an assistant message."""
    return _message("assistant", expr)


def system_begin() -> Expression:
    """Return the beginning of a system message."""
    return Expression(RoleBegin("system", caller_location()))


def system_end() -> Expression:
    """Return the end of a system message."""
    return Expression(RoleEnd("system", caller_location()))


def user_begin() -> Expression:
    """Return the beginning of a user message."""
    return Expression(RoleBegin("user", caller_location()))


def user_end() -> Expression:
    """Return the end of a user message."""
    return Expression(RoleEnd("user", caller_location()))


def assistant_begin() -> Expression:
    """Return the beginning of an assistant message."""
    return Expression(RoleBegin("assistant", caller_location()))


def assistant_end() -> Expression:
    """Return the end of an assistant message."""
    return Expression(RoleEnd("assistant", caller_location()))


def separate_reasoning(expr: Expression, model_type: str) -> Expression:
    """Return `expr` with the thoughts of its generations taken out of the prompt.

    A generation's variable holds the answer, `<name>_reasoning_content` the thoughts. Raises ProgramError for an
    unknown kind of model and for a generation without a name.
    """
    location = caller_location()
    check_model_type(model_type, location)
    parts: list[Part] = []
    for part in parts_of(expr):
        if isinstance(part, Gen):
            if part.name is None:
                raise ProgramError("found separate_reasoning of a gen without a name; wanted a name", location)
            part = replace(part, reasoning=model_type)
        parts.append(part)
    return Expression(*parts)


def unordered(*parts: str | Expression) -> Expression:
    """Return prompt sections whose order carries no meaning, here in the order written; a pass may change it.

    Only texts can be moved: parts that generate stay where they are.
    """
    pieces = tuple(piece for part in parts for piece in parts_of(part))
    texts = tuple(piece for piece in pieces if isinstance(piece, str | Symbol))
    if len(texts) == len(pieces) == len(parts):
        return Expression(Sections(texts))
    return Expression(*pieces)


def image(path: object) -> NoReturn:
    """Refuse: images need a vision model and its processor, which sglc does not run yet."""
    raise Unsupported(f"found image({path!r}); sglc has no image processor yet, wanted text only", caller_location())


def video(path: object, num_frames: int = 0) -> NoReturn:
    """Refuse: videos need a vision model and its processor, which sglc does not run yet."""
    raise Unsupported(f"found video({path!r}); sglc has no video processor yet, wanted text only", caller_location())


def _message(role: str, expr: str | Expression | None) -> Expression:
    location = caller_location()
    content = parts_of(expr) if expr is not None else ()
    return Expression(RoleBegin(role, location), *content, RoleEnd(role, location))


def _select(
    name: str | None, choices: Sequence[str] | None, method: ChoicesSamplingMethod, location: Location | None
) -> Expression:
    if isinstance(choices, str) or not isinstance(choices, Iterable) or not (texts := tuple(choices)):
        raise ProgramError(f"found choices = {choices!r}; wanted a list of at least one text", location)
    for text in texts:
        if isinstance(text, Symbol):
            continue
        if not isinstance(text, str) or not text:
            raise ProgramError(f"found the choice {text!r}; wanted a non-empty text", location)
    if not isinstance(method, ChoicesSamplingMethod):
        raise ProgramError(f"found choices_method = {method!r}; wanted e.g. sglc.token_length_normalized", location)
    return Expression(Select(name, texts, method, location))


def _constrained(
    name: str | None,
    changes: dict[str, Any],
    location: Location | None,
    dtype: type | str | None,
    regex: str | None,
    json_schema: str | Mapping[str, Any] | type | None,
    grammar: str | None,
    complete: bool,
) -> Expression:
    others = sum(given is not None for given in (dtype, regex, json_schema))
    if others and grammar is not None:
        raise ProgramError("found grammar beside dtype, regex or json_schema; wanted one of them", location)
    if others > 1:
        raise ProgramError("found more than one of dtype, regex and json_schema; wanted one", location)
    language: Automaton | ContextFree | None = None
    try:
        if dtype is not None:
            regex = dtype_pattern(dtype)
            if dtype in (int, float, "int", "float"):
                changes["stop"] = (*_stops(changes.get("stop")), " ", "\n")
        if regex is not None:
            language = regex_language(regex)
        schema = json_schema
        if schema is not None:
            schema = json_schema_text(schema)
            language = json_schema_language(schema)
        if grammar is not None:
            language = grammar_language(grammar)
        if complete and language is not None and language.dfa is None:
            raise Unsupported(f"complete: found {language.name}, which no token table serves; wanted one that is")
    except SglcError as error:
        raise type(error)(error.message, location) from None
    except (ValueError, TypeError) as error:
        raise ProgramError(str(error), location) from None
    return Expression(Gen(name, _frozen(changes, location), location, regex, schema, grammar, complete))


def _stops(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)


def _frozen(changes: dict[str, Any], location: Location | None) -> Changes:
    """Return checked changes as a hashable value."""
    try:
        return _checked(tuple((key, _hashable(value)) for key, value in changes.items()))
    except (ValueError, TypeError) as error:
        raise ProgramError(str(error), location) from None


def _hashable(value: Any) -> Any:
    if isinstance(value, list | set):
        return tuple(value)
    return tuple(value.items()) if isinstance(value, Mapping) else value


@lru_cache(maxsize=4096)
def _checked(changes: Changes) -> Changes:
    given = dict(changes)
    SamplingParams(**{"max_new_tokens": max(128, given.get("min_new_tokens", 0)), **given})
    return changes


@lru_cache(maxsize=4096)
def resolve(base: SamplingParams, changes: Changes) -> SamplingParams:
    """Return the parameters of a generation: the run's, with the generation's own on top. Raises ValueError."""
    return base.override(dict(changes))
