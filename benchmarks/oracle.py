"""What transformers says: greedy tokens from its `generate`, log-probabilities from its own forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM


@dataclass(frozen=True, slots=True)
class Answer:
    """The continuation of one prompt, and the log-probability of each token but the first, the prompt's included."""

    tokens: list[int]
    logprobs: npt.NDArray  # type: ignore[type-arg]  # float64 [len(prompt) + len(tokens) - 1]


@torch.inference_mode()
def answers(
    checkpoint: Path, prompts: Sequence[Sequence[int]], new_tokens: int, end_ids: Sequence[int]
) -> list[Answer]:
    """Return the answer to each prompt: alone, in float64, with SDPA, the logits as the model computes them."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float64, attn_implementation="sdpa").eval()
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        whole = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=new_tokens,
            eos_token_id=list(end_ids),
            pad_token_id=0,
        )
        logits = model(whole).logits
        assert logits.dtype == torch.float64, "found logits that were cast; wanted them as computed"
        logprobs = logits[0, :-1].log_softmax(-1).gather(1, whole[0, 1:, None])[:, 0]
        found.append(Answer(whole[0, len(prompt) :].tolist(), logprobs.numpy()))
    return found
