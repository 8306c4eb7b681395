"""The scripts that run in the peers' environments say what sglc says of the same checkpoint and token ids."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.checkpoint import save_gpt2, save_llama, save_qwen3
from benchmarks.fewshot import QUICK, random_prompts
from benchmarks.peers.engines import WORKERS, Column
from benchmarks.peers.installing import LLAMA_CPP
from benchmarks.peers.protocol import Call, Setup
from benchmarks.registry import Options
from benchmarks.requests import Job, complete
from benchmarks.threads import torch_threads
from sglc.backend.engine import Engine
from sglc.backend.tokenizer import Tokenizer
from sglc.ir.sampling import SamplingParams

PROMPTS = random_prompts(replace(QUICK, prompts=3, shared=40, own=8))
TOKENS = 6
PEERS = os.environ.get("SGLC_BENCHMARK_PEERS", "")  # before a fixture points to an empty folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama."""
    return save_llama(tmp_path_factory.mktemp("llama"), hidden=96, layers=2, vocab=1000)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script for transformers, in this very process, on one core."""
    monkeypatch.syspath_prepend(WORKERS)
    with torch_threads(1):
        yield import_module("transformers_worker")


def asked(calls: Sequence[Call], *, logprobs: bool = False) -> dict[str, object]:
    """Return what the parent sends for calls."""
    return {"do": "generate", "calls": [asdict(call) for call in calls], "logprobs": logprobs, "reuse": False}


def said_by_sglc(checkpoint: Path, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return what sglc says in float32."""
    params = SamplingParams(max_new_tokens=TOKENS, temperature=0.0, ignore_eos=True)
    with Engine(checkpoint, tokenizer=Tokenizer.packaged(), dtype="float32", kv_tokens=1024) as engine:
        return [done.tokens.tolist() for done in complete(engine, [Job(ids, params) for ids in prompts])]


def test_transformers_answers_in_batches(worker: ModuleType, checkpoint: Path) -> None:
    setup = Setup(str(checkpoint), "float32", threads=1, max_model_len=512, kv_tokens=1024, kv_bytes=1 << 20)
    model, version = worker.load(asdict(setup))
    assert " on torch " in version
    prompts = [*PROMPTS, PROMPTS[0][:20]]
    answer = worker.generate(model, asked([Call(ids, TOKENS) for ids in prompts]))
    assert answer["outputs"] == said_by_sglc(checkpoint, prompts)
    assert answer["cached"] == [0, 40, 40, 0]
    drawn = worker.generate(model, asked([Call(PROMPTS[0], 9, temperature=0.8)] * 3))["outputs"]
    assert [len(tokens) for tokens in drawn] == [9] * 3 and drawn[0] != drawn[1]


def test_calls_that_wait_are_answered_later(worker: ModuleType) -> None:
    calls = [Call([1, 2], 3, level=1), Call([1, 2], 3), Call([1, 2, 3], 3), Call([2, 1], 3), Call([2, 1], 4)]
    assert worker.batches([asdict(call) for call in calls]) == [[1, 3], [4], [2], [0]]


def test_a_prefix_is_what_all_share(worker: ModuleType) -> None:
    assert worker.common_prefix([[1, 2, 3], [1, 2, 4], [1, 2]]) == 2
    assert worker.common_prefix([[], [1]]) == 0
    assert worker.common_prefix([[1, 2], [1, 2]]) == 2


def test_what_a_worker_does_not_do_is_told(worker: ModuleType) -> None:
    for asking in (asked([Call([1], 0, score_from=0)]), asked([Call([1], 1)], logprobs=True)):
        with pytest.raises(ValueError, match="wanted generations alone"):
            worker.generate(None, asking)


@pytest.fixture
def llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let llama.cpp be found where it is installed; skip where it is not."""
    monkeypatch.setenv("SGLC_BENCHMARK_PEERS", PEERS)
    if not LLAMA_CPP.ready:
        pytest.skip("llama.cpp is not installed: python -m benchmarks decode --install-peers")


@pytest.mark.usefixtures("llama_cpp")
def test_llama_cpp_reads_the_file_that_is_written_for_it(checkpoint: Path) -> None:
    with Column("llama.cpp", checkpoint, Options(), kv_tokens=1024, threads=1, dtype="float32") as column:
        answers = column.generate([Call(ids, TOKENS) for ids in PROMPTS])
        assert answers is not None, column.note
        assert answers.outputs == said_by_sglc(checkpoint, PROMPTS)
        assert answers.cached == [0, 40, 40]
        again = column.generate([Call(ids, TOKENS, temperature=0.8) for ids in PROMPTS])
        assert again is not None and again.cached == [0, 40, 40]
        assert column.generate([Call([1, 2], 0, score_from=1)]) is None
        assert "wanted generations alone" in column.note


@pytest.mark.usefixtures("llama_cpp")
def test_llama_cpp_is_not_given_what_it_would_misread(tmp_path: Path) -> None:
    checkpoint = save_qwen3(tmp_path, hidden=96, layers=1, vocab=1000)
    with Column("llama.cpp", checkpoint, Options(), kv_tokens=1024, threads=1) as column:
        assert "found the model type 'qwen3'; wanted 'llama'" in column.note


@pytest.mark.parametrize("save", [save_llama, save_qwen3, save_gpt2])
def test_checkpoints_run_and_hold_the_long_prompt(save: object, tmp_path: Path) -> None:
    assert callable(save)
    folder = save(tmp_path, hidden=96, layers=1, vocab=1000)
    with Engine(folder, tokenizer=Tokenizer.packaged(), dtype="bfloat16", kv_tokens=512) as engine:
        (done,) = complete(engine, [Job([1, 2, 3], SamplingParams(max_new_tokens=2, temperature=0.0))])
        assert 1 <= done.completion_tokens <= 2
