"""A model's forward pass by transformers' own code, on our attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPast

from sglc.backend.attention_interface import Pass
from sglc.backend.step import Step
from sglc.backend.work_list import as_tensor


class TransformersNetwork:
    """Implements `Network`."""

    def __init__(self, model: Any, body: Any, device: torch.device) -> None:
        """`body` is the submodule that computes the hidden states under the head."""
        self._model = model
        self._body = body
        self._device = device

    def logits(self, step: Step, running: Pass) -> torch.Tensor:
        """Return the logits [R, vocab] of a step."""
        with running.running():
            return run_flattened(self._model, step, self._device)

    def hidden(self, step: Step, running: Pass) -> torch.Tensor:
        """Return the hidden states [R, hidden] under the head."""
        hidden: list[torch.Tensor] = []
        hook = self._body.register_forward_hook(lambda _, __, output: hidden.append(output.last_hidden_state))
        try:
            self.logits(replace(step, logit_rows=step.logit_rows[:1]), running)
        finally:
            hook.remove()
        return hidden[-1][0].index_select(0, as_tensor(step.logit_rows, self._device))

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits [n, vocab] of hidden states [n, hidden]: the model's own forward, its body stood in for.

        So an architecture's capping and scaling of logits are its own code.
        """
        output = BaseModelOutputWithPast(last_hidden_state=hidden.unsqueeze(0))
        tokens = torch.zeros(1, len(hidden), dtype=torch.int64, device=hidden.device)
        self._body.forward = lambda *_, **__: output
        try:
            logits: torch.Tensor = self._model(input_ids=tokens, use_cache=False).logits[0]
        finally:
            del self._body.forward
        return logits


def run_flattened(model: Any, step: Step, device: torch.device) -> torch.Tensor:
    """Return the model's own logits [R, vocab] of a step, in whose `Pass` the caller is."""
    ids, positions, wanted = (as_tensor(x, device) for x in (step.token_ids, step.positions, step.logit_rows))
    output = model(input_ids=ids[None], position_ids=positions[None], use_cache=False, logits_to_keep=wanted)
    logits: torch.Tensor = output.logits[0]
    return logits
