"""llama.cpp behind JSON lines: one stream, call after call, each from where it parts from the one before."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import gguf_file  # type: ignore[import-not-found]
import llama_cpp  # type: ignore[import-not-found]
import numpy as np
from worker_loop import Answer, Asked, common_prefix, generated, generations, serve  # type: ignore[import-not-found]


class Stream:
    """A loaded model with one sequence in its KV cache."""

    def __init__(self, file: Path, asked: Asked) -> None:
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(str(file).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = min(asked["max_model_len"], asked["kv_tokens"])
        params.n_threads = params.n_threads_batch = asked["threads"]
        if asked["dtype"] == "float32":  # otherwise its own choice, float16
            params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            raise RuntimeError("llama.cpp could not load the file; it printed why")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._held: list[int] = []
        self._draws = np.random.default_rng(0)

    def forget(self) -> None:
        """Empty the KV cache."""
        llama_cpp.llama_memory_clear(self._memory, True)
        self._held = []

    def answer(self, call: dict[str, Any]) -> tuple[list[int], int]:
        """Return the tokens drawn, and how many of the prompt were in the cache."""
        cached = min(common_prefix([self._held, call["tokens"]]), len(call["tokens"]) - 1)
        llama_cpp.llama_memory_seq_rm(self._memory, 0, cached, -1)
        del self._held[cached:]
        logits = self._feed(call["tokens"][cached:])
        output = [self._draw(logits, call["temperature"])]
        while len(output) < call["max_new_tokens"]:
            logits = self._feed(output[-1:])
            output.append(self._draw(logits, call["temperature"]))
        return output, cached

    def _feed(self, tokens: Sequence[int]) -> np.ndarray[Any, Any]:
        """Compute the KV of tokens behind those held; return the logits of the last."""
        size = llama_cpp.llama_n_batch(self._context)
        for first in range(0, len(tokens), size):
            some = tokens[first : first + size]
            ids = (ctypes.c_int32 * len(some))(*some)
            code = llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(ids, len(some)))
            if code:
                raise RuntimeError(f"llama_decode returned {code} behind {len(self._held)} tokens")
            self._held += some
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self._context, -1), (self._vocabulary,))

    def _draw(self, logits: np.ndarray[Any, Any], temperature: float) -> int:
        if temperature:
            logits = logits / temperature + self._draws.gumbel(size=self._vocabulary)
        return int(logits.argmax())


def load(asked: Asked) -> tuple[Stream, str]:
    """Return the checkpoint's stream, from a GGUF file that is gone once it is mapped, and the version."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.gguf"
        gguf_file.write(Path(asked["checkpoint"]), file, asked["dtype"])
        return Stream(file, asked), f"{llama_cpp.__version__}, one stream"


def generate(stream: Stream, asked: Asked) -> Answer:
    """Answer the calls from an empty cache, group by group."""
    calls = generations(asked)
    stream.forget()
    answers: dict[int, tuple[list[int], int]] = {}
    started = perf_counter()
    for number in sorted(range(len(calls)), key=lambda number: (calls[number]["group"], calls[number]["level"])):
        answers[number] = stream.answer(calls[number])
    return generated(perf_counter() - started, answers)


if __name__ == "__main__":
    serve(load, generate)
