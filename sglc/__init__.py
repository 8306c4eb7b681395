"""sglc: a compiler-centric optimizer and interpreter for LLM programs. `import sglc as sgl` runs SGLang's."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sglc.version import __version__

if TYPE_CHECKING:
    from sglc.backend.choices import (
        ChoicesSamplingMethod,
        greedy_token_selection,
        token_length_normalized,
        unconditional_likelihood_normalized,
    )
    from sglc.backend.engine import Engine
    from sglc.errors import EngineError, InputError, ProgramError, SglcError, UnknownVariable, Unsupported
    from sglc.language.default_backend import flush_cache, get_server_info, set_default_backend
    from sglc.language.function import function
    from sglc.language.host_call import call
    from sglc.language.primitives import (
        assistant,
        assistant_begin,
        assistant_end,
        gen,
        gen_int,
        gen_string,
        image,
        select,
        separate_reasoning,
        system,
        system_begin,
        system_end,
        unordered,
        user,
        user_begin,
        user_end,
        video,
    )

_ROOMS = {
    "backend.engine": ["Engine"],
    "errors": ["EngineError", "InputError", "ProgramError", "SglcError", "UnknownVariable", "Unsupported"],
    "backend.choices": [
        "ChoicesSamplingMethod",
        "greedy_token_selection",
        "token_length_normalized",
        "unconditional_likelihood_normalized",
    ],
    "language.default_backend": ["flush_cache", "get_server_info", "set_default_backend"],
    "language.function": ["function"],
    "language.host_call": ["call"],
    "language.primitives": [
        "assistant",
        "assistant_begin",
        "assistant_end",
        "gen",
        "gen_int",
        "gen_string",
        "image",
        "select",
        "separate_reasoning",
        "system",
        "system_begin",
        "system_end",
        "unordered",
        "user",
        "user_begin",
        "user_end",
        "video",
    ],
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
_REMOTE = ("Anthropic", "Crusoe", "LiteLLM", "OpenAI", "Runtime", "RuntimeEndpoint", "ServerArgs", "VertexAI")

__all__ = [
    "ChoicesSamplingMethod",
    "Engine",
    "EngineError",
    "InputError",
    "ProgramError",
    "SglcError",
    "UnknownVariable",
    "Unsupported",
    "__version__",
    "assistant",
    "assistant_begin",
    "assistant_end",
    "call",
    "flush_cache",
    "function",
    "gen",
    "gen_int",
    "gen_string",
    "get_server_info",
    "greedy_token_selection",
    "image",
    "select",
    "separate_reasoning",
    "set_default_backend",
    "system",
    "system_begin",
    "system_end",
    "token_length_normalized",
    "unconditional_likelihood_normalized",
    "unordered",
    "user",
    "user_begin",
    "user_end",
    "video",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: importing sglc costs nothing."""
    if name in _HOME:
        value = getattr(import_module(f"sglc.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _REMOTE:
        from sglc.errors import Unsupported, caller_location

        raise Unsupported(f"found sglc.{name}; sglc runs models itself, wanted sglc.Engine(FOLDER)", caller_location())
    if name == "global_config":
        from sglc.errors import Unsupported, caller_location

        wanted = "arguments of run, run_batch, gen and sglc.Engine instead"
        raise Unsupported(f"found sglc.global_config; sglc has no global settings, wanted {wanted}", caller_location())
    raise AttributeError(f"module 'sglc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
