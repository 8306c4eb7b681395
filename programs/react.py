"""ReAct: the model thinks, asks a tool, reads what it says, and thinks again; the tool runs outside the model."""

import sglc

FACTS = {
    "ferry": "The ferry to Lund island leaves at 7, 12 and 18 o'clock and takes 40 minutes.",
    "lighthouse": "The lighthouse on Lund island is open from 10 to 16 o'clock, but not on Mondays.",
    "inn": "The inn on Lund island has nine rooms and serves soup until 21 o'clock.",
}
ROUNDS = 3


def look_up(query):
    """Return the facts whose word is in the query."""
    found = [fact for word, fact in FACTS.items() if word in query.lower()]
    return " ".join(found) or "Nothing is known about that. Known are: " + ", ".join(FACTS) + "."


@sglc.function
def travel_agent(s, question):
    s += "Answer with the help of a notebook. Look things up before you answer.\n\nQuestion: " + question + "\n"
    for turn in range(ROUNDS):
        s += "Thought:" + sglc.gen(f"thought_{turn}", max_tokens=24, stop="\n") + "\n"
        s += "Action: " + sglc.select("action", choices=["look up", "answer"]) + "\n"
        if s["action"] == "answer":
            break
        s += "Query:" + sglc.gen("query", max_tokens=12, stop="\n") + "\n"
        s += "Notebook: " + sglc.call(look_up, s["query"]) + "\n"
    s += "Answer:" + sglc.gen("answer", max_tokens=24, stop="\n")
