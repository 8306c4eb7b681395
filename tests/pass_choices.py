"""Which passes a random program is compiled with: every single one, random subsets, and the levels."""

from __future__ import annotations

import random

from sglc.language.options import Optimize
from sglc.passes.base import Keeps, Pass
from sglc.passes.pipeline import PIPELINE


def choice(seed: int, *, ordered: bool) -> Optimize:
    """Return the passes for the program of this seed; with `ordered` none that may move its unordered sections."""
    source = random.Random(f"{seed} passes")
    passes = [each for each in PIPELINE if not ordered or each.keeps < Keeps.UNORDERED]
    kind = source.randrange(8)
    if kind < 3:
        return [source.choice(passes)]
    if kind < 5:
        return subset(passes, source)
    return 3 if kind == 5 and not ordered else (kind - 5)


def subset(passes: list[Pass], source: random.Random) -> list[Pass]:
    """Return some passes in their order, each as likely in as out."""
    return [each for each in passes if source.random() < 0.5]


def shown(optimize: Optimize) -> str:
    """Return the passes as a person would name them."""
    return f"-O{optimize}" if isinstance(optimize, int) else ", ".join(each.name for each in optimize) or "no pass"
