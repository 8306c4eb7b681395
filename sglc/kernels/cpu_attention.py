"""Attention on a CPU with bfloat16 instructions: scores never reach memory. The kernel is `cpu_attention.c`.

The reference is `backend/partial_softmax`, which takes about three times as long where keys are in the cache: torch has
no operation that does softmax between two products there. Few queries of keys that are not wait for memory in both.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from pathlib import Path

import torch

from sglc.kernels.native import Unavailable, load

_FLAGS = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mfma")
_LOG2_E = 1 / math.log(2)

_MULTIPLIES_BFLOAT16 = bool(dict(getattr(torch.cpu, "get_capabilities", dict)()).get("avx512_bf16"))


class _Arguments(ctypes.Structure):
    """`Attention` of the C file."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("q", "k", "v", "hidden", "out", "wide_out", "lse")),
        *((name, ctypes.c_int64) for name in ("items", "rows", "keys", "dim", "value_dim", "last")),
        *((f"{name}_{step}", ctypes.c_int64) for name in ("q", "k", "v", "hidden") for step in ("item", "row")),
        ("scale", ctypes.c_float),
        ("threads", ctypes.c_int32),
    )


class CpuAttention:
    """The kernel, once it is loaded."""

    def __init__(self) -> None:
        """Compile it if need be. Raises Unavailable."""
        if not _MULTIPLIES_BFLOAT16:
            raise Unavailable("the processor has no AVX-512 bf16")
        self._run = load(Path(__file__).with_suffix(".c"), _FLAGS).sglc_cpu_attention
        self._run.argtypes = [ctypes.POINTER(_Arguments)]

    @staticmethod
    def takes(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> bool:
        """Whether it computes such inputs: bfloat16 on the CPU, of dimensions that fill whole registers."""
        return (
            q.dtype == k.dtype == v.dtype == torch.bfloat16
            and q.device.type == "cpu"
            and q.shape[-1] % 32 == 0
            and v.shape[-1] % 32 == 0
            and q.stride(-1) == k.stride(-1) == v.stride(-1) == 1
        )

    def whole(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scaling: float, hidden: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the attention [N, M, E], bfloat16, of q [N, M, D] over k [N, K, D] and v [N, K, E].

        `hidden` [N or 1, M or 1, K'], float32, is 0, or -inf where a query doesn't see one of the last K' keys.
        """
        out = q.new_empty(*q.shape[:2], v.shape[-1])
        self._compute(q, k, v, scaling, hidden, out=out.data_ptr())
        return out

    def part(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scaling: float, hidden: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the attention [N, M, E] and its log-sum-exp [N, M] to the base 2, both float32; else as `whole`."""
        out = q.new_empty(*q.shape[:2], v.shape[-1], dtype=torch.float32)
        lse = q.new_empty(q.shape[:2], dtype=torch.float32)
        self._compute(q, k, v, scaling, hidden, wide_out=out.data_ptr(), lse=lse.data_ptr())
        return out, lse

    def _compute(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        scaling: float,
        hidden: torch.Tensor | None,
        **to: int,
    ) -> None:
        items, rows, dim = q.shape
        if hidden is not None:
            hidden = hidden if hidden.stride(-1) == 1 else hidden.contiguous()
            to |= {"hidden": hidden.data_ptr(), "last": hidden.shape[-1]}
            to["hidden_item"] = hidden.stride(0) if len(hidden) > 1 else 0
            to["hidden_row"] = hidden.stride(1) if hidden.shape[1] > 1 else 0
        arguments = _Arguments(
            q=q.data_ptr(),
            k=k.data_ptr(),
            v=v.data_ptr(),
            items=items,
            rows=rows,
            keys=k.shape[1],
            dim=dim,
            value_dim=v.shape[2],
            q_item=q.stride(0),
            q_row=q.stride(1),
            k_item=k.stride(0),
            k_row=k.stride(1),
            v_item=v.stride(0),
            v_row=v.stride(1),
            scale=scaling * _LOG2_E,
            threads=torch.get_num_threads(),
            **to,
        )
        if self._run(arguments):
            raise MemoryError("found no memory for attention's blocks of keys")


@cache
def cpu_attention() -> CpuAttention | None:
    """Return the kernel, or None where it can't be had; `missing` says why."""
    return None if missing() else CpuAttention()


@cache
def missing() -> str | None:
    """Return why the kernel can't be had here, or None."""
    try:
        CpuAttention()
    except Unavailable as error:
        return str(error)
    return None
