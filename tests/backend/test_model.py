"""Every supported architecture computes in ragged, shared, chunked batches what transformers computes unbatched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from sglc.backend import logit_blocks, model
from sglc.backend.attention import StepAttention
from sglc.backend.checkpoint import fingerprint, resolve_model
from sglc.backend.model import TransformersModel, load_model
from sglc.backend.rope_check import steady_length
from sglc.backend.step import Floats, Ints, Step
from sglc.errors import InputError, Unsupported
from tests.checkpoints import REFUSED, SUPPORTED, VOCAB, save_checkpoint
from tests.model_driver import Driver, all_logprobs

OWN = {"llama", "llama3-rope", "yarn-rope", "mistral", "qwen2", "qwen3"}
"""Families that have layers of ours."""


def transformers_logprobs(folder: Path, sequences: Sequence[Sequence[int]]) -> list[Floats]:
    """Return the log-probabilities [length, VOCAB] of each sequence by itself, on transformers' eager attention."""
    oracle = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    with torch.inference_mode():
        return [oracle(torch.tensor([tokens])).logits[0].log_softmax(-1).numpy() for tokens in sequences]


@pytest.fixture
def exact_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep transformers' eager attention from taking its softmax in float32."""
    monkeypatch.setattr(torch.nn.functional, "softmax", lambda x, dim, dtype=None: x.softmax(dim))


@pytest.mark.usefixtures("exact_softmax")
@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "unknown"])
@pytest.mark.parametrize("family", SUPPORTED)
def test_equals_transformers(family: str, numbered: bool, tmp_path: Path) -> None:
    folder = save_checkpoint(family, tmp_path)
    served = load_model(folder)
    assert served.own_layers == (family in OWN)
    driver = Driver(served, numbered=numbered)
    rng = np.random.default_rng(1)
    prefix = rng.integers(0, VOCAB, 70).tolist()
    found: list[tuple[int, int, Floats]] = []  # sequence, first position, log-probabilities

    def run(counts: dict[int, int], *, again: bool = False) -> None:
        logits = all_logprobs(driver.step(counts, again=again), sum(counts.values()), VOCAB)
        for sequence, part in zip(counts, np.split(logits, np.cumsum(list(counts.values()))[:-1]), strict=True):
            found.append((sequence, len(driver.tables[sequence]) - counts[sequence], part))

    driver.add(prefix + rng.integers(0, VOCAB, 5).tolist())
    driver.add(rng.integers(0, VOCAB, 12).tolist())
    run({0: 32, 1: 5})
    run({0: 38, 1: 1})
    for own in (3, 40, 1, 17):
        driver.add(prefix + rng.integers(0, VOCAB, own + 4).tolist(), like=0, shared=70)
    run({0: 1, 1: 2, 2: 3, 3: 40, 4: 1, 5: 17})
    for _ in range(3):
        run(dict.fromkeys(range(6), 1))
    run({0: 1, 3: 4}, again=True)
    run(dict.fromkeys(range(6), 1))

    wanted = transformers_logprobs(folder, driver.tokens)
    for sequence, start, part in found:
        np.testing.assert_allclose(part, wanted[sequence][start : start + len(part)], rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("exact_softmax")
@pytest.mark.parametrize("family", ["llama", "gemma2"])
@pytest.mark.parametrize("calls", [0, 1])
def test_a_step_that_fails_can_be_repeated(
    family: str, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What rows have beside the pool is not trusted after a step that some layers did, and others did not."""
    folder = save_checkpoint(family, tmp_path)
    driver = Driver(load_model(folder))
    rng = np.random.default_rng(0)
    rows = [driver.add(rng.integers(0, VOCAB, 12).tolist()) for _ in range(4)]
    driver.step(dict.fromkeys(rows, 7))
    found = [all_logprobs(driver.step(dict.fromkeys(rows, 1)), 4, VOCAB) for _ in range(2)]
    original, done = StepAttention.attend, iter(range(calls))

    def fail_late(self: StepAttention, *arguments: Any) -> torch.Tensor:
        if next(done, None) is None:
            raise MemoryError("found no memory; wanted some")
        return original(self, *arguments)

    monkeypatch.setattr(StepAttention, "attend", fail_late)
    with pytest.raises(MemoryError):
        driver.step(dict.fromkeys(rows, 1))
    monkeypatch.setattr(StepAttention, "attend", original)
    for row in rows:
        driver.tables[row].pop()
    found += [all_logprobs(driver.step(dict.fromkeys(rows, 1)), 4, VOCAB) for _ in range(3)]
    wanted = transformers_logprobs(folder, driver.tokens)
    for row in rows:
        part = np.stack([step[row] for step in found])
        np.testing.assert_allclose(part, wanted[row][7:12], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_lower_precisions_stay_close(dtype: str, tmp_path: Path) -> None:
    folder = save_checkpoint("llama", tmp_path, initializer_range=0.1)
    driver = Driver(load_model(folder, dtype=dtype))
    tokens = np.random.default_rng(0).integers(0, VOCAB, 50).tolist()
    driver.add(tokens)
    found = all_logprobs(driver.step({0: 50}), 50, VOCAB)
    tolerance = {"float32": 1e-4, "bfloat16": 0.1}[dtype]
    assert np.abs(found - transformers_logprobs(folder, [tokens])[0]).max() < tolerance


@pytest.mark.parametrize("family", ["llama", "gemma2", "opt"])
def test_many_logits_come_in_blocks(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint(family, tmp_path)
    tokens = list(range(40))
    results = []
    for size in (logit_blocks.BLOCK_BYTES, 7 * VOCAB * 8):
        monkeypatch.setattr(logit_blocks, "BLOCK_BYTES", size)
        driver = Driver(load_model(folder))
        driver.add(tokens)
        results.append(all_logprobs(driver.step({0: 40}), 40, VOCAB))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


def test_a_step_without_logits(tmp_path: Path) -> None:
    driver = Driver(load_model(save_checkpoint("llama", tmp_path)))
    driver.add(range(10))
    table = np.arange(1, 11)
    counts = np.array([10])
    none: Ints = np.zeros(0, dtype=np.int64)
    logits = driver.model.forward(Step(np.arange(10), np.arange(10), table, counts, counts, [table], none))
    assert logits.refused == {}


def test_properties(tmp_path: Path) -> None:
    served = load_model(save_checkpoint("llama", tmp_path / "a", dtype="float32", eos=[2, 5]))
    assert (served.vocab_size, served.max_length, served.eos_ids) == (VOCAB, 4096, frozenset({2, 5}))
    assert served.kv_bytes_per_token == 2 * 2 * 2 * 8 * 4  # layers, k and v, kv heads, head dim, bytes
    again = load_model(save_checkpoint("llama", tmp_path / "b", dtype="float32", eos=[2, 5]))
    other = load_model(save_checkpoint("llama", tmp_path / "c", dtype="float32", eos=[2, 5], seed=1))
    assert served.fingerprint == again.fingerprint != other.fingerprint
    assert load_model(tmp_path / "a", dtype="float64").fingerprint != served.fingerprint
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


@pytest.mark.parametrize("family", REFUSED)
def test_models_that_ignore_the_interface_are_refused(family: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="attention"):
        load_model(save_checkpoint(family, tmp_path))


def test_a_refusal_names_the_layer(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"found 0 of 2 layers .*h\.0\.self_attention \(BloomAttention\)"):
        load_model(save_checkpoint("bloom", tmp_path))


def test_unknown_attention_arguments_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="GptOssAttention: found attention argument 's_aux'"):
        load_model(save_checkpoint("gpt-oss", tmp_path))


def test_a_window_that_only_the_mask_knows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint("gemma3", tmp_path)
    original = model.TransformersModel.__init__

    def forget_windows(self: TransformersModel, loaded: Any, *rest: Any) -> None:
        for layer in loaded.model.layers:
            layer.self_attn.sliding_window = None
        original(self, loaded, *rest)

    monkeypatch.setattr(model.TransformersModel, "__init__", forget_windows)
    with pytest.raises(Unsupported, match="mask of local size 11"):
        load_model(folder)


def test_encoder_decoders_and_encoders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
    with pytest.raises(Unsupported, match="found an encoder-decoder model"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(Unsupported, match="found a vit model; wanted a causal language model"):
        load_model(tmp_path)


def test_rope_that_depends_on_the_length() -> None:
    assert steady_length(None, 100) == 100
    assert steady_length({"rope_type": "yarn", "factor": 4.0}, 100) == 100
    assert steady_length({"rope_type": "longrope", "original_max_position_embeddings": 40}, 100) == 40
    assert (
        steady_length({"full_attention": {"rope_type": "longrope", "original_max_position_embeddings": 40}}, 100) == 40
    )
    with pytest.raises(Unsupported, match="found RoPE scaling 'dynamic'"):
        steady_length({"rope_type": "dynamic", "factor": 2.0}, 100)


def test_longrope_keeps_to_the_short_factors(tmp_path: Path) -> None:
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [3.0] * 4}
    rope["original_max_position_embeddings"] = 512
    folder = save_checkpoint("phi3", tmp_path, rope_parameters=rope, original_max_position_embeddings=512)
    assert load_model(folder).max_length == 512


def test_faults_of_a_folder_are_sentences(tmp_path: Path) -> None:
    def refusal(folder: Path, **options: Any) -> str:
        with pytest.raises(InputError) as error:
            load_model(folder, **options)
        return str(error.value)

    assert "found no such folder" in refusal(tmp_path / "nowhere")
    assert "found no config.json" in refusal(tmp_path)
    folder = save_checkpoint("llama", tmp_path / "model")
    assert "wanted auto, float32, bfloat16, float64" in refusal(folder, dtype="int3")
    assert "device: found 'toaster'" in refusal(folder, device="toaster")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000])
    assert f"{weights}: found {len(whole) - 1000:,} bytes; wanted {len(whole):,}" in refusal(folder)
    weights.write_bytes(whole[:5])
    assert f"{weights}: found no readable header" in refusal(folder)
    weights.unlink()
    (folder / "pytorch_model.bin").touch()
    assert "weight files: pytorch_model.bin); wanted model.safetensors" in refusal(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"lm_head.weight": "model-1.safetensors"}}')
    assert "found no model-1.safetensors, which model.safetensors.index.json lists" in refusal(folder)
    (folder / "config.json").write_text('{"model_type": "klingon"}')
    assert "found model_type 'klingon'; wanted one that transformers" in refusal(folder)
    (folder / "config.json").write_text("{")
    assert "found no readable JSON" in refusal(folder)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    folder = save_checkpoint("llama", tmp_path, num_hidden_layers=1)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 1', '"num_hidden_layers": 2'))
    with pytest.raises(InputError, match=r"found no weights for model\.layers\.1\..*; wanted all weights"):
        load_model(folder)


def test_resolve_model_takes_folders_and_cached_hub_models(tmp_path: Path) -> None:
    assert resolve_model(str(tmp_path)) == tmp_path
    with pytest.raises(InputError, match="found no such folder; wanted a model folder or owner/name"):
        resolve_model(str(tmp_path / "nowhere"))
    cached = tmp_path / "hub" / "models--owner--tiny"
    snapshot = cached / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    for reference in ("main", "v1"):
        (cached / "refs").mkdir(exist_ok=True)
        (cached / "refs" / reference).write_text("abc123")
    script = (
        "import sys\n"
        "from sglc.backend.checkpoint import resolve_model\n"
        "from sglc.errors import InputError\n"
        "for spec in sys.argv[1:]:\n"
        "    try:\n"
        "        print(resolve_model(spec))\n"
        "    except InputError as error:\n"
        "        print(error)\n"
        "assert 'torch' not in sys.modules\n"
    )
    specs = ["owner/tiny", "owner/tiny@v1", "owner/other"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    ran = subprocess.run(
        [sys.executable, "-c", script, *specs], capture_output=True, text=True, env=environment, check=True
    )
    lines = ran.stdout.splitlines()
    assert lines[:2] == [str(snapshot)] * 2
    assert lines[2].startswith("owner/other: found neither a folder of that name nor a model of the hub")
