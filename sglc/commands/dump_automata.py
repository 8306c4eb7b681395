"""`sglc dump --automaton`: the automata of a program's constraints, as text and as drawings."""

from __future__ import annotations

from collections.abc import Sequence

from sglc.automata.byte_labels import run_label, shortened
from sglc.automata.drawing import compressed, state_count, to_dot, to_mermaid, to_text, whole
from sglc.errors import InputError
from sglc.explain.constraints import LLGUIDANCE, ON_DEMAND, Constraint, constraints_of
from sglc.ir.draw import svg_of
from sglc.ir.graph import Graph
from sglc.ir.wording import short_path, visible

MOST_DRAWN = 150
"""States of a drawing that can still be read."""

_LONGEST = 80  # characters of a shortest member

ANY = ""
"""Instead of a name: all constraints."""


def constraints_named(graphs: Sequence[Graph], name: str) -> list[Constraint]:
    """Return the constraints of some graphs, or the one called `name`; those written alike in one place once.

    Raises InputError where there are none.
    """
    found = [each for graph in graphs for each in constraints_of(graph)]
    if not found:
        wanted = "a gen with regex, json_schema, grammar or dtype"
        raise InputError(f"--automaton: found no constrained generation in what is captured; wanted {wanted}")
    chosen = [each for each in found if name in (ANY, each.name)]
    if not chosen:
        names = ", ".join(dict.fromkeys(each.name for each in found))
        raise InputError(f"--automaton: found no constrained generation {name!r}; wanted one of {names}")
    return list({(each.kind, each.written, each.location): each for each in reversed(chosen)}.values())[::-1]


def automata(constraints: Sequence[Constraint], form: str) -> str:
    """Return what each constraint is, with its automaton before and after compression, as text, dot, svg or mermaid.

    Raises InputError for what can't be drawn.
    """
    if form == "html":
        raise InputError("found --automaton with --format html; wanted text, dot, svg or mermaid")
    if form == "text":
        return "\n".join(_comments(each, "//") + _text(each) for each in constraints)
    if form == "dot":
        return "\n".join(_comments(each, "//") + _dot(each) for each in constraints)
    if len(constraints) > 1:
        names = ", ".join(dict.fromkeys(each.name for each in constraints))
        raise InputError(f"--automaton: found {len(constraints)} constraints; wanted the name of one: {names}")
    (one,) = constraints
    return _svg(one) if form == "svg" else _comments(one, "%%") + _mermaid(one)


def _text(constraint: Constraint) -> str:
    dfa = constraint.language.dfa
    return "" if dfa is None else to_text(whole(dfa)) + to_text(compressed(dfa))


def _dot(constraint: Constraint) -> str:
    dfa = constraint.language.dfa
    if dfa is None:
        return ""
    _check_size(constraint, state_count(dfa))
    return to_dot(constraint.name, whole(dfa), compressed(dfa))


def _mermaid(constraint: Constraint) -> str:
    dfa = constraint.language.dfa
    if dfa is None:
        return ""
    _check_size(constraint, state_count(dfa))
    return to_mermaid(whole(dfa), compressed(dfa))


def _svg(constraint: Constraint) -> str:
    if constraint.language.dfa is None:
        raise InputError(f"--automaton: found that %{constraint.name} has {_facts(constraint)}; wanted a table to draw")
    return svg_of(_dot(constraint), f"%{constraint.name}", "--format mermaid")


def _check_size(constraint: Constraint, states: int) -> None:
    if states > MOST_DRAWN:
        found = f"%{constraint.name}: found an automaton of {states:,} states"
        raise InputError(f"{found}; wanted at most {MOST_DRAWN} to draw them, or --format text", constraint.location)


def _comments(constraint: Constraint, mark: str) -> str:
    """Return the lines above an automaton: which generation it is of, and what it is."""
    place = constraint.location
    where = f"  {short_path(place.file)}:{place.line}" if place else ""
    written = visible(constraint.written)
    return f"{mark} %{constraint.name}{where}  {constraint.kind} {written}\n{mark} {_facts(constraint)}\n"


def _facts(constraint: Constraint) -> str:
    """Return who serves a constraint, how large it is, and which texts it has."""
    from sglc.automata.dfa_facts import length_bounds, shortest_member

    if constraint.served_by == LLGUIDANCE:
        return "no automaton of ours: it needs a stack or too many states, and llguidance serves it"
    if constraint.served_by == ON_DEMAND:
        return "states on demand: there are too many to work out ahead"
    dfa = constraint.language.dfa
    assert dfa is not None  # it is served by our table
    states = state_count(dfa)
    size = f"{_counted(states, 'state')}, {_counted(dfa.table.shape[1], 'byte class', 'es')}"
    bounds, shortest = length_bounds(dfa), shortest_member(dfa)
    if bounds is None or shortest is None:
        return f"{size}; no text at all"
    least, most = bounds
    if most is None:
        texts = f"texts of {_counted(least, 'byte')} or more, without a longest"
    else:
        texts = "finite, texts of " + (f"{least:,} to " if least != most else "") + _counted(most, "byte")
    return f'{size}; {texts}; the shortest is "{shortened(run_label(shortest), _LONGEST)}"'


def _counted(count: int, noun: str, plural: str = "s") -> str:
    return f"{count:,} {noun}{'' if count == 1 else plural}"
