"""Case 23: programs that call programs."""

import pytest

import sglc
from tests.cases.models import Models, line_marked


@sglc.function
def fact(s, topic):
    s += f"A fact about {topic}:" + sglc.gen("fact", max_tokens=3)
    return topic.upper()


def test_one_after_another(models: Models) -> None:
    """Nested @function calls: sequential."""

    @sglc.function
    def pair(s):
        first, second = fact(topic="tea"), fact(topic="ice")
        return first.text(), second.text(), first["fact"], second["fact"], first.ret_value

    state = models.run_one(pair)
    first, second, tea, ice, shout = state.ret_value
    assert first == "A fact about tea:" + tea
    assert second == "A fact about ice:" + ice
    assert shout == "TEA"
    assert state.text() == ""


def test_calls_inside_a_loop(models: Models) -> None:
    """Inside loops: all are on their way before the first is read."""

    @sglc.function
    def many(s, topics):
        children = [fact(topic=topic) for topic in topics]
        return [child["fact"] for child in children]

    topics = ["tea", "ice", "sand", "tea"]
    facts = models.run_one(many, topics=topics).ret_value
    assert len(facts) == len(topics)
    models.start_cold()
    many.run(topics=topics)
    assert models.engine.counters.forward_passes <= 8  # of one call alone: about 3


def test_a_result_spliced_later(models: Models) -> None:
    """Result spliced later."""

    @sglc.function
    def report(s):
        child = fact(topic="tea")
        s += "Known so far:"
        s += child["fact"] + "\nNew:" + sglc.gen("new", max_tokens=3)
        return child["fact"]

    state = models.run_one(report)
    assert state.text() == f"Known so far:{state.ret_value}\nNew:{state['new']}"


def test_recursion_with_bounded_depth(models: Models) -> None:
    """Recursion with bounded depth."""

    @sglc.function
    def dig(s, depth):
        s += f"Layer {depth}:" + sglc.gen("layer", max_tokens=2)
        if depth:
            below = dig(depth=depth - 1)
            s += " above" + below["layer"]
            return [s["layer"], *below.ret_value]
        return [s["layer"]]

    state = models.run_one(dig, depth=3)
    assert len(state.ret_value) == 4
    assert state.text() == f"Layer 3:{state.ret_value[0]} above{state.ret_value[1]}"


def test_sampling_is_inherited_unless_given(models: Models) -> None:
    """Inherit sampling params explicitly."""

    @sglc.function
    def child(s):
        s += "Tell me" + sglc.gen("x", ignore_eos=True)

    @sglc.function
    def parent(s):
        inherited, own = child(), child.run(max_new_tokens=2)
        return inherited.get_meta_info("x")["completion_tokens"], own.get_meta_info("x")["completion_tokens"]

    assert models.run_one(parent, {"max_new_tokens": 5, "temperature": 0}).ret_value == (5, 2)

    @sglc.function
    def same(s):
        a, b = child(), child()
        return a["x"] == b["x"]

    assert models.run_one(same, {"max_new_tokens": 8, "temperature": 0}).ret_value is True
    assert models.run_one(same, {"max_new_tokens": 8, "temperature": 2.0}).ret_value is False


def test_an_error_of_the_callee_has_its_line(models: Models) -> None:
    """An error inside the called program surfaces at its own line."""

    @sglc.function
    def broken(s):
        s += "x"
        s["nothing"]  # there

    @sglc.function
    def caller(s):
        broken()

    with pytest.raises(sglc.UnknownVariable) as caught:
        models.run_one(caller)
    assert caught.value.location == line_marked(broken, "there")
