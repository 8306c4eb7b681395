"""How many cores torch uses, and that nobody else's workers stand in the way of what is timed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import sleep
from typing import TypeVar

import torch

T = TypeVar("T")


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside the block: here, and in threads that start here."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def wait_for_engines() -> None:
    """Return once no engine's thread is left: one ends when it has had no work for a while."""
    while any(thread.name == "sglc-engine" for thread in threading.enumerate()):
        sleep(0.05)


def alone(work: Callable[[], T]) -> T:
    """Return what `work` returns, run on a thread that ends with it, once no engine's thread is left.

    OpenMP keeps a team of workers for each thread that used it. With more workers than cores all of them sleep
    between any two operations, which costs whoever is timed about a fifth.
    """
    wait_for_engines()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
