"""Case 10: a recorded trace replayed: each step generates in a throw-away fork, then the record is appended."""

import sglc
from tests.cases.models import Models, distinct_positions

RECORD = [
    ("I need to find the founder.", "Search[founder of the town]"),
    ("Now I need the year.", "Search[year of founding]"),
    ("That is all.", "Finish[1291]"),
]


@sglc.function
def replay(s, question, record):
    s += f"Question: {question}\n"
    outputs = []
    for i, (thought, action) in enumerate(record, 1):
        s += f"Thought {i}: "
        scratch = s.fork(1)
        scratch += sglc.gen("thought", max_tokens=4)
        outputs.append(scratch[0]["thought"])
        s += f"{thought}\nAction {i}: {action}\n"
    return outputs


def recorded(question: str) -> list[str]:
    """Return the prompts of all steps, and the final text."""
    text = f"Question: {question}\n"
    texts = []
    for i, (thought, action) in enumerate(RECORD, 1):
        text += f"Thought {i}: "
        texts.append(text)
        text += f"{thought}\nAction {i}: {action}\n"
    return [*texts, text]


def test_a_throw_away_fork_leaves_no_trace(models: Models) -> None:
    """Throw-away `fork(1)` generation followed by appending recorded text."""
    state = models.run_one(replay, question="Who founded it, and when?", record=RECORD)
    assert state.text() == recorded("Who founded it, and when?")[-1]
    assert state.variables() == {}
    assert len(state.ret_value) == len(RECORD)


def test_a_step_generates_from_the_record(models: Models) -> None:
    """Each step's output is what a fresh prompt of the recorded text gives, and its prefix comes from the cache."""

    @sglc.function
    def fresh(s, prompt):
        s += prompt + sglc.gen("thought", max_tokens=4)

    texts = recorded("Who?")[:-1]
    outputs = models.run_one(replay, {"temperature": 0}, question="Who?", record=RECORD).ret_value
    assert outputs == [state["thought"] for state in models.run(fresh, [(text,) for text in texts], temperature=0)]
    models.start_cold()
    replay.run(question="Who?", record=RECORD)
    assert models.engine.counters.filled == distinct_positions(map(models.ids, texts))
