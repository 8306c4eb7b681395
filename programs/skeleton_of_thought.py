"""Skeleton of thought: the points of an answer first, then all points written out at once, each in its own fork."""

import sglc

POINTS = 3


@sglc.function
def explain(s, question):
    s += "Question: " + question + "\nThree points, a few words each:\n"
    for number in range(1, POINTS + 1):
        s += f"{number}." + sglc.gen(f"point_{number}", max_tokens=10, stop="\n") + "\n"

    forks = s.fork(POINTS)
    for number, fork in enumerate(forks, start=1):
        fork += f"\nPoint {number}, in one or two sentences:"
        fork += sglc.gen("paragraph", max_tokens=32, stop="\n")
    forks.join()

    s += "\nThe whole answer:\n"
    for paragraph in s["paragraph"]:
        s += paragraph.strip() + "\n"
