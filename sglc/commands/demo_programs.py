"""The programs of `sglc demo`, as an author writes them, with the rows they run over."""

from __future__ import annotations

from typing import Any

import sglc
from sglc.language.function import SglFunction
from sglc.language.state import ProgramState


@sglc.function
def few_shot(s: ProgramState, colour: str) -> None:
    """All rows share their first hundred tokens: the cache computes them once."""
    s += "For each colour, name a thing that has it.\n\n"
    for known, thing in (("red", "a fire engine"), ("green", "a frog"), ("white", "fresh snow"), ("grey", "a pebble")):
        s += f"Colour: {known}\nThing: {thing}\n\n"
    s += "Colour: " + colour + "\nThing:" + sglc.gen("thing", max_tokens=6, stop="\n")


@sglc.function
def judges(s: ProgramState, essay: str) -> None:
    """Three forks read one essay; it is computed once, and the forks decode together."""
    s += "Essay: " + essay + "\n"
    forks = s.fork(3)
    for fork, side in zip(forks, ("clarity", "evidence", "style"), strict=True):
        fork += f"In a few words, on {side}:" + sglc.gen("remark", max_tokens=5)
    forks.join()
    s += "Grade: " + sglc.select("grade", choices=["good", "fair", "poor"])


@sglc.function
def form(s: ProgramState, name: str) -> None:
    """A pattern holds the model to a date, whatever its weights are."""
    s += name + " was born on " + sglc.gen("date", regex=r"[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])")
    s += " and works as a " + sglc.select("work", choices=["baker", "pilot", "teacher"]) + "."


DEMOS: tuple[tuple[SglFunction, list[dict[str, Any]]], ...] = (
    (few_shot, [{"colour": colour} for colour in ("blue", "yellow", "brown", "black", "orange", "violet")]),
    (judges, [{"essay": essay} for essay in ("Trees cool a street.", "Clocks are loud.", "Write letters.")]),
    (form, [{"name": name} for name in ("Ada", "Ben", "Cleo")]),
)
"""Each program with its rows."""
