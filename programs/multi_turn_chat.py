"""A chat of several turns: each turn goes on where the last one ended, so only its new words are computed."""

import sglc

STYLE = "Use short sentences and everyday things. Ask nothing back."


@sglc.function
def chat(s, topic, questions):
    with s.system():
        s += "You explain " + topic + " to a curious child. " + STYLE
    for turn, question in enumerate(questions):
        with s.user():
            s += question
        with s.assistant():
            s += sglc.gen(f"answer_{turn}", max_tokens=32)
    with s.user():
        s += "Say the most important thing again, in five words."
    with s.assistant():
        s += sglc.gen("summary", max_tokens=12, temperature=0)
