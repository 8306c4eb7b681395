"""Our attention as one that transformers' models can be told to use, by the name `sglc`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface

from sglc.backend.kv_store import KvStore
from sglc.backend.partial_softmax import Scoring
from sglc.backend.step import Step
from sglc.backend.work_list import as_index
from sglc.errors import Unsupported

NAME = "sglc"
"""The value of `attn_implementation` that selects our attention."""

_HARMLESS = frozenset({
    "cache_position", "dropout", "is_causal", "output_attentions", "output_hidden_states", "output_router_logits",
    "position_ids", "return_dict", "scaling", "sliding_window", "softcap", "use_cache",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class AttentionCall:
    """One layer's call of the interface."""

    module: torch.nn.Module
    window: int | None
    softcap: float | None


class Pass:
    """A forward pass under way: its step, its memory, and what the model has asked for so far."""

    def __init__(self, step: Step, store: KvStore) -> None:
        self.calls: list[AttentionCall] = []
        self.mask_windows: set[int | None] = set()  # of the masks that the model had made for its layers
        self._store = store
        self._attention = store.attention(step)
        self._slots = as_index(step.slots, store.device)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make this the pass that attention layers of the current thread belong to."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def attend(
        self,
        layer: object,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        scoring: Scoring,
        window: int | None = None,
    ) -> torch.Tensor:
        """Store k and v [T, kv_heads, ...], then return the attention [T, heads · E] of q [T, heads, D]."""
        memory = self._store.write(layer, self._slots, k, v)
        return self._attention.attend(q, k, v, memory, scoring, window)


_current: ContextVar[Pass] = ContextVar("sglc_pass")


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers asks: query [1, heads, T, D], key and value [1, kv_heads, T, ...] → [1, T, heads, E]."""
    _refuse_unknown(module, attention_mask, options)
    scaling = options.get("scaling")
    scoring = Scoring(query.shape[-1] ** -0.5 if scaling is None else float(scaling), options.get("softcap"))
    call = AttentionCall(module, options.get("sliding_window"), scoring.softcap)
    running = _current.get()
    running.calls.append(call)
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    out = running.attend(module, q, k, v, scoring, call.window)
    return out.view(1, len(q), query.shape[1], -1), None


def _mask(*_: Any, **options: Any) -> None:
    """Make no mask, but note for which window one was wanted: transformers hands it over as `local_size`."""
    _current.get().mask_windows.add(options.get("local_size"))


def _refuse_unknown(module: torch.nn.Module, mask: torch.Tensor | None, options: dict[str, Any]) -> None:
    """Raise Unsupported for an argument that would change the result in a way that we don't know."""
    layer = type(module).__name__
    for name, value in options.items():
        if value is not None and name not in _HARMLESS:
            raise Unsupported(f"{layer}: found attention argument {name!r}; wanted plain causal attention")
    if mask is not None:
        raise Unsupported(f"{layer}: found an attention mask of its own; wanted plain causal attention")
    if options.get("is_causal") is False or getattr(module, "is_causal", True) is False:
        raise Unsupported(f"{layer}: found attention that looks ahead; wanted causal attention")


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, _mask)
