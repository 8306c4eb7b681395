"""The KV pool hands out each slot once, in unbroken runs where it can."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sglc.backend.kv_pool import KvPool
from sglc.backend.step import SCRATCH_SLOT, Ints
from sglc.errors import EngineError


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def is_run(slots: Ints) -> bool:
    return bool((np.diff(slots) == 1).all())


def test_slots_are_1_to_capacity_and_never_the_scratch_slot() -> None:
    pool = KvPool(10)
    slots = pool.allocate(10)
    assert slots.dtype == np.int64
    assert slots.tolist() == list(range(1, 11))
    assert SCRATCH_SLOT not in slots
    assert (pool.free, pool.used, pool.peak) == (0, 10, 10)


def test_the_peak_stays_when_slots_come_back() -> None:
    pool = KvPool(10)
    slots = pool.allocate(7)
    pool.release(slots)
    pool.release(pool.allocate(3))
    assert (pool.free, pool.used, pool.peak) == (10, 0, 7)
    pool.check()


def test_more_than_is_free_is_refused_and_takes_nothing() -> None:
    pool = KvPool(10)
    pool.allocate(7)
    with pytest.raises(EngineError, match="found 3 free KV slots of 10; wanted 4"):
        pool.allocate(4)
    assert pool.free == 3
    pool.check()


def test_nothing_can_be_allocated_and_released() -> None:
    pool = KvPool(1)
    assert len(pool.allocate(0)) == 0
    pool.release(pool.allocate(0))
    pool.check()


def test_a_pool_needs_a_slot() -> None:
    with pytest.raises(EngineError, match="found a KV pool of 0 slots; wanted at least 1"):
        KvPool(0)


def test_a_second_release_is_refused() -> None:
    pool = KvPool(10)
    slots = pool.allocate(4)
    pool.release(slots[1:3])
    with pytest.raises(EngineError, match=r"found free KV slots \[2, 3\] in a release"):
        pool.release(slots)
    with pytest.raises(EngineError, match=r"found free KV slots \[0\] in a release"):
        pool.release(ints(SCRATCH_SLOT))
    assert pool.used == 2
    pool.check()


def test_check_sees_a_slot_released_twice_at_once() -> None:
    pool = KvPool(10)
    slots = pool.allocate(4)
    pool.release(slots[[0, 0]])
    with pytest.raises(EngineError, match="free KV slots"):
        pool.check()


def test_the_caller_may_change_arrays_it_handed_over_or_got() -> None:
    pool = KvPool(8)
    slots = pool.allocate(4)
    given_back = slots.copy()
    pool.release(given_back)
    given_back[:] = 99
    slots[:] = 99
    pool.check()
    assert sorted(pool.allocate(8).tolist()) == list(range(1, 9))


def test_released_neighbours_join_into_a_run_again() -> None:
    pool = KvPool(100)
    slots = pool.allocate(100)
    for part in (slots[60:80], slots[20:40], slots[40:60]):
        pool.release(part[::-1])
    assert pool.allocate(60).tolist() == list(range(21, 81))


def test_a_run_is_found_behind_fragments() -> None:
    pool = KvPool(100)
    slots = pool.allocate(100)
    pool.release(slots[0:40:2])  # 20 fragments
    pool.release(slots[50:70])
    run = pool.allocate(15)
    assert run.tolist() == list(range(51, 66))
    assert len(pool.allocate(1)) == 1
    pool.check()
    rest = pool.allocate(24)  # only fragments are left
    assert not is_run(rest)
    assert (np.diff(rest) > 0).all()
    assert pool.free == 0
    pool.check()


def test_a_run_with_one_gap_is_passed_over() -> None:
    pool = KvPool(40)
    slots = pool.allocate(40)
    pool.release(slots[:10])
    pool.release(slots[11:30])
    assert is_run(pool.allocate(15))
    assert pool.allocate(14).tolist() == [*range(1, 11), *range(27, 31)]
    pool.check()


@given(st.data())
def test_every_slot_has_one_owner(data: st.DataObject) -> None:
    capacity = data.draw(st.integers(1, 60))
    pool = KvPool(capacity)
    owners: list[Ints] = []
    for _ in range(data.draw(st.integers(0, 20))):
        release = data.draw(st.booleans())
        if owners and release:
            slots = owners.pop(data.draw(st.integers(0, len(owners) - 1)))
            cut = data.draw(st.integers(0, len(slots)))
            pool.release(slots[:cut])
            owners.append(slots[cut:])
        else:
            slots = pool.allocate(data.draw(st.integers(0, pool.free)))
            assert (np.diff(slots) > 0).all()
            owners.append(slots)
        taken = [slot for owner in owners for slot in owner.tolist()]
        assert len(set(taken)) == len(taken) == pool.used
        assert all(1 <= slot <= capacity for slot in taken)
        pool.check()
