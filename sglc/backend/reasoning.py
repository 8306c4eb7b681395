"""Thinking models: which part of a generation is thought and which is the answer."""

from __future__ import annotations

from sglc.errors import Location, ProgramError

_TAGS: dict[str, tuple[str, str, bool]] = {
    # kind: (opening tag, closing tag, whether the text begins inside the thoughts)
    "deepseek-r1": ("<think>", "</think>", True),
    "deepseek-v3": ("<think>", "</think>", False),
    "glm45": ("<think>", "</think>", False),
    "kimi": ("◁think▷", "◁/think▷", False),
    "qwen3": ("<think>", "</think>", False),
    "qwen3-thinking": ("<think>", "</think>", True),
    "step3": ("<think>", "</think>", True),
}


def check_model_type(model_type: str, location: Location | None) -> None:
    """Raise ProgramError unless `model_type` is known."""
    if model_type not in _TAGS:
        raise ProgramError(f"found model_type = {model_type!r}; wanted one of {', '.join(_TAGS)}", location)


def split_reasoning(text: str, model_type: str) -> tuple[str, str]:
    """Return (thoughts, answer), both stripped; an answer that never came is empty."""
    opening, closing, thinking = _TAGS[model_type]
    if not thinking and opening not in text:
        return "", text
    inner = text.replace(opening, "", 1)
    thoughts, _, answer = inner.partition(closing)
    return thoughts.strip(), answer.strip()
