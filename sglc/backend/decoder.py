"""The decoder of Llama, Mistral, Qwen2 and Qwen3, written for speed over the weights that transformers loaded.

Projections of the same input are one, weights are packed, angles come from a table, and behind the last attention only
the rows whose logits are wanted are computed. Every cast of the original is kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import embedding, pad, rms_norm
from transformers import LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.mistral.modeling_mistral import MistralAttention, MistralDecoderLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

from sglc.backend.attention_interface import Pass
from sglc.backend.packed_linear import Linear
from sglc.backend.partial_softmax import Scoring
from sglc.backend.rotary_table import RotaryTable, rotate
from sglc.backend.step import Step
from sglc.backend.work_list import as_tensor

_FAMILIES = {
    LlamaForCausalLM: LlamaDecoderLayer,
    MistralForCausalLM: MistralDecoderLayer,
    Qwen2ForCausalLM: Qwen2DecoderLayer,
    Qwen3ForCausalLM: Qwen3DecoderLayer,
}

Rotation = tuple[torch.Tensor, torch.Tensor]


def is_decoder(model: Any) -> bool:
    """Whether a model is one of the families, with nothing in it exchanged for something else."""
    layer_type = _FAMILIES.get(type(model))
    if layer_type is None or not all(type(layer) is layer_type for layer in model.model.layers):
        return False
    linears = [model.lm_head]
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        linears += [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
        linears += [mlp.gate_proj, mlp.up_proj, mlp.down_proj]
    return all(type(linear) is torch.nn.Linear for linear in linears) and model.lm_head.bias is None


class Decoder:
    """Implements `Network`."""

    def __init__(self, model: Any, longest: int) -> None:
        """Take the weights out of a model that `is_decoder`: it can't be run any more, but nothing is there twice."""
        body = model.model
        self._embedding = body.embed_tokens.weight.detach()
        device, dtype = self._embedding.device, self._embedding.dtype
        self._table = RotaryTable(body.rotary_emb, dtype, device, longest)
        self._layers: list[_Layer] = []
        for number, layer in enumerate(body.layers):
            self._layers.append(_Layer(layer))
            body.layers[number] = torch.nn.Identity()
        self._norm = _Norm(body.norm)
        tied = model.lm_head.weight is body.embed_tokens.weight
        self._head = Linear(model.lm_head.weight, pack=not tied)
        model.lm_head = torch.nn.Identity()
        self._turned = model.config.num_attention_heads + model.config.num_key_value_heads
        self._fewest_rows = max(layer.fewest_rows for layer in self._layers)

    def logits(self, step: Step, running: Pass) -> torch.Tensor:
        """Return the logits [R, vocab] of a step."""
        return self.head(self.hidden(step, running))

    def hidden(self, step: Step, running: Pass) -> torch.Tensor:
        """Return the hidden states [R, hidden] under the head."""
        device = self._embedding.device
        ids, positions = as_tensor(step.token_ids, device), as_tensor(step.positions, device)
        padding = self._fewest_rows - len(ids)
        if padding > 0:  # rows that cost nothing and are read by nobody
            ids, positions = pad(ids, (0, padding)), pad(positions, (0, padding))
        cos, sin = self._table.at(positions, int(step.positions.max()))
        rotation = cos.expand(-1, self._turned, -1).contiguous(), sin.expand(-1, self._turned, -1).contiguous()
        x = embedding(ids, self._embedding)
        for layer in self._layers[:-1]:
            x = layer(x, rotation, running, len(step.token_ids), None)
        wanted = as_tensor(step.logit_rows, device)
        missing = max(0, self._fewest_rows - len(wanted))
        x = self._layers[-1](x, rotation, running, len(step.token_ids), pad(wanted, (0, missing)))
        return self._norm(x)[: len(wanted)]

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits [n, vocab] of hidden states [n, hidden]."""
        missing = self._head.fewest_rows - len(hidden)
        if missing > 0 and len(hidden):
            return self._head(pad(hidden, (0, 0, 0, missing)))[: len(hidden)]
        return self._head(hidden)


class _Norm:
    """Root-mean-square norm over the last dimension, in float32, times a weight."""

    def __init__(self, *modules: Any, repeats: tuple[int, ...] = (1,)) -> None:
        """Take one module, or for [n, heads, D] several of equal epsilon, each for so many heads."""
        weights = [m.weight.detach().expand(count, -1) for m, count in zip(modules, repeats, strict=True)]
        self._weight = weights[0][0] if len(weights) == 1 else torch.cat(weights)
        self._share = 1 / weights[0].shape[-1]
        self._epsilon = torch.tensor(modules[0].variance_epsilon, device=self._weight.device)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64:  # to the last bit as transformers: a float32 inside is all that is not exact
            return rms_norm(x.float(), x.shape[-1:], None, float(self._epsilon)).to(x.dtype).mul_(self._weight)
        wide = x.to(torch.float32, copy=True)
        length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        wide.mul_(torch.addcmul(self._epsilon, length, length, value=self._share).rsqrt_())
        return wide.to(x.dtype).mul_(self._weight)


class _Layer:
    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        config = attention.config
        self._dim: int = attention.head_dim
        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._scoring = Scoring(float(attention.scaling))
        self._window: int | None = _window(attention)
        self._before = _Norm(layer.input_layernorm)
        self._qkv = Linear.fused([attention.q_proj, attention.k_proj, attention.v_proj])
        self._qk_norm = None
        if hasattr(attention, "q_norm"):
            self._qk_norm = _Norm(attention.q_norm, attention.k_norm, repeats=(self._heads, self._kv_heads))
        self._out = Linear.fused([attention.o_proj])
        self._between = _Norm(layer.post_attention_layernorm)
        self._gate_up = Linear.fused([mlp.gate_proj, mlp.up_proj])
        self._activation = mlp.act_fn
        self._down = Linear.fused([mlp.down_proj])

    @property
    def fewest_rows(self) -> int:
        """Rows below which more of them cost nothing."""
        return self._qkv.fewest_rows

    def __call__(
        self, x: torch.Tensor, rotation: Rotation, running: Pass, tokens: int, wanted: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the hidden states of x [n, hidden], of which `tokens` count; only of the rows `wanted`, if given."""
        qkv = self._qkv(self._before(x)).unflatten(1, (-1, self._dim))
        turned = self._heads + self._kv_heads
        qk, v = qkv[:, :turned], qkv[:tokens, turned:]
        if self._qk_norm is not None:
            qk = self._qk_norm(qk)
        qk = rotate(qk, *rotation)[:tokens]
        attended = running.attend(self, qk[:, : self._heads], qk[:, self._heads :], v, self._scoring, self._window)
        if wanted is not None:
            x, attended = x.index_select(0, wanted), attended.index_select(0, wanted)
        elif len(x) > tokens:
            attended = pad(attended, (0, 0, 0, len(x) - tokens))
        x = self._out(attended).add_(x)
        gate, up = self._gate_up(self._between(x)).chunk(2, dim=-1)
        return self._down(self._activation(gate).mul_(up)).add_(x)


def _window(attention: Any) -> int | None:
    """Return the window that the layer hands to attention."""
    holder = attention.config if isinstance(attention, MistralAttention) else attention
    window: int | None = getattr(holder, "sliding_window", None)
    return window
