"""Choices as a tree of tokens say exactly what they say one by one, and compute each inner node once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sglc.backend.choices import METHODS, ChoicesSamplingMethod
from sglc.backend.engine import Engine
from sglc.backend.prompt import Prompt
from sglc.backend.step import Step
from sglc.backend.tokenizer import Tokenizer
from tests.asking import ask, assert_idle, watch
from tests.checkpoints import save_checkpoint
from tests.choosing import Answer, Question, Told, Tree, choose
from tests.conftest import FULL
from tests.tokenizers import spaced

LENGTHS, GREEDY, UNCONDITIONAL = METHODS.values()
any_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
LETTERS = ["A", "B", "C", "D"]

SETS: dict[str, list[str]] = {
    "letters": LETTERS,
    "a common beginning": [" the red one", " the blue one", " the other"],
    "one begins another": [" yes", " yes, but", " yes, but not today", " no"],
    "twice the same": [" yes", " no", " yes", " yes, twice", " no"],
    "one": [" certainly not"],
    "one of one token": ["."],
    "one that merges with the text before": ["her", "ter", " other", "o"],
    "not ASCII": ["好的", "好", "不", "é", "🙂 fine", "🙃"],
    "white space": ["\n\n", "\n", " ", "  x", "\t"],
    "long ones": [
        " starts pulling up roofing on a roof, and then stops.",
        " starts pulling a rope that is attached to the barbell.",
        " is ripping level tiles off.",
        " is holding a rubik's cube while the roof is ripped off.",
    ],
    "many": [f" number {i}" for i in range(60)],
}
any_choices = pytest.mark.parametrize("choices", SETS.values(), ids=SETS)


def after_text(tokenizer: Tokenizer) -> Prompt:
    return Prompt().append("This or the ot")


def after_nothing(tokenizer: Tokenizer) -> Prompt:
    return Prompt()


def after_no_tokens(tokenizer: Tokenizer) -> Prompt:
    """Not even a default prefix: a first token has no log-probability."""
    return Prompt(started=True)


def after_special_token(tokenizer: Tokenizer) -> Prompt:
    return Prompt().append("Take one:").append_template([min(tokenizer.special_ids.values())], tokenizer.prefix)


def after_generated(tokenizer: Tokenizer) -> Prompt:
    return Prompt().append("So").settled(tokenizer).extended(tokenizer.encode(" it is the")).append(" ot")


PROMPTS = (after_text, after_nothing, after_no_tokens, after_special_token, after_generated)


def engine_with(tokenizer: Tokenizer | None = None, **settings: Any) -> closing[Engine]:
    return closing(Engine("replay:hash", tokenizer=tokenizer, **{"check": True, "kv_tokens": 4096, **settings}))


def cold(engine: Engine) -> Engine:
    """Let an engine forget everything."""
    engine.flush_cache()
    engine.unconditional.clear()
    engine.reset_counters()
    return engine


@pytest.fixture(scope="module")
def reference() -> Iterator[Engine]:
    """An engine without a cache that runs one request at a time."""
    with engine_with(cache=False, max_running=1) as engine:
        yield engine
    assert_idle(engine)


@pytest.fixture(scope="module")
def warm() -> Iterator[Engine]:
    """An audited engine that knows what earlier tests asked."""
    with engine_with() as engine:
        yield engine
    assert_idle(engine)


@pytest.fixture
def engine(warm: Engine) -> Engine:
    """An audited engine that knows nothing."""
    return cold(warm)


# What it says


@any_method
@any_choices
def test_a_tree_says_what_scorings_say(
    warm: Engine, reference: Engine, choices: list[str], method: ChoicesSamplingMethod
) -> None:
    questions = [Question(prompt(warm.tokenizer), choices, method) for prompt in PROMPTS]
    expected = choose(reference, questions, as_tree=False)
    assert all(isinstance(answer, Told) for answer in expected)
    assert choose(warm, questions, as_tree=True) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"cache": False},
        {"max_step_tokens": 2},
        {"max_step_tokens": 13},
        {"max_running": 1},
        {"kv_tokens": 96},
        {"kv_tokens": 96, "cache": False, "max_step_tokens": 16},
    ],
    ids=str,
)
def test_a_tree_says_the_same_on_any_engine(reference: Engine, settings: dict[str, Any]) -> None:
    questions = [
        Question(prompt(reference.tokenizer).append(" " + word), choices, method)
        for word in ("and", "but")
        for prompt in (after_text, after_special_token)
        for choices in (SETS["long ones"], SETS["one begins another"])
        for method in METHODS.values()
    ]
    with engine_with(**settings) as engine:
        assert choose(engine, questions, as_tree=True) == choose(reference, questions, as_tree=False)
    assert_idle(engine)


@pytest.mark.parametrize("scheme", ["prepend", "first", "always"])
def test_dummy_prefixes(scheme: str) -> None:
    tokenizer = Tokenizer(spaced(scheme), config={"bos_token": "<s>", "add_bos_token": True, "eos_token": "</s>"})
    choices = ["hello", "helpful", "Hello, hello!", " the name", "好"]
    questions = [Question(prompt(tokenizer), choices, method) for prompt in PROMPTS for method in METHODS.values()]
    with engine_with(tokenizer) as engine, engine_with(tokenizer, cache=False) as other:
        assert choose(engine, questions, as_tree=True) == choose(other, questions, as_tree=False)


WORDS = ["the", " the", " other", "ot", "her", " ", "\n", ".", ", ", "1", "23", "é", "好", "🙂", "x" * 9]
RANDOM_QUESTIONS = 2000 if FULL else 150


def random_question(source: random.Random, tokenizer: Tokenizer) -> Question:
    """Return a question whose choices begin alike often, and merge with the text before now and then."""

    def text(most: int) -> str:
        return "".join(source.choice(WORDS) for _ in range(source.randint(0, most)))

    beginnings = ["", *(text(4) for _ in range(3))]
    choices = [source.choice(beginnings) + text(4) or "?" for _ in range(source.randint(1, 7))]
    prompt = source.choice(PROMPTS)(tokenizer).append(text(6))
    return Question(prompt, choices, source.choice([*METHODS.values()]))


def test_random_choices(warm: Engine, reference: Engine) -> None:
    source = random.Random(4)
    questions = [random_question(source, warm.tokenizer) for _ in range(RANDOM_QUESTIONS)]
    for start in range(0, RANDOM_QUESTIONS, 10):
        some = questions[start : start + 10]
        expected = choose(reference, some, as_tree=False)
        assert all(isinstance(answer, Told) for answer in expected)
        assert choose(warm, some, as_tree=True) == expected
        assert choose(cold(warm), some[:1], as_tree=True) == expected[:1]
        if not some[0].method.needs_unconditional:
            check_costs(warm, some[0])


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama checkpoint in float64."""
    size = Tokenizer.packaged().vocab_size
    return save_checkpoint("llama", tmp_path_factory.mktemp("llama"), vocab_size=size)


def logprobs(answer: Answer) -> list[float]:
    """Return all log-probabilities that an answer reports."""
    assert isinstance(answer, Told)
    scores = answer.meta["input_token_logprobs"] + answer.meta.get("unconditional_token_logprobs", [])
    return [entry.logprob or 0.0 for score in scores for entry in score]


def test_a_llama_chooses_the_same(llama: Path) -> None:
    source = random.Random(5)
    tokenizer = Tokenizer.packaged()
    questions = [random_question(source, tokenizer) for _ in range(24)]
    questions += [
        Question(after_text(tokenizer), choices, method) for choices in SETS.values() for method in METHODS.values()
    ]
    given: dict[str, Any] = {"tokenizer": tokenizer, "dtype": "float64", "kv_tokens": 4096}
    with (
        closing(Engine(llama, cache=False, max_running=1, **given)) as reference,
        closing(Engine(llama, **given)) as engine,
    ):
        told, expected = choose(engine, questions, as_tree=True), choose(reference, questions, as_tree=False)
    for found, wanted in zip(told, expected, strict=True):
        assert isinstance(found, Told) and isinstance(wanted, Told)
        assert (found.text, found.tokens) == (wanted.text, wanted.tokens)
        assert logprobs(found) == pytest.approx(logprobs(wanted), rel=0, abs=1e-9)


# What it costs


def check_costs(engine: Engine, question: Question) -> None:
    """Check what an engine that knew nothing has computed for a question: its prompt and inner nodes, once."""
    tree, counters = Tree.of(question, engine.tokenizer), engine.counters
    assert counters.filled == len(tree.prompt) + len(tree.inner)
    assert counters.relogit == counters.refilled == 0
    assert counters.forward_passes == min(1, counters.filled)


@any_choices
def test_each_inner_node_is_computed_once(engine: Engine, choices: list[str]) -> None:
    for prompt in PROMPTS:
        question = Question(prompt(engine.tokenizer), choices, LENGTHS)
        choose(cold(engine), [question], as_tree=True)
        check_costs(engine, question)


@any_method
def test_letters_cost_nothing_beside_the_prompt(engine: Engine, method: ChoicesSamplingMethod) -> None:
    prompt = Prompt().append("Which one?\nAnswer:")
    tokens = prompt.settled(engine.tokenizer).tokens.tolist()
    ask(engine, [tokens], max_new_tokens=1)
    filled, passes = engine.counters.filled, engine.counters.forward_passes
    choose(cold(engine), [Question(prompt, LETTERS, method)], as_tree=True)
    assert (engine.counters.filled, engine.counters.forward_passes) == (filled, passes)
    assert engine.counters.relogit == 0


def test_a_prompt_that_is_cached_is_computed_again_at_one_position_only(engine: Engine) -> None:
    question = Question(after_text(engine.tokenizer), SETS["a common beginning"], LENGTHS)
    tree = Tree.of(question, engine.tokenizer)
    ask(engine, [[*max(tree.prompt, key=len)]], max_new_tokens=1)
    engine.reset_counters()
    choose(engine, [question], as_tree=True)
    assert (engine.counters.filled, engine.counters.relogit) == (len(tree.inner), 1)


@pytest.mark.parametrize("budget", [1, 5, 64, 100, 128])
def test_a_prompt_in_chunks_is_filled_once(budget: int) -> None:
    """Choices wait while the first of them has its prompt computed, however the budget cuts it."""
    with engine_with(max_step_tokens=budget) as engine:
        question = Question(Prompt().append("It is red, or it is not. " * 12), SETS["long ones"], LENGTHS)
        tree = Tree.of(question, engine.tokenizer)
        steps: list[Step] = []
        watch(engine, steps.append)
        choose(engine, [question], as_tree=True)
        positions = len(tree.prompt) + len(tree.inner)
        assert len(tree.prompt) > 64
        assert (engine.counters.filled, engine.counters.relogit) == (positions, 0)
        assert len(steps) == -(-positions // budget)


def test_rows_share_the_beginnings_of_their_prompts(engine: Engine) -> None:
    questions = [Question(Prompt().append("Choose. " * 20 + f"{i}."), SETS["long ones"], GREEDY) for i in range(20)]
    trees = [Tree.of(question, engine.tokenizer) for question in questions]
    choose(engine, questions, as_tree=True)
    assert engine.counters.filled == len(set().union(*(tree.prompt | tree.inner for tree in trees)))
    assert engine.counters.forward_passes == 1
