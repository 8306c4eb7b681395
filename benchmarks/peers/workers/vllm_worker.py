"""vLLM behind JSON lines: batches, prefixes shared in pages, prompts scored."""

from __future__ import annotations

import os
from collections import defaultdict
from time import perf_counter
from typing import Any

from worker_loop import Answer, Asked, serve  # type: ignore[import-not-found]


def load(asked: Asked) -> tuple[Any, str]:
    """Return vLLM's engine for a checkpoint, with prefix caching, and its version."""
    cores = sorted(os.sched_getaffinity(0))[: asked["threads"]]
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, cores))
    os.environ["VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS"] = "86400"  # time in which it is stopped counts, too
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    import vllm  # type: ignore[import-not-found]

    model = vllm.LLM(
        asked["checkpoint"],
        dtype=asked["dtype"],
        skip_tokenizer_init=True,
        enable_prefix_caching=True,
        enforce_eager=asked["eager"],
        max_model_len=asked["max_model_len"],
        block_size=asked["page"],
        kv_cache_memory_bytes=asked["kv_bytes"],
        max_num_seqs=asked["max_sequences"],
        seed=0,
    )
    how = "eager" if asked["eager"] else "compiled"
    return model.llm_engine, f"{vllm.__version__}, {how}, pages of {asked['page']}"


def generate(engine: Any, asked: Asked) -> Answer:
    """Run calls from an empty cache, each as soon as those of its group that it has to wait for are done."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind  # type: ignore[import-not-found]

    calls = asked["calls"]
    waiting: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))  # group → level → calls
    for number, call in enumerate(calls):
        waiting[call["group"]][call["level"]].append(number)
    open_calls = dict.fromkeys(waiting, 0)
    done: list[Any] = [None] * len(calls)

    def release(group: int) -> None:
        if not waiting[group]:
            return
        numbers = waiting[group].pop(min(waiting[group]))
        open_calls[group] = len(numbers)
        for number in numbers:
            params = SamplingParams(
                max_tokens=max(1, calls[number]["max_new_tokens"]),
                temperature=calls[number]["temperature"],  # each request draws on its own, without a seed the fastest
                ignore_eos=True,
                detokenize=False,
                logprobs=0 if asked["logprobs"] else None,
                prompt_logprobs=None if calls[number]["score_from"] is None else 0,
                skip_reading_prefix_cache=False if asked["reuse"] else None,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            engine.add_request(str(number), {"prompt_token_ids": calls[number]["tokens"]}, params)

    if not engine.reset_prefix_cache():
        raise RuntimeError("the prefix cache could not be emptied")
    started = perf_counter()
    for group in waiting:
        release(group)
    while engine.has_unfinished_requests():
        for output in engine.step():
            if output.finished:
                number = int(output.request_id)
                done[number] = output
                group = calls[number]["group"]
                open_calls[group] -= 1
                if not open_calls[group]:
                    release(group)
    seconds = perf_counter() - started
    return {
        "seconds": seconds,
        "outputs": [list(output.outputs[0].token_ids) for output in done],
        "cached": [output.num_cached_tokens or 0 for output in done],
        "logprobs": [_drawn(output.outputs[0]) for output in done] if asked["logprobs"] else None,
        "scores": [_scored(output, call["score_from"]) for output, call in zip(done, calls, strict=True)],
    }


def _drawn(output: Any) -> list[float]:
    """Return the log-probability of each token drawn."""
    return [entry[token].logprob for token, entry in zip(output.token_ids, output.logprobs, strict=True)]


def _scored(output: Any, score_from: int | None) -> list[float] | None:
    """Return the log-probability of each prompt token from `score_from` on; None where none was asked for."""
    if score_from is None:
        return None
    tokens, entries = output.prompt_token_ids[score_from:], output.prompt_logprobs[score_from:]
    return [entry[token].logprob for token, entry in zip(tokens, entries, strict=True)]


if __name__ == "__main__":
    serve(load, generate)
