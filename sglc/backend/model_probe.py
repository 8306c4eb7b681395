"""Proves at load that a model runs right on our attention: many architectures ignore the interface silently."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch

from sglc.backend.attention_interface import NAME, Pass
from sglc.backend.decoder import Decoder
from sglc.backend.kv_store import KvStore
from sglc.backend.step import Step
from sglc.backend.transformers_network import run_flattened
from sglc.errors import SglcError, Unsupported

_LENGTHS = (17, 9)  # tokens of the two rows
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.15}  # relative to the spread of the logits
_TOLERANCE_EAGER = 1e-4  # transformers' eager attention takes its softmax in float32


def probe(model: Any, store: KvStore) -> torch.nn.Module:
    """Run two random rows as one flattened pass and compare with the model's own attention, row by row.

    Returns the submodule that computes the hidden states under the head. Raises Unsupported where a layer doesn't
    call our attention once, where a mask says more than the call, or where the logits differ.
    """
    rows = random_rows(model)
    found, record, body = _flattened(model, store, rows)
    _check_calls(model, record)
    _check_windows(model, record)
    _check_logits(model, rows, found, record)
    return body


def probe_decoder(decoder: Decoder, store: KvStore, rows: list[torch.Tensor], wanted: torch.Tensor) -> bool:
    """Whether our layers give random rows the logits [T, vocab] that transformers gave them."""
    step = _step(rows, store)
    with torch.inference_mode():
        found = decoder.logits(step, Pass(step, store))
    return distance(found, wanted) <= _TOLERANCE[found.dtype]


def random_rows(model: Any) -> list[torch.Tensor]:
    """Return the tokens of two rows."""
    generator = torch.Generator().manual_seed(0)
    vocab = int(model.get_input_embeddings().weight.shape[0])
    return [torch.randint(vocab, (length,), generator=generator) for length in _LENGTHS]


def _step(rows: list[torch.Tensor], store: KvStore) -> Step:
    """Return the rows as one step over scattered slots, for which there is room then; all logits are wanted."""
    total = sum(_LENGTHS)
    store.allocate(1 + total)
    slots = 1 + np.random.default_rng(0).permutation(total)
    lengths = np.array(_LENGTHS)
    return Step(
        token_ids=torch.cat(rows).numpy(),
        positions=np.concatenate([np.arange(length) for length in _LENGTHS]),
        slots=slots,
        lengths=lengths,
        context_lengths=lengths,
        tables=np.split(slots, np.cumsum(lengths)[:-1]),
        logit_rows=np.arange(total),
    )


def _flattened(model: Any, store: KvStore, rows: list[torch.Tensor]) -> tuple[torch.Tensor, Pass, torch.nn.Module]:
    """Return the logits [T, vocab] of the flattened pass, its record, and the module under the head."""
    step = _step(rows, store)
    record = Pass(step, store)
    bodies: list[torch.nn.Module] = []

    def note(module: torch.nn.Module, _: object, output: object) -> None:
        if getattr(output, "last_hidden_state", None) is not None:
            bodies.append(module)

    hooks = [module.register_forward_hook(note) for name, module in model.named_modules() if name]
    try:
        with record.running():
            logits = run_flattened(model, step, store.device)
    except SglcError:
        raise
    except Exception as error:
        name = type(model).__name__
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Unsupported(f"{name}: found {reason!r} on flattened rows; wanted a forward pass over them") from error
    finally:
        for hook in hooks:
            hook.remove()
    if not bodies:
        raise Unsupported(
            f"{type(model).__name__}: found no module that returns hidden states; wanted one under the head"
        )
    return logits, record, bodies[-1]  # the outermost returns last


def _check_calls(model: Any, record: Pass) -> None:
    name, wanted = type(model).__name__, int(model.config.get_text_config().num_hidden_layers)
    counts = Counter(call.module for call in record.calls)
    names = {module: place for place, module in model.named_modules()}
    for module, count in counts.items():
        if count > 1:
            raise Unsupported(f"{name}: found {count} calls of attention by {names[module]}; wanted one a pass")
    if len(counts) != wanted:
        silent = [
            f"{place} ({type(module).__name__})"
            for place, module in model.named_modules()
            if module not in counts and type(module).__name__.endswith(("Attention", "Mixer"))
        ]
        first = f"; {silent[0]} doesn't call it" if silent else ""
        raise Unsupported(
            f"{name}: found {len(counts)} of {wanted} layers calling transformers' attention interface{first}; "
            "wanted every layer to call it"
        )


def _check_windows(model: Any, record: Pass) -> None:
    """Refuse a window or chunk that a model puts in its mask only, where our attention can't see it."""
    called = {call.window for call in record.calls}
    for window in record.mask_windows - {None}:
        if window not in called:
            raise Unsupported(
                f"{type(model).__name__}: found a mask of local size {window} that no layer names as its window; "
                "wanted causal or sliding-window attention"
            )


def _check_logits(model: Any, rows: list[torch.Tensor], found: torch.Tensor, record: Pass) -> None:
    """Compare with transformers' SDPA attention, or its eager one where a layer caps its scores."""
    capped = any(call.softcap is not None for call in record.calls)
    reference = "sdpa" if model._supports_sdpa and not capped else "eager"
    error, tolerance = distance(found, reference_logits(model, rows, reference)), _TOLERANCE[found.dtype]
    if reference == "eager":
        tolerance = max(tolerance, _TOLERANCE_EAGER)
    if not error <= tolerance:
        raise Unsupported(
            f"{type(model).__name__}: found logits that differ from transformers' {reference} attention by "
            f"{error:.1e} of their spread; wanted at most {tolerance:.0e}"
        )


def reference_logits(model: Any, rows: list[torch.Tensor], attention: str) -> torch.Tensor:
    """Return the logits [T, vocab] that transformers computes of rows, one by one, on an attention of its own."""
    device = model.get_input_embeddings().weight.device
    try:
        model.set_attn_implementation(attention)
        return torch.cat([model(input_ids=row[None].to(device), use_cache=False).logits[0] for row in rows])
    finally:
        model.set_attn_implementation(NAME)


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the norm of the difference of logits, as a share of their spread."""
    found, wanted = found.double(), wanted.double()
    spread = float((wanted - wanted.mean(dim=-1, keepdim=True)).norm())
    return float((found - wanted).norm()) / max(spread, 1e-30)
