"""transformers behind JSON lines: calls of one length are one batch, and what its prompts share is computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache
from worker_loop import Answer, Asked, common_prefix, generated, generations, serve  # type: ignore[import-not-found]


def load(asked: Asked) -> tuple[Any, str]:
    """Return the model, and the versions it runs on."""
    torch.set_num_threads(asked["threads"])
    model = AutoModelForCausalLM.from_pretrained(asked["checkpoint"], dtype=getattr(torch, asked["dtype"])).eval()
    model.generation_config.eos_token_id = None  # a call is as long as it says
    return model, f"{transformers.__version__} on torch {torch.__version__}"


def generate(model: Any, asked: Asked) -> Answer:
    """Answer the calls from an empty cache, level by level."""
    calls = generations(asked)
    answers: dict[int, tuple[list[int], int]] = {}
    started = perf_counter()
    for numbers in batches(calls):
        call, prompts = calls[numbers[0]], [calls[number]["tokens"] for number in numbers]
        shared = min(common_prefix(prompts), len(prompts[0]) - 1) if len(prompts) > 1 else 0
        drawn = generate_batch(model, prompts, shared, call["max_new_tokens"], call["temperature"])
        cached = [0, *[shared] * (len(prompts) - 1)]  # the first one's are those that were computed
        answers |= zip(numbers, zip(drawn, cached, strict=True), strict=True)
    return generated(perf_counter() - started, answers)


def batches(calls: Sequence[dict[str, Any]]) -> list[list[int]]:
    """Return the numbers of calls that one `generate` can answer, lower levels first; padding would cost time."""
    found: dict[tuple[int, int, int, float], list[int]] = defaultdict(list)
    for number, call in enumerate(calls):
        found[call["level"], len(call["tokens"]), call["max_new_tokens"], call["temperature"]].append(number)
    return [numbers for _, numbers in sorted(found.items())]


@torch.inference_mode()
def generate_batch(
    model: Any, prompts: Sequence[Sequence[int]], shared: int, new_tokens: int, temperature: float
) -> list[list[int]]:
    """Return what is drawn for each prompt: the shared tokens are computed once, and their cache is repeated."""
    ids = torch.tensor(prompts)
    cache = DynamicCache(config=model.config)
    if shared:
        model(ids[:1, :shared], past_key_values=cache, logits_to_keep=1)
        cache.batch_repeat_interleave(len(prompts))
    drawing = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    whole = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        past_key_values=cache,
        max_new_tokens=new_tokens,
        pad_token_id=0,
        **drawing,
    )
    drawn: list[list[int]] = whole[:, ids.shape[1] :].tolist()
    return drawn


if __name__ == "__main__":
    serve(load, generate)
