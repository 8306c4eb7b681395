"""Self-consistency: one question, several sampled lines of thought from one prompt, and the answer most agree on."""

from collections import Counter

import sglc

SAMPLES = 5


@sglc.function
def vote(s, question):
    s += "Think in one line, then give the answer.\n\nQuestion: " + question + "\n"
    forks = s.fork(SAMPLES)
    for fork in forks:
        fork += "Thought:" + sglc.gen("thought", max_tokens=24, stop="\n", temperature=0.9, top_p=0.95) + "\n"
        fork += "Yes or no? " + sglc.select("answer", choices=["yes", "no"])
    votes = Counter(fork["answer"] for fork in forks)
    winner, count = votes.most_common(1)[0]
    s["votes"] = dict(sorted(votes.items()))
    s += f"Answer, by {count} of {SAMPLES}: {winner}"
    s["answer"] = winner
