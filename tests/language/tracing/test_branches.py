"""Branches on what is generated: every way through a program is one of its graph."""

import sglc
from sglc.ir.graph import Graph
from tests.cases.models import Models


def branches(graph: Graph) -> list[int]:
    """Return the number of cases of each branch, in order."""
    return [len(op.cases) for op in graph.ops() if op.name == "branch"]


def test_ways_share_what_they_have_in_common(models: Models) -> None:
    """Operations before a branch are there once."""

    @sglc.function
    def shared(s):
        s += "One" + sglc.gen("a", max_tokens=6)
        s += "Two" if "yes" in s["a"] else "Three"
        s += sglc.gen("b", max_tokens=2)

    graph = shared.trace().graph
    assert branches(graph) == [2]
    assert [op.name for op in graph.ops()].count("gen") == 3
    models.run(shared, [{}] * 6, temperature=2.0)


def test_a_decision_is_made_once(models: Models) -> None:
    """What was decided is known from then on."""

    @sglc.function
    def twice(s):
        s += "One" + sglc.gen("a", max_tokens=6)
        if "yes" in s["a"]:
            s += " yes"
        if "yes" in s["a"]:
            s += " indeed"

    assert branches(twice.trace().graph) == [2]
    models.run(twice, [{}] * 6, temperature=2.0)


def test_what_is_left_of_choices_is_not_asked(models: Models) -> None:
    """Of three choices, two denied leave the third."""

    @sglc.function
    def three(s, n):
        s += f"{n}:" + sglc.select("c", choices=["b", "l", "w"])
        if s["c"] == "b":
            return 1
        if s["c"] != "l":
            return {"w": 3}[s["c"]]
        return 2 if s["c"] == "l" else 4

    capture = three.trace()
    assert capture.tier == "captured"
    assert branches(capture.graph) == [2, 2]
    states = models.run(three, [(n,) for n in range(12)])
    assert {state["c"]: state.ret_value for state in states} == {"b": 1, "l": 2, "w": 3}


def test_a_choice_is_looked_up(models: Models) -> None:
    """A dict of what graphs hold is an operation; one of functions takes a case a choice."""
    signs = {"plus": "+", "minus": "-"}
    tools = {"plus": lambda a: a + 1, "minus": lambda a: a - 1}

    @sglc.function
    def looked_up(s, n):
        s += f"{n}:" + sglc.select("c", choices=["plus", "minus"])
        s += signs[s["c"]]
        return tools[s["c"]](n)

    capture = looked_up.trace(n=3)
    assert capture.tier == "captured"
    assert branches(capture.graph) == [2]
    for state in models.run(looked_up, [(n,) for n in range(8)]):
        assert state.ret_value - state.text().count("+") == int(state.text()[0]) - state.text().count("-")


def test_loops_with_a_break_are_unrolled(models: Models) -> None:
    """A bounded loop that a generated value may end, with an else."""

    @sglc.function
    def tries(s, n):
        for i in range(4):
            s += f"{n}.{i}?" + sglc.gen("answer", max_tokens=3)
            if "yes" in s["answer"]:
                break
            if "no" in s["answer"]:
                continue
            s += " hm"
        else:
            s += "Never."
        return i

    assert tries.trace().tier == "captured"
    states = models.run(tries, [(n,) for n in range(12)])
    assert len({state.ret_value for state in states}) > 1


def test_too_many_ways_go_on_eagerly(models: Models) -> None:
    """Ten tests in a row are 1,024 ways; what is beyond the bound is told, and runs."""

    @sglc.function
    def many(s):
        for i in range(10):
            s += f"{i}?" + sglc.gen("answer", max_tokens=4)
            s += " y" if "yes" in s["answer"] else " n"

    capture = many.trace()
    assert capture.tier == "partly eager"
    assert "more than 64 ways" in capture.breaks[0].cause
    assert sum(op.name in ("return", "eager") for op in capture.graph.ops()) <= 64
    models.run(many, [{}] * 6, temperature=2.0)


def test_operators_of_truth(models: Models) -> None:
    """and, or, not, conditional expressions, any, all, chained comparisons, match."""

    @sglc.function
    def logic(s):
        s += "?" + sglc.gen("a", max_tokens=5) + sglc.gen("b", max_tokens=5)
        a, b = s["a"], s["b"]
        found = [word for word in ("yes", "no") if word in a]
        s += "1" if a and not b.startswith("no") else "2"
        s += "3" if any(word in b for word in ("yes", "stop")) else "4"
        s += "5" if 2 < len(a) <= 9 else "6"
        match a.strip()[:2]:
            case "ye":
                s += "7"
            case "no" | "st":
                s += "8"
            case other:
                s += other
        return found, a or "nothing"

    assert logic.trace().tier in ("captured", "partly eager")
    models.run(logic, [{}] * 12, temperature=3.0)
