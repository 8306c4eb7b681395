"""`sglc demo`: small programs on a small model that is made on the spot, and what they cost."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sglc.backend.engine import Engine
from sglc.backend.tokenizer import PACKAGED, Tokenizer
from sglc.commands.demo_programs import DEMOS
from sglc.language.function import SglFunction

COUNTED = ("filled", "cached", "decoded", "forced", "forward_passes")
"""The counters a reader of the demo wants to see."""


def demo() -> int:
    """Run the demo, show it on stdout, and return the exit code: 1 where a row failed."""
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    with tempfile.TemporaryDirectory(prefix="sglc-demo-") as folder:
        began = time.perf_counter()
        make_random_checkpoint(Path(folder))
        with contextlib.closing(Engine(folder, dtype="float32", kv_tokens=4096)) as engine:
            console.print(
                f"A Llama with random weights, made in {time.perf_counter() - began:.1f} s. It was never trained, so "
                "its words mean nothing.\nWhat to look at is what they cost: tokens computed (filled), found in the "
                "cache (cached), and decoded.",
                soft_wrap=True,
            )
            failed = sum(_show(console, engine, program, rows) for program, rows in DEMOS)
    console.print(f"Done in {time.perf_counter() - began:.1f} s. Next: sglc run --help", soft_wrap=True)
    return 1 if failed else 0


def make_random_checkpoint(folder: Path) -> None:
    """Write a random Llama checkpoint with the packaged tokenizer to `folder`: 4 layers, hidden size 128, float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    shutil.copytree(PACKAGED, folder, dirs_exist_ok=True)
    tokenizer = Tokenizer.packaged()
    config = LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        bos_token_id=tokenizer.prefix[0],
        eos_token_id=tokenizer.eos_id,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
    )
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)


def _show(console: Console, engine: Engine, program: SglFunction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run one program, print its results and counters, and return how many rows failed."""
    before, began = engine.counters.copy().as_dict(), time.perf_counter()
    states = list(program.run_batch(rows, backend=engine))
    seconds = time.perf_counter() - began
    after = engine.counters.as_dict()

    names = list(dict.fromkeys(name for state in states for name in state.variables()))
    table = Table()
    for name in (*rows[0], *names):
        table.add_column(name, overflow="fold")
    for row, state in zip(rows, states, strict=True):
        if state.error is not None:
            table.add_row(*map(str, row.values()), f"{type(state.error).__name__}: {state.error}")
            continue
        values = state.variables()
        table.add_row(*map(str, row.values()), *(_shown(values.get(name)) for name in names))
    console.print(f"\n{program.name}: {len(rows)} rows in {seconds:.2f} s", style="bold")
    console.print(table)
    console.print(", ".join(f"{name} {after[name] - before[name]:,}" for name in COUNTED), soft_wrap=True)
    return sum(state.error is not None for state in states)


def _shown(value: object) -> str:
    """Return a variable as a cell: text quoted, so that what the tokens spell stays on its line."""
    if isinstance(value, list):
        return " | ".join(_shown(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
