"""Our layers compute what transformers' do, whatever their settings, and hold each weight once."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from sglc.backend import decoder, model
from sglc.backend.attention_interface import NAME
from sglc.backend.decoder import Decoder, is_decoder
from sglc.backend.model import TransformersModel, load_model
from sglc.backend.model_probe import distance, reference_logits
from sglc.backend.step import Floats
from tests.checkpoints import VOCAB, save_checkpoint
from tests.model_driver import Driver, all_logprobs

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
    "rms_norm_eps": 1e-3,
    "tie_word_embeddings": False,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 1024}
SLIDING = {"use_sliding_window": True, "sliding_window": 7}
CONFIGS: dict[str, tuple[Callable[..., PretrainedConfig], dict[str, Any]]] = {
    "llama": (LlamaConfig, {}),
    "llama, tied": (LlamaConfig, {"tie_word_embeddings": True}),
    "llama, biases": (LlamaConfig, {"attention_bias": True, "mlp_bias": True}),
    "llama, gelu and wide heads": (LlamaConfig, {"hidden_act": "gelu_pytorch_tanh", "head_dim": 16}),
    "llama3 rope": (LlamaConfig, {"rope_parameters": LLAMA3 | {"original_max_position_embeddings": 64}}),
    "yarn rope": (LlamaConfig, {"rope_parameters": YARN}),
    "mistral": (MistralConfig, {"sliding_window": 7}),
    "mistral, no window, tied": (MistralConfig, {"sliding_window": None, "head_dim": 16, "tie_word_embeddings": True}),
    "qwen2": (Qwen2Config, {}),
    "qwen2, two layers slide": (Qwen2Config, SLIDING | {"max_window_layers": 1, "tie_word_embeddings": True}),
    "qwen3": (Qwen3Config, {"head_dim": 16}),
    "qwen3, tied, biases": (Qwen3Config, {"head_dim": 8, "tie_word_embeddings": True, "attention_bias": True}),
    "qwen3, one layer slides": (
        Qwen3Config,
        SLIDING | {"head_dim": 16, "layer_types": ["full_attention", "sliding_attention", "full_attention"]},
    ),
}


def random_model(name: str, dtype: torch.dtype = torch.float64) -> Any:
    """Return a model of a configuration; norms and biases are random too."""
    make, settings = CONFIGS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: Any = AutoModelForCausalLM.from_config(make(**SMALL | settings), attn_implementation=NAME)
        for parameter in made.parameters():
            if parameter.dim() == 1:
                torch.nn.init.normal_(parameter, mean=0.5)
    return made.to(dtype).eval()


def run(served: TransformersModel, tokens: list[list[int]]) -> Floats:
    """Return the log-probabilities of two sequences, one behind the other: first most of the tokens, then each."""
    driver, found = Driver(served), [np.zeros((0, VOCAB)), np.zeros((0, VOCAB))]
    for sequence in tokens:
        driver.add(sequence)
    for counts in [{0: len(tokens[0]) - 6, 1: len(tokens[1]) - 6}, *[{0: 1, 1: 1}] * 6]:
        part = all_logprobs(driver.step(counts), sum(counts.values()), VOCAB)
        found = [np.concatenate(pair) for pair in zip(found, np.split(part, [counts[0]]), strict=True)]
    return np.concatenate(found)


@torch.inference_mode()
def by_transformers(loaded: Any, tokens: list[list[int]]) -> Floats:
    logits = reference_logits(loaded, [torch.tensor(sequence) for sequence in tokens], "sdpa")
    result: Floats = logits.double().log_softmax(-1).numpy()
    return result


@pytest.fixture
def tokens() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, VOCAB, length).tolist() for length in (40, 15)]


@pytest.mark.parametrize("name", CONFIGS)
def test_equals_transformers_in_float64(name: str, tokens: list[list[int]]) -> None:
    loaded = random_model(name)
    wanted = by_transformers(loaded, tokens)
    served = TransformersModel(loaded, CPU, "")
    assert served.own_layers
    np.testing.assert_allclose(run(served, tokens), wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("one_dnn", [True, False])
@pytest.mark.parametrize("name", CONFIGS)
def test_is_as_exact_as_transformers_in_bfloat16(
    name: str, one_dnn: bool, tokens: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not one_dnn:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    loaded = random_model(name, torch.bfloat16)
    rounded = by_transformers(loaded, tokens)
    exact = by_transformers(random_model(name, torch.bfloat16).double(), tokens)
    served = TransformersModel(loaded, CPU, "")
    assert served.own_layers
    error, usual = (
        distance(torch.from_numpy(each), torch.from_numpy(exact)) for each in (run(served, tokens), rounded)
    )
    assert error < 1.5 * usual


@pytest.mark.parametrize("one_dnn", [True, False])
@pytest.mark.parametrize("name", ["llama", "llama, tied"])
def test_few_tokens_and_few_logits(name: str, one_dnn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more rows cost nothing they are added, and must not show."""
    if not one_dnn:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    loaded = random_model(name, torch.bfloat16)
    wanted = by_transformers(loaded, [list(range(6))])
    driver = Driver(TransformersModel(loaded, CPU, ""))
    for count in range(1, 7):
        rows = {(), (0,), (count - 1,), tuple(range(count)), tuple(range(count // 2, count))}
        for logit_rows in sorted(rows):
            sequence = driver.add(range(6))
            logits = driver.step({sequence: count}, logit_rows=logit_rows)
            found = all_logprobs(logits, len(logit_rows), VOCAB)
            assert found.shape == (len(logit_rows), VOCAB)
            if logit_rows:
                assert distance(torch.from_numpy(found), torch.from_numpy(wanted[list(logit_rows)])) < 0.05


def test_only_models_in_which_nothing_was_exchanged_are_decoders() -> None:
    class OwnLayer(LlamaDecoderLayer):
        pass

    class OwnLinear(torch.nn.Linear):
        pass

    class OwnModel(LlamaForCausalLM):
        pass

    def exchange_layer(model: Any) -> None:
        model.model.layers[1] = OwnLayer(model.config, 1)

    def exchange_projection(model: Any) -> None:
        model.model.layers[2].mlp.up_proj = OwnLinear(48, 80, bias=False)

    def exchange_head(model: Any) -> None:
        model.lm_head = torch.nn.Linear(48, VOCAB)

    assert is_decoder(random_model("llama"))
    assert not is_decoder(OwnModel(LlamaConfig(**SMALL)))
    assert not is_decoder(AutoModelForCausalLM.from_config(GemmaConfig(**SMALL | {"head_dim": 8})))
    for exchange in (exchange_layer, exchange_projection, exchange_head):
        changed = random_model("llama")
        exchange(changed)
        assert not is_decoder(changed)


def test_a_model_with_an_exchanged_layer_runs_as_it_is(tokens: list[list[int]]) -> None:
    class Doubled(LlamaDecoderLayer):
        def forward(self, *arguments: Any, **options: Any) -> Any:
            return 2 * super().forward(*arguments, **options)

    loaded = random_model("llama")
    loaded.model.layers[1].__class__ = Doubled
    wanted = by_transformers(loaded, tokens)
    served = TransformersModel(loaded, CPU, "")
    assert not served.own_layers
    np.testing.assert_allclose(run(served, tokens), wanted, rtol=1e-9, atol=1e-11)


def test_layers_that_differ_are_not_used(
    tokens: list[list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_checkpoint("llama", tmp_path)
    own = run(load_model(folder), tokens)
    monkeypatch.setattr(decoder, "rotate", lambda x, cos, sin: x)
    with caplog.at_level(logging.WARNING, model.__name__):
        served = load_model(folder)
    assert not served.own_layers
    (record,) = caplog.records
    assert f"{folder}: LlamaForCausalLM: found logits that differ" in record.getMessage()
    np.testing.assert_allclose(run(served, tokens), own, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["llama", "llama, tied", "qwen2"])
def test_each_weight_is_there_once(name: str, dtype: torch.dtype) -> None:
    loaded = random_model(name, dtype)
    wanted = bytes_of(loaded.parameters())
    made = Decoder(loaded, 4096)
    assert not list(loaded.model.layers.parameters())
    assert loaded.model.embed_tokens.weight.data_ptr() in {x.data_ptr() for x in tensors_in(made) if not x.is_mkldnn}
    assert wanted <= bytes_of(tensors_in(made)) < 1.02 * wanted


def bytes_of(tensors: Iterator[torch.Tensor]) -> int:
    """Return the size of some tensors, those that share memory counted once."""
    sizes = {}
    for tensor in tensors:
        if tensor.is_mkldnn:
            sizes[id(tensor)] = tensor.numel() * tensor.itemsize
        else:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return sum(sizes.values())


def tensors_in(thing: object) -> Iterator[torch.Tensor]:
    """Yield all tensors that a thing holds, however deep."""
    open_things, seen = [thing], set()
    while open_things:
        each = open_things.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        if isinstance(each, torch.Tensor):
            yield each
        else:
            open_things.extend(gc.get_referents(each))
