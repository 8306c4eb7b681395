"""Runs random programs compiled and eagerly, and says where the two differ."""

from __future__ import annotations

import copy
import faulthandler
import signal
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import sglc
from sglc.language.options import Optimize
from sglc.language.state import ProgramState
from tests import pass_choices
from tests.cases import models
from tests.program_sources import PLANTS, Module, ProgramSource, loaded

MOST_SECONDS = 20
"""What a program may take, captured and run both ways."""

TIERS = ("captured", "specialized", "partly eager", "eager")


class TookTooLong(BaseException):
    """A program that has not ended in time. No program that handles exceptions handles this one."""


@dataclass(frozen=True)
class Engines:
    """The engines of a worker, all with one model.

    `crowd` as a user has it, `checked` audits itself after every step; `alone` is the reference, `uncached` says the
    same sooner, because requests share their steps.
    """

    crowd: sglc.Engine
    checked: sglc.Engine
    uncached: sglc.Engine
    alone: sglc.Engine

    @staticmethod
    def start() -> Engines:
        """Return running engines."""
        settings: tuple[dict[str, Any], ...] = (
            {},
            {"check": True, "kv_tokens": 4096},
            {"cache": False},
            {"cache": False, "max_running": 1},
        )
        return Engines(*(sglc.Engine("replay:hash", plant=PLANTS, **each) for each in settings))

    def close(self) -> None:
        """End them."""
        for engine in (self.crowd, self.checked, self.uncached, self.alone):
            engine.close()


@dataclass
class Tally:
    """What programs did: the arms that rows took, how rows failed, how programs were captured, what they use."""

    arms: dict[str, Counter[str]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    uses: Counter[str] = field(default_factory=Counter)
    unmet: list[int] = field(default_factory=list)
    """Seeds of programs captured as ending in an error that no row has met and nobody has planted."""
    programs: int = 0
    rows: int = 0

    def add_rows(self, outcomes: list[dict[str, Any]]) -> None:
        """Count what the rows of a program did."""
        for each in outcomes:
            self.rows += 1
            if "error" in each:
                self.errors[each["error"]] += 1
            for note in _strings(each.get("returned")):
                if note.startswith("#") and ":" in note:
                    kind, _, arm = note[1:].rpartition(":")
                    self.arms.setdefault(kind, Counter())[arm] += 1


def _strings(value: Any) -> Iterator[str]:
    if type(value) is str:
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each)


def run_eagerly(module: Module, source: ProgramSource, engine: sglc.Engine, concurrency: int | None = None) -> Any:
    """Return the outcomes of the rows, the effects they had, and their arguments afterwards."""
    return _run(module, source, engine, concurrency=concurrency, eager=True)


def run_compiled(module: Module, source: ProgramSource, engine: sglc.Engine, optimize: Optimize) -> Any:
    """Return the same of a run by graphs that went through some passes."""
    return _run(module, source, engine, optimize=optimize)


def _run(module: Module, source: ProgramSource, engine: sglc.Engine, **options: Any) -> Any:
    rows = copy.deepcopy(source.rows)
    states = module.program.run_batch(rows, backend=engine, **options, **source.sampling)
    return [outcome(state) for state in states], module.effects(), rows


def outcome(state: ProgramState) -> dict[str, Any]:
    """Return all of a finished state that the reference fixes, with the tokens that were asked and answered."""
    found = models.outcome(state)
    if state.error is not None:
        found["error"] = type(state.error).__name__
    if isinstance(state.error, sglc.SglcError):
        found["location"] = state.error.location
    if state.error is None:
        metas = {name: state.get_meta_info(name) for name in state.finish()}
        found["meta"] = {n: (m["prompt_tokens"], m["completion_tokens"], m["finish_reason"]) for n, m in metas.items()}
    return found


def mismatch(
    source: ProgramSource, engines: Engines, tally: Tally | None = None, seconds: int = MOST_SECONDS
) -> str | None:
    """Return how a program's compiled runs differ from its eager ones; None where they don't. Raises TookTooLong.

    Each program is compiled with passes of its own (`pass_choices`). Every eighth is compared with the reference
    itself, every eighth runs on the engine that checks itself.
    """
    with loaded(source) as (compiled, eager), time_limit(seconds):
        found = _comparison(source, engines, compiled, eager, tally)
        if found is None and source.again:
            compiled.change()
            eager.change()
            found = _comparison(source, engines, compiled, eager, None)
            found = found and "behind changed globals, " + found
    return found


def _comparison(
    source: ProgramSource, engines: Engines, compiled: Module, eager: Module, tally: Tally | None
) -> str | None:
    strict = source.seed % 8 == 0
    wanted = run_eagerly(eager, source, engines.alone if strict else engines.uncached, 1 if strict else None)
    passes = pass_choices.choice(source.seed, ordered="sglc.unordered" in source.uses)
    try:
        found = run_compiled(compiled, source, engines.checked if source.seed % 8 == 1 else engines.crowd, passes)
    except (KeyboardInterrupt, TookTooLong):
        raise
    except BaseException:  # a tracer's own signals are no Exceptions
        return "run_batch raised\n" + traceback.format_exc()
    if tally is not None:
        tally.programs += 1
        tally.uses.update(source.uses)
        tally.add_rows(wanted[0])
        tally.tiers[tier_of(compiled)] += 1
        may_fail = "program that fails" in source.uses or any("error" in each for each in wanted[0])
        if not may_fail and any(b.is_error for each in compiled.program.captures() for b in each.breaks):
            tally.unmet.append(source.seed)
    problem = difference(source, found, wanted)
    return problem and f"with {pass_choices.shown(passes)}, {problem}"


def difference(source: ProgramSource, found: Any, wanted: Any) -> str | None:
    """Return where two runs differ, the first row's difference first."""
    for what, left, right in zip(("outcome", "effects", "arguments afterwards"), found, wanted, strict=True):
        if typed(left) == typed(right):
            continue
        if what != "outcome":
            return f"{what} differ\nfound  {left}\nwanted {right}"
        for row, mine, theirs in zip(source.rows, left, right, strict=True):
            keys = [k for k in {**mine, **theirs} if typed(mine.get(k, ...)) != typed(theirs.get(k, ...))]
            if keys:
                lines = [f"{key}:\n    found  {mine.get(key)!r}\n    wanted {theirs.get(key)!r}" for key in keys]
                return "\n".join([f"row {row!r} differs in", *lines])
    return None


def typed(value: Any) -> Any:
    """Return a value that equals another only where all inside has the very same types too, in the same order."""
    if isinstance(value, dict):
        return type(value), [(key, typed(each)) for key, each in sorted(value.items(), key=repr)]
    if isinstance(value, list | tuple):
        return type(value), [typed(each) for each in value]
    return type(value), repr(value) if isinstance(value, float) else value


def tier_of(module: Module) -> str:
    """Return how much of a program's runs was captured, by its worst capture: one of `TIERS`."""
    tiers = [each.tier for each in module.program.captures()]
    return max(tiers, key=TIERS.index, default="eager")


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TookTooLong in a block that takes longer; should it not end even so, print all stacks and exit."""

    def over(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"found a program that runs for {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(2 * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
