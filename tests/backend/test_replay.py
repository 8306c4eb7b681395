"""The replay models: lazy logits are the dense ones, and a wrong page never goes unnoticed."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sglc
from sglc.backend.engine import Engine
from sglc.backend.replay import HashModel
from sglc.backend.replay_logits import HashLogits
from sglc.backend.sampler import DenseLogits
from sglc.backend.step import SCRATCH_SLOT, Draws, Edits, Step
from sglc.backend.tokenizer import Tokenizer
from sglc.errors import EngineError, InputError
from tests.asking import Mailbox, ask, request, watch


def lazy_logits(seed: int, rows: int, vocab: int) -> HashLogits:
    contexts = np.random.default_rng(seed).integers(0, 2**64, rows, dtype=np.uint64)
    return HashLogits(contexts, vocab, vocab - 1, {0: 3 % vocab})


def dense_logits(lazy: HashLogits, rows: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([lazy.dense(row) for row in range(rows)]))


def plain_draws(rows: list[int], temperatures: list[float], uniforms: list[float], vocab: int, **given: float) -> Draws:
    count = len(rows)
    return Draws(
        rows=np.array(rows, np.int64),
        temperatures=np.array(temperatures, np.float64),
        uniforms=np.array(uniforms, np.float64),
        top_ks=np.full(count, int(given.get("top_k", vocab)), np.int64),
        top_ps=np.full(count, given.get("top_p", 1.0)),
        min_ps=np.full(count, given.get("min_p", 0.0)),
        edits={0: Edits(forbidden=(3,))} if given.get("edited") else {},
    )


TEMPERATURES = st.sampled_from([0.0, 1e-6, 1e-3, 0.02, 0.3, 1.0, 1.7, 5.0, 40.0, 1e6])


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    vocab=st.sampled_from([9, 31, 32, 33, 300, 2048]),
    drawn=st.lists(
        st.tuples(st.integers(0, 3), TEMPERATURES, st.floats(0, 1, exclude_max=True)), min_size=1, max_size=8
    ),
    filters=st.sampled_from([{}, {}, {"top_k": 3}, {"top_p": 0.7}, {"min_p": 0.2}, {"edited": 1.0}]),
)
@pytest.mark.filterwarnings("error")
def test_lazy_draws_are_dense_draws(
    seed: int, vocab: int, drawn: list[tuple[int, float, float]], filters: dict[str, float]
) -> None:
    lazy = lazy_logits(seed, 4, vocab)
    rows, temperatures, uniforms = zip(*drawn, strict=True)
    draws = plain_draws([*rows], [*temperatures], [*uniforms], vocab, **filters)
    dense = dense_logits(lazy, 4)
    found, wanted = lazy.draw(draws), DenseLogits(dense).draw(draws)
    for i in np.flatnonzero(found != wanted):  # only where the uniform falls on the border of two tokens
        weights = torch.softmax(dense[rows[i]] / temperatures[i], 0).cumsum(0)
        assert abs(float(weights[min(found[i], wanted[i])]) - uniforms[i]) < 1e-12


def test_lazy_draws_reach_every_token() -> None:
    """At a high temperature the tokens that do not stand out hold nearly all the mass."""
    lazy, vocab = lazy_logits(5, 1, 64), 64
    grid = ((np.arange(4000) + 0.5) / 4000).tolist()
    found = lazy.draw(plain_draws([0] * 4000, [50.0] * 4000, grid, vocab))
    assert sorted(set(found.tolist())) == [*range(vocab)]
    assert (np.diff(found) >= 0).all(), "tokens in id order"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), vocab=st.sampled_from([9, 33, 300, 2048]), top=st.sampled_from([0, 1, 5]))
def test_lazy_logprobs_are_dense_logprobs(seed: int, vocab: int, top: int) -> None:
    lazy = lazy_logits(seed, 4, vocab)
    generator = np.random.default_rng(seed)
    standing_out = [int(lazy.draw(plain_draws([row], [0.0], [0.0], vocab))[0]) for row in range(4)]
    rows = np.array([*range(4), *generator.integers(0, 4, 20)])
    tokens = np.array([*standing_out, *generator.integers(0, vocab, 20)])
    found = lazy.logprobs(rows, tokens, top)
    dense = torch.log_softmax(dense_logits(lazy, 4), 1).numpy()
    np.testing.assert_allclose(found.chosen, dense[rows, tokens], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found.top_logprobs, -np.sort(-dense[rows], axis=1)[:, :top], rtol=1e-12, atol=1e-13)
    assert found.top_ids.shape == (24, top)


# The audit


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.packaged()


def step(tokens: list[int], table: list[int], start: int = 0) -> Step:
    """Return a step that computes `tokens` of one sequence, whose pages are `table`."""
    end = start + len(tokens)
    return Step(
        token_ids=np.array(tokens, np.int64),
        positions=np.arange(start, end),
        slots=np.array(table[start:end], np.int64),
        lengths=np.array([len(tokens)]),
        context_lengths=np.array([end]),
        tables=[np.array(table[:end], np.int64)],
        logit_rows=np.array([len(tokens) - 1]),
    )


def test_what_a_context_says_depends_on_all_of_it_and_on_no_slot(tokenizer: Tokenizer) -> None:
    def hash_of(tokens: list[int], table: list[int]) -> int:
        model = HashModel(tokenizer)
        model.allocate(100)
        return int(model.contexts(step(tokens, table))[0])

    same = hash_of([5, 6, 7], [1, 2, 3])
    assert hash_of([5, 6, 7], [90, 4, 17]) == same
    assert len({same, hash_of([5, 7, 6], [1, 2, 3]), hash_of([5, 6], [1, 2]), hash_of([4, 6, 7], [1, 2, 3])}) == 4


def test_chunks_make_no_difference(tokenizer: Tokenizer) -> None:
    model = HashModel(tokenizer)
    model.allocate(20)
    whole = model.contexts(step([5, 6, 7, 8], [1, 2, 3, 4]))
    model.contexts(step([5, 6], [11, 12, 13, 14]))
    assert model.contexts(step([7, 8], [11, 12, 13, 14], start=2)) == whole


@pytest.mark.parametrize(
    ("table", "words"),
    [([1, 2, 9, 4], "found position -1 in slot 9; wanted position 2"), ([1, 3, 2, 4], "wanted position 1")],
    ids=["never written", "in another order"],
)
def test_a_wrong_page_is_found(tokenizer: Tokenizer, table: list[int], words: str) -> None:
    model = HashModel(tokenizer)
    model.allocate(20)
    model.contexts(step([5, 6, 7], [1, 2, 3]))
    with pytest.raises(EngineError, match=f"KV audit: .*{words}"):
        model.contexts(step([8], table, start=3))


def test_a_slot_written_twice_is_found(tokenizer: Tokenizer) -> None:
    model = HashModel(tokenizer)
    model.allocate(20)
    with pytest.raises(EngineError, match="KV audit: found a slot written twice"):
        model.contexts(step([5, 6], [1, 1]))


def test_kv_of_another_token_is_found_where_it_is_computed_again(tokenizer: Tokenizer) -> None:
    model = HashModel(tokenizer)
    model.allocate(20)
    model.contexts(step([5, 6], [1, 2]))
    again = step([7], [1, 2], start=1)
    again.slots[:] = SCRATCH_SLOT
    with pytest.raises(EngineError, match="KV audit: found KV of another token"):
        model.contexts(again)


def test_a_stale_page_of_the_right_position_changes_the_answer(tokenizer: Tokenizer) -> None:
    model = HashModel(tokenizer)
    model.allocate(20)
    right = model.contexts(step([5, 6, 7], [1, 2, 3]))
    model.contexts(step([5, 9, 7], [4, 5, 6]))
    assert model.contexts(step([7], [1, 5, 8], start=2)) != right


def test_a_page_swapped_under_an_engine_is_found() -> None:
    with closing(Engine("replay:hash", kv_tokens=256)) as engine:
        planted = []

        def swap(taken: Step) -> None:
            if int(taken.context_lengths[0]) > 10 and not planted:
                planted.append(taken.tables[0][3])
                taken.tables[0][3] = taken.tables[0][4]

        watch(engine, swap)
        mailbox = Mailbox()
        asked = request(mailbox, [0, 5, 6, 7, 8, 9, 10], ignore_eos=True)
        engine.submit([asked])
        (end,) = mailbox.wait([asked])
        assert "KV audit" in str(end)
        assert planted


# What it says


def test_planted_texts_come_now_and_then() -> None:
    with closing(Engine("replay:hash", plant=["yes", "stop here", "好的"])) as engine:
        said = ask(engine, [[0, i] for i in range(60)], max_new_tokens=30, ignore_eos=True)
        for text in ("yes", "stop here", "好的"):
            share = sum(text in each.text for each in said) / len(said)
            assert share > 0.5, text


def test_generations_end_by_themselves_now_and_then() -> None:
    with closing(Engine("replay:hash")) as engine:
        said = ask(engine, [[0, i] for i in range(100)], max_new_tokens=60)
        ended = [each for each in said if each.finish.kind == "stop"]
        assert 0.3 < len(ended) / len(said) < 0.99


# Traces


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.jsonl"
    entries = [{"prompt": [0, 5, 6], "output": [7, 8, 9]}, {"prompt": [0, 5, 6, 7, 8, 9, 10], "output": [11]}]
    path.write_text("\n".join(json.dumps(entry) for entry in entries), encoding="utf-8")
    return path


def test_a_trace_says_what_it_recorded(trace: Path) -> None:
    with closing(Engine(f"replay:{trace}", check=True)) as engine:
        first, second = ask(engine, [[0, 5, 6], [0, 5, 6, 7, 8, 9, 10]], temperature=1.0)
        assert first.tokens.tolist() == [7, 8, 9]
        assert second.tokens.tolist() == [11]
        assert first.finish.kind == second.finish.kind == "stop"


def test_a_context_that_is_not_recorded_fails_alone(trace: Path) -> None:
    with closing(Engine(f"replay:{trace}", check=True)) as engine:
        mailbox = Mailbox()
        asked = [request(mailbox, [0, 5, 6]), request(mailbox, [0, 5, 9])]
        engine.submit(asked)
        good, bad = mailbox.wait(asked)
        assert not isinstance(good, Exception)
        assert "found a context of 3 tokens that the recording does not have" in str(bad)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "trace.jsonl:2: found"),
        ('{"prompt": [1]}', "wanted {"),
        ('{"prompt": [0], "output": [99999]}', "outside the vocabulary"),
        ('{"prompt": [0, 5, 6], "output": [8]}', "a second continuation"),
    ],
)
def test_a_malformed_trace_is_refused_with_its_line(trace: Path, line: str, words: str) -> None:
    first = trace.read_text(encoding="utf-8").splitlines()[0]
    trace.write_text(f"{first}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"trace\.jsonl:2: ") as caught:
        Engine(f"replay:{trace}")
    assert words in str(caught.value)


def test_a_trace_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"found no file 'nowhere\.jsonl' to replay"):
        sglc.Engine("replay:nowhere.jsonl")
