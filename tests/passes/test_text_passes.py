"""Passes that tokenize text before the run, or once for many, leave every prompt its tokens."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from random import Random

import pytest
from tokenizers import AddedToken

import sglc
from sglc.backend.tokenizer import Tokenizer
from sglc.language.returned import ReturnedState
from sglc.passes.base import Pass
from sglc.passes.batch_forks import BatchForks
from sglc.passes.hoist_prefix import HoistPrefix
from sglc.passes.merge_text import MergeText
from sglc.passes.order_rows import OrderRows
from sglc.passes.pipeline import passes_of
from sglc.passes.settle_seams import SettleSeams
from tests.backend.test_chat_template import CHATML, LLAMA2
from tests.conftest import FULL
from tests.passes.test_seams import changed
from tests.passes.text_programs import PLANTS, Writer
from tests.plans import observed
from tests.program_sources import loaded
from tests.tokenizers import load, small, spaced

COUNT = int(os.environ.get("SGLC_FUZZ", "2000" if FULL else "40"))
FIRST = int(os.environ.get("SGLC_FUZZ_SEED", "0"))
PASSES: Sequence[Sequence[Pass]] = (
    (SettleSeams(),),
    (HoistPrefix(),),
    (MergeText(), SettleSeams()),
    (MergeText(), BatchForks()),
    (MergeText(), SettleSeams(), BatchForks()),
    (MergeText(), SettleSeams(), HoistPrefix()),
    (MergeText(), SettleSeams(), HoistPrefix(), OrderRows(), BatchForks()),
    passes_of(1),
)
_COSTS = ("costs", "streams")


@cache
def tokenizer(name: str) -> Tokenizer:
    """Return one of several kinds of tokenizers, by its name in this file."""
    instructions = [AddedToken(text, special=True, normalized=False) for text in ("[INST]", "[/INST]")]
    llama2 = {"bos_token": "<s>", "eos_token": "</s>"}
    if name == "gpt2":
        return load(name, chat_template=CHATML)  # it has no special tokens for that: all of the template is text
    if name == "packaged":
        return small()
    if name in ("prepend", "first", "always"):
        return Tokenizer(spaced(name, instructions), config=llama2, chat_template=LLAMA2)
    return Tokenizer(changed(name), chat_template=CHATML)


NAMES = ("gpt2", "packaged", "o200k's", "gpt2 by name", "nfc", "added", "always", "first", "prepend")


@pytest.fixture(scope="module", params=NAMES)
def engines(request: pytest.FixtureRequest) -> Iterator[tuple[sglc.Engine, sglc.Engine]]:
    """An audited engine and the reference, with the same tokenizer."""
    shared = tokenizer(request.param)
    with ExitStack() as stack:
        yield (
            stack.enter_context(sglc.Engine("replay:hash", tokenizer=shared, plant=PLANTS, kv_tokens=8192, check=True)),
            stack.enter_context(
                sglc.Engine("replay:hash", tokenizer=shared, plant=PLANTS, kv_tokens=8192, cache=False, max_running=1)
            ),
        )


def test_prompts_have_the_tokens_of_the_reference(
    engines: tuple[sglc.Engine, sglc.Engine], request: pytest.FixtureRequest
) -> None:
    engine, reference = engines
    own = NAMES.index(request.node.callspec.params["engines"])
    for seed in range(FIRST + own, FIRST + COUNT, len(NAMES)):
        random = Random(seed)
        source = Writer(seed, roles=random.random() < 0.4).source(seed)
        passes = random.choice(PASSES)
        with loaded(source) as (module, other):
            states = module.program.run_batch(source.rows, backend=engine, optimize=passes, **source.sampling)
            wanted = other.program.run_batch(
                source.rows, backend=reference, eager=True, concurrency=1, **source.sampling
            )
        for state, expected in zip(states, wanted, strict=True):
            assert type(state) is ReturnedState or expected.error is not None, f"{source}\n{state.error!r}"
            found, right = observed(state), observed(expected)
            for name in right:
                assert name in _COSTS or found[name] == right[name], f"{name} differs\n{source}"
