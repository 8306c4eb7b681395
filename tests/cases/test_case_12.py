"""Case 12: a generated variable spliced back into the same prompt."""

import sglc
from tests.cases.models import Models


@sglc.function
def echo(s, topic):
    s += f"A word about {topic}:" + sglc.gen("word", max_tokens=3)
    s += "\nThe word was:" + s["word"] + ". Again:" + s["word"] * 2
    s += "\nSo:" + sglc.gen("so", max_tokens=3)


def test_a_generated_variable_is_text_like_any_other(models: Models) -> None:
    """Generated variable spliced back into the same prompt."""
    topics = ["stars", "bread", "chess"]
    for topic, state in zip(topics, models.run(echo, [(topic,) for topic in topics]), strict=True):
        word = state["word"]
        assert state.text() == (
            f"A word about {topic}:{word}\nThe word was:{word}. Again:{word}{word}\nSo:{state['so']}"
        )
