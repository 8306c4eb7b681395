"""Random streams: a draw depends on seed, row, site and position, and looks random in each of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sglc.backend.random_stream import stream_key, uniforms

MASK = 2**64 - 1


def plain_uniform(key: int, position: int) -> float:
    """Squares64 as its paper writes it, in Python's own integers."""
    x = y = position * key & MASK
    z = y + key & MASK
    for addend in (y, z, y):
        x = x * x + addend & MASK
        x = (x >> 32 | x << 32) & MASK
    t = x = x * x + z & MASK
    x = (x >> 32 | x << 32) & MASK
    return (t ^ (x * x + y & MASK) >> 32) / 2**64


def draws(keys: list[int], positions: list[int]) -> npt.NDArray[np.float64]:
    return uniforms(np.array(keys, np.uint64), np.array(positions, np.uint64))


def test_draws_are_those_of_the_paper() -> None:
    keys = [stream_key(0, row, ":0") for row in range(50)]
    positions = [*range(40), 10**6, 2**40, 2**63, 2**64 - 1, *range(6)]
    wanted = [plain_uniform(key, position) for key, position in zip(keys, positions, strict=True)]
    np.testing.assert_allclose(draws(keys, positions), wanted, rtol=0, atol=2**-52)


def test_a_draw_does_not_depend_on_its_neighbours() -> None:
    keys = [stream_key(1, row, "x") for row in range(33)]
    together = draws(keys, [*range(33)])
    assert together.tolist() == [draws([key], [i])[0] for i, key in enumerate(keys)]


def test_keys_differ_in_every_part_and_are_odd() -> None:
    parts = [(0, 0, ":0"), (1, 0, ":0"), (0, 1, ":0"), (0, 0, ":1"), (0, 0, "/0.0.1:0"), (-1, 0, ":0"), (0, 0, ":0:1")]
    keys = [stream_key(*each) for each in parts]
    assert len(set(keys)) == len(keys)
    assert all(key % 2 == 1 and 0 < key < 2**64 for key in keys)
    assert keys == [stream_key(*each) for each in parts]


@pytest.mark.parametrize("axis", ["position", "row", "seed", "site"])
def test_draws_look_uniform_along_every_axis(axis: str) -> None:
    count = 20_000
    if axis == "position":
        found = draws([stream_key(0, 0, ":0")] * count, [*range(count)])
    elif axis == "row":
        found = draws([stream_key(0, row, ":0") for row in range(count)], [0] * count)
    elif axis == "seed":
        found = draws([stream_key(seed, 0, ":0") for seed in range(count)], [0] * count)
    else:
        found = draws([stream_key(0, 0, f":{site}") for site in range(count)], [1] * count)
    assert found.min() >= 0 and found.max() < 1
    counts, _ = np.histogram(found, bins=64, range=(0, 1))
    expected = count / 64
    assert ((counts - expected) ** 2 / expected).sum() < 63 + 5 * np.sqrt(2 * 63)
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 5 / np.sqrt(count)
