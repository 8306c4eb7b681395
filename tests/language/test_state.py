"""States: reading what was said, roles, scopes, and nested programs."""

from __future__ import annotations

from typing import Any

import pytest

import sglc
from sglc.errors import EngineError, ProgramError, UnknownVariable
from tests.language.conftest import assert_located

State = Any


def run(body: Any, **given: Any) -> State:
    """Run a function of `s` as a program."""
    return sglc.function(body).run(**given)


# Reading


def test_what_a_finished_state_says(engine: sglc.Engine) -> None:
    def body(s: State) -> str:
        s += "Q: " + sglc.gen("a", max_tokens=5, ignore_eos=True) + "\nsure? " + sglc.select("b", choices=["yes", "no"])
        s["c"] = {"any": "value"}
        return "done"

    state = run(body)
    assert state.ret_value == "done"
    assert state.text() == f"Q: {state['a']}\nsure? {state['b']}"
    assert state.variables() == {"a": state["a"], "b": state["b"], "c": {"any": "value"}}
    assert state.finish() == {"a": "length"}
    assert state.get_var("a") == state["a"]
    assert "a" in state and "z" not in state
    meta = state.get_meta_info("a")
    assert meta["completion_tokens"] == 5
    assert meta["finish_reason"] == {"type": "length", "length": 5}
    assert len(state.get_meta_info("b")["normalized_prompt_logprobs"]) == 2
    assert state.error is None
    assert state.index == 0
    assert state.counters.requests == 2  # the choices are one
    assert state.counters.decoded == 5
    state.sync()


def test_finish_tells_a_stop_from_a_length(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        for i in range(30):
            s += f"{i}" + sglc.gen(f"v{i}", max_tokens=12, stop=["yes", "\n"])

    state = run(body)
    stopped = [name for name, why in state.finish().items() if why == "stop"]
    assert 5 < len(stopped) < 30
    matched = {state.get_meta_info(name)["finish_reason"]["matched"] for name in stopped}
    assert {"yes", "\n"} <= matched
    assert all("yes" not in state[name] and "\n" not in state[name] for name in state.variables())


def test_an_unknown_variable_is_named_with_those_there_are(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "x" + sglc.gen("a", max_tokens=1)
        s["z"]  # unknown

    with pytest.raises(UnknownVariable, match="found no variable 'z'; variables set so far: 'a'") as caught:
        run(body)
    assert isinstance(caught.value, KeyError)
    assert_located(caught.value, __file__, "unknown")


def test_an_unknown_variable_of_a_finished_state(engine: sglc.Engine) -> None:
    state = run(lambda s: None)
    with pytest.raises(UnknownVariable, match="variables set so far: none"):
        state["z"]
    with pytest.raises(UnknownVariable):
        state.get_meta_info("z")


def test_values_are_read_in_the_middle_and_said_again(engine: sglc.Engine) -> None:
    def body(s: State) -> list[str]:
        s += "first" + sglc.gen("a", max_tokens=4)
        before = s.text()
        s += " again: " + s["a"]
        return [before, s["a"]]

    state = run(body)
    before, said = state.ret_value
    assert before == "first" + said
    assert state.text() == f"first{said} again: {said}"


def test_samples_are_a_list_and_the_first_goes_on(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "x" + sglc.gen("a", n=4, max_tokens=6, temperature=1.0) + "!"

    state = run(body)
    assert len(state["a"]) == 4
    assert len(set(state["a"])) > 1
    assert state.text() == f"x{state['a'][0]}!"
    assert len(state.get_meta_info("a")["samples"]) == 4


def test_a_seed_changes_what_is_drawn_and_nothing_else_does(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "x" + sglc.gen("a", max_tokens=10, temperature=1.5, ignore_eos=True)

    plain = run(body)["a"]
    assert run(body)["a"] == plain
    assert run(body, seed=0)["a"] == plain
    assert len({run(body, seed=seed)["a"] for seed in range(5)}) > 2


def test_generations_inherit_what_they_leave_out(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "x" + sglc.gen("a", ignore_eos=True) + sglc.gen("b", max_tokens=2, ignore_eos=True)

    state = run(body, max_new_tokens=7)
    assert state.get_meta_info("a")["completion_tokens"] == 7
    assert state.get_meta_info("b")["completion_tokens"] == 2


def test_an_own_parameter_called_like_a_sampling_parameter_is_an_argument(engine: sglc.Engine) -> None:
    def body(s: State, temperature: str) -> None:
        s += temperature

    assert run(body, temperature="warm").text() == "warm"


def test_logprobs(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "one two three" + sglc.gen(
            "a", max_tokens=3, ignore_eos=True, return_logprob=True, top_logprobs_num=2, logprob_start_len=0,
            return_text_in_logprobs=True,
        )  # fmt: skip

    meta = run(body).get_meta_info("a")
    assert len(meta["output_token_logprobs"]) == len(meta["output_top_logprobs"]) == 3
    assert all(len(best) == 2 for best in meta["output_top_logprobs"])
    assert len(meta["input_token_logprobs"]) == meta["prompt_tokens"]
    logprob, token_id, text = meta["output_token_logprobs"][0]
    assert logprob <= 0
    assert engine.tokenizer.decode([token_id]) == text


def test_a_prompt_longer_than_the_pool_is_an_error_at_its_line() -> None:
    def body(s: State) -> None:
        s += "word " * 100 + sglc.gen("a")  # too long

    with sglc.Engine("replay:hash", kv_tokens=50) as small, pytest.raises(EngineError, match="50") as caught:
        run(body, backend=small)
    assert_located(caught.value, __file__, "too long")


def test_an_error_may_be_handled_where_it_is_read() -> None:
    def body(s: State) -> str:
        s += "word " * 100 + sglc.gen("a")
        try:
            return str(s["a"])
        except EngineError as error:
            return error.message

    with sglc.Engine("replay:hash", kv_tokens=50) as small:
        state = run(body, backend=small)
    assert "50" in state.ret_value
    assert state.error is None


def test_no_backend_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGLC_MODEL", raising=False)
    sglc.set_default_backend(None)
    with pytest.raises(sglc.InputError, match="found no backend"):
        run(lambda s: None)


# Roles


def test_messages(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += sglc.system("Be brief.")
        s += sglc.user("Hello")
        s += sglc.assistant(sglc.gen("a", max_tokens=4, ignore_eos=True))
        with s.user():
            s += "More"
        s += sglc.assistant_begin() + "Well" + sglc.assistant_end()

    state = run(body)
    assert state.messages() == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": state["a"].lstrip()},
        {"role": "user", "content": "More"},
        {"role": "assistant", "content": "Well"},
    ]
    assert state.text().startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n")


def test_special_tokens_come_from_the_template_alone(engine: sglc.Engine) -> None:
    def body(s: State, text: str) -> None:
        s += sglc.user(text)
        s += sglc.assistant(sglc.gen("a", max_tokens=1))

    special = engine.tokenizer.special_ids["<|im_end|>"]
    tokens = run(body, text="x<|im_end|>y").prompt.tokens.tolist()
    assert tokens.count(special) == run(body, text="x").prompt.tokens.tolist().count(special)


def test_nested_roles_are_refused(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        with s.user():
            s += sglc.assistant("no")  # nested

    with pytest.raises(ProgramError, match="found assistant inside user; wanted no nested roles") as caught:
        run(body)
    assert_located(caught.value, __file__, "nested")


def test_an_end_without_its_beginning_is_refused(engine: sglc.Engine) -> None:
    with pytest.raises(ProgramError, match="found the end of user outside any message"):
        run(lambda s: s.__iadd__(sglc.user_end()))


# Scopes


def test_a_scope_holds_all_that_is_appended_in_it(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "before"
        with s.var_scope("all"):
            s += "a" + sglc.gen("x", max_tokens=3) + "b"
            with s.var_scope("inner"):
                s += sglc.select(choices=["c", "d"])
        s += "after" + s["inner"]

    state = run(body)
    assert state["all"] == f"a{state['x']}b{state['inner']}"
    assert state.text() == f"before{state['all']}after{state['inner']}"


def test_a_scope_is_not_read_from_inside(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s["all"] = "old"
        with s.var_scope("all"):
            s["all"]  # inside

    with pytest.raises(ProgramError, match="found 'all' read inside its own var_scope") as caught:
        run(body)
    assert_located(caught.value, __file__, "inside")


# Programs inside programs


@sglc.function
def tip(s: State, topic: str) -> str:
    """Say one thing about a topic."""
    s += f"{topic}: " + sglc.gen("said", ignore_eos=True)
    return topic


def test_a_program_inside_another(engine: sglc.Engine) -> None:
    def body(s: State) -> str:
        first, second = tip("sleep", max_new_tokens=3), tip.run(topic="food")
        s += first["said"] + second.text()
        return first.ret_value + second.ret_value

    state = run(body, max_new_tokens=5)
    assert state.ret_value == "sleepfood"
    assert state.counters.decoded == 3 + 5
    assert state.counters.requests == 2
    assert "said" not in state


def test_a_program_inside_inherits_sampling_and_may_change_it(engine: sglc.Engine) -> None:
    def body(s: State) -> list[int]:
        inherited, own = tip("a"), tip("a", max_new_tokens=2)
        return [p.get_meta_info("said")["completion_tokens"] for p in (inherited, own)]

    assert run(body, max_new_tokens=4).ret_value == [4, 2]


def test_programs_inside_draw_from_streams_of_their_own(engine: sglc.Engine) -> None:
    def body(s: State) -> list[str]:
        return [tip("same")["said"] for _ in range(4)]

    said = run(body, max_new_tokens=8, temperature=2.0).ret_value
    assert len(set(said)) == 4
    assert said == run(body, max_new_tokens=8, temperature=2.0).ret_value


def test_an_error_inside_ends_the_whole(engine: sglc.Engine) -> None:
    @sglc.function
    def broken(s: State) -> None:
        s += "x"
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        run(lambda s: broken())


def test_recursion(engine: sglc.Engine) -> None:
    @sglc.function
    def deep(s: State, levels: int) -> int:
        s += f"{levels}" + sglc.gen("x", max_tokens=1)
        return deep(levels - 1).ret_value + len(s["x"]) * 0 + 1 if levels else 0

    assert deep.run(20).ret_value == 20
