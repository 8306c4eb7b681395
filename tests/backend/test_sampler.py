"""Draws follow `Draws` to the letter: compared with a plain numpy rendering of its docstring."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sglc.backend.inverse_cdf import inverse_cdf, padded_width
from sglc.backend.narrow_rows import narrow_rows
from sglc.backend.sampler import DenseLogits
from sglc.backend.step import Draws, Edits, Floats, Ints
from sglc.backend.top_tokens import top_tokens

VOCAB = 40


def edited(logits: Floats, edits: Edits) -> Floats:
    x = logits.astype(np.float64).copy()
    for token in [] if edits.seen is None else edits.seen:
        x[token] = x[token] / edits.repetition_penalty if x[token] > 0 else x[token] * edits.repetition_penalty
    for token, count in [] if edits.counted is None else zip(*edits.counted, strict=True):
        x[token] -= count * edits.frequency_penalty + edits.presence_penalty
    for token, amount in [] if edits.bias is None else zip(*edits.bias, strict=True):
        x[token] += amount
    if edits.allowed is not None:
        x[~edits.allowed] = -np.inf
    x[list(edits.forbidden)] = -np.inf
    return x


def reference(x: Floats, temperature: float, uniform: float, top_k: int, top_p: float, min_p: float) -> int:
    if temperature == 0:
        return int(x.argmax())
    order = sorted(range(len(x)), key=lambda token: (-x[token], token))[:top_k]
    weights = {token: float(np.exp((x[token] - x.max()) / temperature)) for token in order}
    total, before, kept = sum(weights.values()), 0.0, {}
    for token in order:
        if before < top_p * total or top_p == 1:
            kept[token] = weights[token]
        before += weights[token]
    floor = min_p * max(kept.values())
    kept = {token: weight for token, weight in kept.items() if weight >= floor and weight > 0}
    target, running = uniform * sum(kept.values()), 0.0
    for token in sorted(kept):
        running += kept[token]
        if running > target:
            break
    return token


def make_draws(rows: list[int], vocab: int, **columns: list[float]) -> Draws:
    def column(name: str, default: float) -> Floats:
        return np.array(columns.get(name, [default] * len(rows)), dtype=np.float64)

    return Draws(
        rows=np.array(rows, dtype=np.int64),
        temperatures=column("temperatures", 1.0),
        uniforms=column("uniforms", 0.5),
        top_ks=column("top_ks", vocab).astype(np.int64),
        top_ps=column("top_ps", 1.0),
        min_ps=column("min_ps", 0.0),
    )


@st.composite
def draws_and_logits(draw: st.DrawFn) -> tuple[Floats, Draws]:
    """Logits on a coarse grid, so that ties are common, and draws of every kind over them."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count = draw(st.integers(1, 12))
    logits = np.round(rng.normal(size=(3, VOCAB)) * 4) / 2
    edits = {}
    for index in range(count):
        if draw(st.booleans()):
            some = rng.permutation(VOCAB)
            edits[index] = Edits(
                allowed=rng.random(VOCAB) < 0.5 if draw(st.booleans()) else None,
                forbidden=tuple(some[:3].tolist()),
                bias=(some[3:6], rng.normal(size=3)),
                seen=some[:10],
                repetition_penalty=float(rng.choice([0.7, 1.0, 1.3])),
                counted=(some[5:9], rng.integers(1, 4, 4)),
                frequency_penalty=0.3,
                presence_penalty=-0.2,
            )
    return logits, Draws(
        rows=rng.integers(0, 3, count),
        temperatures=rng.choice([0.0, 0.3, 1.0, 2.0], count),
        uniforms=rng.random(count),
        top_ks=rng.choice([1, 3, 17, VOCAB], count),
        top_ps=rng.choice([0.05, 0.5, 0.9, 1.0], count),
        min_ps=rng.choice([0.0, 0.1, 1.0], count),
        edits=edits,
    )


@settings(max_examples=150, deadline=None)
@given(draws_and_logits())
def test_draws_equal_the_plain_rendering(case: tuple[Floats, Draws]) -> None:
    logits, draws = case
    found = DenseLogits(torch.from_numpy(logits)).draw(draws)
    for index, row in enumerate(draws.rows):
        x = edited(logits[row], draws.edits.get(index, Edits()))
        parameters = (draws.temperatures, draws.uniforms, draws.top_ks, draws.top_ps, draws.min_ps)
        wanted = reference(x, *(column[index] for column in parameters))
        assert found[index] == wanted, index


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_draws_follow_the_probabilities(dtype: torch.dtype) -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5]], dtype=dtype)
    count = 4000
    uniforms = ((np.arange(count) + 0.5) / count).tolist()
    found = DenseLogits(logits).draw(make_draws([0] * count, 5, uniforms=uniforms))
    wanted = logits.double().softmax(-1)[0].numpy()
    assert np.abs(np.bincount(found, minlength=5) / count - wanted).max() <= 1 / count
    assert (np.diff(found) >= 0).all()  # the inverse CDF runs through the tokens in id order


def test_a_large_vocabulary_with_every_kind_of_filter() -> None:
    vocab = 20_011
    rng = np.random.default_rng(0)
    logits = np.round(rng.normal(size=(9, vocab)) * 8) / 4
    columns = {
        "uniforms": rng.random(9).tolist(),
        "top_ks": [vocab, vocab, vocab, 50, 50, 3000, vocab, vocab, 15_000],
        "top_ps": [1, 1, 1, 1, 0.8, 1, 0.001, 0.99, 0.5],
        "min_ps": [0, 0.05, 0, 0, 0, 0.01, 0, 0, 0],
        "temperatures": [1, 1, 0, 1, 0.7, 1, 1, 1.5, 1],
    }
    draws = make_draws(list(range(9)), vocab, **columns)
    found = DenseLogits(torch.from_numpy(logits)).draw(draws)
    for row in range(9):
        parameters = (draws.temperatures, draws.uniforms, draws.top_ks, draws.top_ps, draws.min_ps)
        assert found[row] == reference(logits[row], *(column[row] for column in parameters)), row


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_draw_does_not_depend_on_the_batch(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(3)
    vocab = 5000
    logits = torch.from_numpy(rng.normal(size=(40, vocab))).to(dtype)
    columns = {
        "uniforms": rng.random(40).tolist(),
        "top_ks": rng.choice([vocab, 20, 700], 40).tolist(),
        "top_ps": rng.choice([1.0, 0.6], 40).tolist(),
        "temperatures": rng.choice([0.0, 1.0], 40).tolist(),
    }
    together = DenseLogits(logits).draw(make_draws(list(range(40)), vocab, **columns))
    for row in range(40):
        alone = make_draws([row], vocab, **{name: [column[row]] for name, column in columns.items()})
        assert DenseLogits(logits).draw(alone)[0] == together[row]


def test_greedy_takes_the_lowest_id_among_equals() -> None:
    logits = torch.zeros(2, 3000, dtype=torch.bfloat16)
    logits[1, [7, 2000]] = 1
    assert DenseLogits(logits).draw(make_draws([0, 1], 3000, temperatures=[0, 0])).tolist() == [0, 7]


def test_a_draw_without_any_token_is_refused() -> None:
    draws = make_draws([0], 4)
    draws.edits[0] = Edits(allowed=np.zeros(4, dtype=np.bool_))
    with pytest.raises(ValueError, match="found no token that draw 0 may take"):
        DenseLogits(torch.zeros(1, 4)).draw(draws)


@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_not_numbers_are_refused(temperature: float) -> None:
    logits = torch.zeros(1, 4)
    logits[0, 2] = torch.nan
    with pytest.raises(ValueError, match="found logits that are not a number"):
        DenseLogits(logits).draw(make_draws([0], 4, temperatures=[temperature]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_few_tokens_are_drawn_to_the_last_bit_as_from_the_whole_row(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers drawn are those at which one token gives way to the next, and their neighbours."""
    rng = np.random.default_rng(11)
    vocab, kept = 60_013, (1, 2, 3, 5, 5, 14, 30, 900)
    logits = torch.from_numpy(np.round(rng.normal(size=(len(kept), vocab)) * 12) / 4).to(dtype)
    rows: list[int] = []
    uniforms: list[float] = []
    edits = {}
    for row, count in enumerate(kept):
        allowed = np.zeros(vocab, np.bool_)
        begin = int(rng.integers(vocab - 5000))
        allowed[begin + rng.choice(1000 if row % 2 else 5000, count, replace=False)] = True
        x = logits[row].to(torch.float64 if dtype == torch.float64 else torch.float32)
        x = x.masked_fill(torch.from_numpy(~allowed), -torch.inf)
        weights = x.sub(x.amax()).div(torch.tensor(0.9, dtype=x.dtype)).exp()
        blocks = torch.nn.functional.pad(weights, (0, padded_width(vocab) - vocab)).unflatten(0, (-1, 256)).sum(1)
        edges = weights.cumsum(0, dtype=torch.float64)[torch.from_numpy(allowed)] / blocks.double().sum()
        some = np.minimum(edges.numpy(), 1 - 2**-53)[:: max(1, count // 15)]
        for number in (*some, *np.nextafter(some, 0), *np.nextafter(some, 1), 0.0, *rng.random(4)):
            edits[len(rows)] = Edits(allowed=allowed)
            rows.append(row)
            uniforms.append(min(float(number), 1 - 2**-53))
    temperatures = [0.0 if i % 7 == 0 else 0.9 for i in range(len(rows))]
    min_ps = [0.05 if i % 5 == 0 else 0.0 for i in range(len(rows))]
    draws = make_draws(rows, vocab, uniforms=uniforms, temperatures=temperatures, min_ps=min_ps)
    draws.edits.update(edits)
    for summed in (False, True):
        narrow = [each.members for each in narrow_rows(draws, np.arange(len(rows)), vocab, summed=summed)]
        assert sum(map(len, narrow)) > len(rows) // 3
    found = DenseLogits(logits).draw(draws)
    monkeypatch.setattr("sglc.backend.narrow_rows._SHARE", vocab + 1)
    assert DenseLogits(logits).draw(draws).tolist() == found.tolist()


def test_read_only_arrays_are_fine() -> None:
    ids, amounts = np.array([1]), np.array([5.0])
    for array in (ids, amounts):
        array.setflags(write=False)
    draws = make_draws([0], 4, temperatures=[0])
    draws.edits[0] = Edits(bias=(ids, amounts))
    assert DenseLogits(torch.zeros(1, 4)).draw(draws).tolist() == [1]


def test_edits_leave_the_logits_alone() -> None:
    logits = torch.zeros(1, 4)
    draws = make_draws([0, 0], 4, temperatures=[0, 0])
    draws.edits[0] = Edits(forbidden=(0, 1))
    result = DenseLogits(logits)
    assert result.draw(draws).tolist() == [2, 0]
    assert result.logprobs(np.array([0]), np.array([1]), 0).chosen[0] == pytest.approx(np.log(0.25))
    assert not logits.any()


def test_logprobs_are_exact_in_float64_with_ties_in_id_order() -> None:
    rng = np.random.default_rng(0)
    logits = np.round(rng.normal(size=(5, 3000)) * 3)
    rows, ids = np.array([4, 0, 4, 2]), np.array([0, 2999, 5, 7])
    found = DenseLogits(torch.from_numpy(logits)).logprobs(rows, ids, 10)
    for i, (row, token) in enumerate(zip(rows, ids, strict=True)):
        wanted = logits[row] - np.log(np.exp(logits[row]).sum())
        order = np.lexsort((np.arange(3000), -wanted))[:10]
        assert found.chosen[i] == pytest.approx(wanted[token], rel=1e-14)
        assert found.top_ids[i].tolist() == order.tolist()
        np.testing.assert_allclose(found.top_logprobs[i], wanted[order], rtol=1e-14)


@pytest.mark.parametrize(
    ("n", "k"), [(1, 1), (600, 600), (1000, 3), (1003, 60), (20_000, 50), (20_011, 1), (5000, 312)]
)
def test_top_tokens_equal_a_stable_sort(n: int, k: int) -> None:
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(4, n, generator=generator).mul(3).round()
    x[1] = -torch.inf
    x[2, : n // 2] = -torch.inf
    values, ids = x.sort(dim=1, descending=True, stable=True)
    found_values, found_ids = top_tokens(x, k)
    assert torch.equal(found_values, values[:, :k])
    assert torch.equal(found_ids, ids[:, :k])


@pytest.mark.parametrize("n", [1, 5, 256, 300, 5000])
def test_inverse_cdf_never_returns_an_index_of_no_weight(n: int) -> None:
    rng = np.random.default_rng(n)
    weights = torch.zeros(50, padded_width(n), dtype=torch.float64)
    weights[:, :n] = torch.from_numpy(rng.random((50, n)) * (rng.random((50, n)) < 0.1))
    weights[:, rng.integers(n)] = 1e-300
    uniforms: Ints | Floats = np.concatenate([[0.0] * 10, [1 - 2**-53] * 10, rng.random(30)])
    found = inverse_cdf(weights, torch.from_numpy(uniforms))
    assert bool((weights.gather(1, found[:, None]) > 0).all())
    running = weights.cumsum(1)
    wanted = torch.searchsorted(running, (torch.from_numpy(uniforms) * running[:, -1])[:, None], right=True)[:, 0]
    assert torch.equal(found[20:], wanted[20:])
