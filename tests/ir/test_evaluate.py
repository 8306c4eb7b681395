"""What a graph means is computed from its operations alone, over any sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from sglc.errors import Location
from sglc.ir.evaluate import EVALUATORS, EvaluationError, Generated, Outcome, Piece, Prompt, evaluate
from sglc.ir.graph import Block, BlockBuilder, Case, Graph, Op, Value, make_graph
from sglc.ir.ops import PROGRAM_OPS
from sglc.ir.types import Type
from tests.ir.sample_graphs import judge, linear, react


class Echo:
    """A sampler that says what it was asked; choices are taken from the end of `choose`."""

    def __init__(self, *choices: int) -> None:
        self.choices = list(choices)
        self.asked: list[tuple[Any, ...]] = []

    def generate(self, prompt: Prompt, site: str, parameters: Mapping[str, Any]) -> Generated:
        """Return the site, and the number of the sample."""
        self.asked.append((prompt, site, dict(parameters)))
        texts = [f"<{site}.{i}>" for i in range(parameters.get("n", 1))]
        return Generated(texts, {"completion_tokens": len(site)}, [f"thought {text}" for text in texts])

    def choose(self, prompt: Prompt, choices: Sequence[str], method: str, site: str) -> tuple[int, Mapping[str, Any]]:
        """Return the next choice there is, else the first."""
        self.asked.append((prompt, site, method, tuple(choices)))
        return (self.choices.pop() if self.choices else 0), {"method": method}


def run(build: Callable[[BlockBuilder], None], sampler: Echo | None = None, **functions: Any) -> Outcome:
    """Return what a graph without arguments comes to."""
    builder = BlockBuilder()
    build(builder)
    return evaluate(make_graph("test", (), builder), {}, sampler or Echo(), functions=functions)


def emit(b: BlockBuilder, name: str, *operands: Value, kinds: Sequence[Type] = (Type.VALUE,), **attributes: Any) -> Any:
    """Return the only result of an operation, or all of them."""
    results = b.emit(name, operands, kinds, attributes, location=Location("test.py", 7))
    return results[0] if len(results) == 1 else results


def empty(b: BlockBuilder) -> Any:
    """Return the empty prompt."""
    return emit(b, "empty", kinds=(Type.PROMPT,))


def append(b: BlockBuilder, prompt: Any, text: str) -> Any:
    """Return a prompt with text behind it."""
    return emit(b, "append", prompt, b.const(text), kinds=(Type.PROMPT,))


def gen(b: BlockBuilder, prompt: Any, site: str = "0", kind: Type = Type.TEXT, **attributes: Any) -> Any:
    """Return a prompt and a generation."""
    return emit(b, "gen", prompt, kinds=(Type.PROMPT, kind), site=site, **attributes)


def finish(b: BlockBuilder, prompt: Any, **variables: Value) -> None:
    """Return from the graph."""
    b.end("return", (prompt, *variables.values()), {"names": tuple(variables)} if variables else {})


def test_every_operation_has_a_meaning() -> None:
    assert set(EVALUATORS) == set(PROGRAM_OPS)


def test_a_question_and_its_answer() -> None:
    sampler = Echo()
    outcome = evaluate(linear(), {"question": "Why?"}, sampler)
    asked = Prompt((Piece("text", "Answer in one line.\n\nQ: Why?\nA:"),))
    assert sampler.asked == [(asked, "0", {"max_new_tokens": 32, "stop": ("\n",)})]
    assert outcome.prompt == Prompt((*asked.pieces, Piece("generated", "<0.0>")))
    assert outcome.text == "Answer in one line.\n\nQ: Why?\nA:<0.0>"
    assert outcome.variables == {"answer": "<0.0>"}
    assert outcome.returned is None and outcome.left is None


def test_forks_go_on_from_one_prompt() -> None:
    sampler = Echo(3)
    outcome = evaluate(judge(), {"essay": "Trees."}, sampler)
    shared = "You judge essays fairly and in few words.\n\nEssay:\nTrees.\n\n"
    assert all(prompt.text.startswith(shared) for prompt, *_ in sampler.asked)
    assert outcome.variables == {"remark": ["</0.0:0.0>", "</0.1:0.0>", "</0.2:0.0>"], "grade": "4"}
    assert outcome.text.endswith("- structure:</0.2:0.0>\nGrade from 1 to 5: 4")
    assert [piece.kind for piece in outcome.prompt.pieces] == ["text", "chosen"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("rounds", "left"), [(0, None), (1, None), (2, None), (3, "the loop goes on while")])
def test_a_branch_goes_where_its_value_says(rounds: int, left: str | None) -> None:
    choices = [0] * rounds + [1] * (rounds < 3)
    outcome = evaluate(react(), {"question": "When?"}, Echo(*choices[::-1]), functions={"look_up": str.upper})
    if left is None:
        assert outcome.text.count("Notebook") == rounds
        assert outcome.variables["action"] == "answer"
        assert [*outcome.variables][-1] == "answer"
    else:
        assert outcome.left is not None and outcome.left.startswith(left)
        assert (outcome.prompt, outcome.text, outcome.messages, outcome.variables) == (None, "", [], {})


@pytest.mark.parametrize("value", ["b", "True", 1, None])
def test_a_value_without_a_case_is_an_error(value: object) -> None:
    cases = tuple(Case(label, (Op("eager", attributes={"cause": "x"}),)) for label in ("a", True))
    argument = Value("x", Type.VALUE)
    graph = Graph("g", (argument,), (Op("branch", (argument,), cases=cases, location=Location("g.py", 3)),))
    with pytest.raises(EvaluationError) as caught:
        evaluate(graph, {"x": value}, Echo())
    assert str(caught.value) == f"g.py:3: branch: found {value!r}; wanted one of the cases 'a', True"


def test_text_between_generations_is_one_string() -> None:
    def build(b: BlockBuilder) -> None:
        p, _ = gen(b, append(b, append(b, append(b, empty(b), "a"), ""), "b"))
        p, _ = gen(b, p, "1")
        finish(b, emit(b, "sections", p, b.const("x"), b.const("y"), kinds=(Type.PROMPT,)))

    kinds = ["text", "generated", "generated", "text"]
    pieces = run(build).prompt.pieces  # type: ignore[union-attr]
    assert [piece.kind for piece in pieces] == kinds
    assert pieces[0].text == "ab" and pieces[-1].text == "xy"


def test_roles_make_messages_and_no_text() -> None:
    def build(b: BlockBuilder) -> None:
        p = empty(b)
        for role, text in (("user", " Hello"), ("assistant", None)):
            p = emit(b, "begin", p, kinds=(Type.PROMPT,), role=role)
            p = append(b, p, text) if text is not None else gen(b, p)[0]
            p = emit(b, "end", p, kinds=(Type.PROMPT,), role=role)
        p = emit(b, "begin", p, kinds=(Type.PROMPT,), role="user")
        finish(b, p, said=emit(b, "messages", p, kinds=(Type.LIST,)), text=emit(b, "text", p, kinds=(Type.TEXT,)))

    outcome = run(build)
    assert outcome.messages == [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "<0.0>"}]
    assert outcome.variables == {"said": outcome.messages, "text": " Hello<0.0>"}
    assert outcome.text == " Hello<0.0>"


def test_template_text_knows_whether_it_waits() -> None:
    begun = Prompt().extended("begin", "user")
    assert begun.rest() != begun
    assert begun.append("") != begun
    assert begun.append("").append("a") == begun.append("a")
    assert begun.rest().rest() == begun.rest() == begun.rest().append("")
    spoken = Prompt().append("a")
    assert spoken.rest() == spoken.append("") == spoken
    assert Prompt().rest() == Prompt().append("") == Prompt()


def test_several_samples_and_what_is_reported_of_them() -> None:
    def build(b: BlockBuilder) -> None:
        p, texts = gen(b, empty(b), kind=Type.TEXTS, n=3)
        q, answer = gen(b, p, "11", reasoning="qwen3")
        r, choice = emit(b, "select", q, b.const("yes"), kinds=(Type.PROMPT, Type.TEXT), site="2", method="greedy")
        finish(
            b,
            r,
            texts=texts,
            meta=emit(b, "meta", texts, kinds=(Type.DICT,)),
            thoughts=emit(b, "thoughts", answer, kinds=(Type.TEXT,)),
            chosen=emit(b, "meta", choice, kinds=(Type.DICT,)),
        )

    outcome = run(build)
    assert outcome.variables == {
        "texts": ["<0.0>", "<0.1>", "<0.2>"],
        "meta": {"completion_tokens": 1},
        "thoughts": "thought <11.0>",
        "chosen": {"method": "greedy"},
    }
    assert outcome.prompt == Prompt((Piece("generated", "<0.0>"), Piece("text", "<11.0>"), Piece("chosen", "yes")))


def test_what_a_function_raises_comes_with_a_note() -> None:
    def build(b: BlockBuilder) -> None:
        finish(b, empty(b), x=emit(b, "apply", b.const("one"), kinds=(Type.INT,), fn="int"))

    with pytest.raises(ValueError, match="invalid literal") as caught:
        run(build)
    assert caught.value.__notes__ == ["in apply int, test.py:7"]


def test_collections_and_what_is_returned() -> None:
    def build(b: BlockBuilder) -> None:
        q = append(b, append(b, empty(b), "a"), "b")
        since = emit(b, "since", append(b, empty(b), "a"), q, kinds=(Type.TEXT,))
        joined = emit(b, "concat", since, b.const("!"), kinds=(Type.TEXT,))
        listed = emit(b, "list", since, b.const(2), kinds=(Type.LIST,))
        made = emit(b, "dict", b.const("k"), listed, kinds=(Type.DICT,))
        pair = emit(b, "tuple", b.const(1), b.const(None), kinds=(Type.TUPLE,))
        b.end(
            "return",
            (emit(b, "pin", q, kinds=(Type.PROMPT,)), pair, joined, made),
            {"returns": True, "names": ("j", "d")},
        )

    outcome = run(build)
    assert outcome.returned == (1, None)
    assert outcome.variables == {"j": "b!", "d": {"k": ["b", 2]}}


def test_calls_run_the_functions_given() -> None:
    def build(b: BlockBuilder) -> None:
        found = emit(b, "call", b.const(2), b.const(3), fn="power", number=0, keywords=("to",))
        finish(b, empty(b), found=found)

    assert run(build, power=lambda x, to: x**to).variables == {"found": 8}
    with pytest.raises(EvaluationError, match=r"test.py:7: call: found no function 'power'"):
        run(build)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(EvaluationError, match=r"@qa: found no argument question; wanted a program"):
        evaluate(linear(), {}, Echo())
    with pytest.raises(EvaluationError, match=r"found a plan; wanted a program"):
        evaluate(Graph("p", (), (), "plan"), {}, Echo())


def test_how_many_samples_may_be_up_to_the_run() -> None:
    class Several(Echo):
        def generate(self, prompt: Prompt, site: str, parameters: Mapping[str, Any]) -> Generated:
            return super().generate(prompt, site, {**parameters, "n": 2})

    def build(b: BlockBuilder) -> None:
        p, texts = gen(b, empty(b), kind=Type.TEXTS)
        finish(b, p, texts=texts)

    assert run(build, Several()).variables == {"texts": ["<0.0>", "<0.1>"]}
    with pytest.raises(EvaluationError, match="found 1 texts of a sampler; wanted 2"):
        run(build, Echo())


class Silent(Echo):
    """A sampler that keeps no promise."""

    def generate(self, prompt: Prompt, site: str, parameters: Mapping[str, Any]) -> Generated:
        """Return nothing, or no thoughts."""
        return Generated(["text"] if "reasoning" in parameters else [])

    def choose(self, prompt: Prompt, choices: Sequence[str], method: str, site: str) -> tuple[int, Mapping[str, Any]]:
        """Return a choice that is none."""
        return len(choices), {}


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (lambda b: gen(b, empty(b)), "gen: found 0 texts of a sampler; wanted 1"),
        (lambda b: gen(b, empty(b), reasoning="qwen3"), "gen: found 0 thoughts of a sampler; wanted 1"),
        (
            lambda b: emit(b, "select", empty(b), b.const("a"), kinds=(Type.PROMPT, Type.TEXT), site="0"),
            "select: found the choice 1 of a sampler; wanted one of 1",
        ),
    ],
)
def test_a_sampler_that_breaks_its_promise_is_named(build: Callable[[BlockBuilder], Any], found: str) -> None:
    def whole(b: BlockBuilder) -> None:
        finish(b, build(b)[0])

    with pytest.raises(EvaluationError) as caught:
        run(whole, Silent())
    assert found in str(caught.value)


def test_branches_may_be_nested_deeply() -> None:
    test, prompt = Value("b", Type.BOOL), Value("p", Type.PROMPT)
    block: Block = (Op("eager", attributes={"cause": "the bottom"}),)
    for _ in range(2000):
        block = (Op("branch", (test,), cases=(Case(True, block), Case(False, (Op("return", (prompt,)),)))),)
    graph = Graph("deep", (test,), (Op("empty", (), (prompt,)), *block))
    assert evaluate(graph, {"b": True}, Echo()).left == "the bottom"
    assert evaluate(graph, {"b": False}, Echo()).prompt == Prompt()
