"""Tree of thought: several plans, several steps from each, a vote on every leaf, and the best path wins."""

import sglc

PLANS = 2
STEPS = 2


@sglc.function
def solve(s, problem):
    s += "Problem: " + problem + "\n"
    plans = s.fork(PLANS)
    for plan in plans:
        plan += "A plan in one line:" + sglc.gen("plan", max_tokens=20, stop="\n", temperature=0.8) + "\n"

    leaves = []
    for plan in plans:
        steps = plan.fork(STEPS)
        for step in steps:
            step += "The plan, carried out:" + sglc.gen("work", max_tokens=32, stop="\n", temperature=0.8) + "\n"
            step += "Is this right? " + sglc.select("verdict", choices=["surely", "perhaps", "no"]) + "\n"
            step += "Result:" + sglc.gen("result", max_tokens=8, stop="\n", temperature=0)
            leaves.append(step)

    ranks = {"surely": 0, "perhaps": 1, "no": 2}
    best = min(leaves, key=lambda leaf: ranks[leaf["verdict"]])
    s["plans"] = [plan["plan"] for plan in plans]
    s["verdicts"] = [leaf["verdict"] for leaf in leaves]
    s += "Result:" + best["result"]
    s["result"] = best["result"]
