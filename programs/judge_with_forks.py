"""An essay judged on several sides at once: every judge is a fork of one state, so the essay is computed once."""

import sglc

SIDES = {
    "clarity": "Can a reader follow every sentence?",
    "evidence": "Does each claim come with a reason or a fact?",
    "structure": "Does the order of the parts help the argument?",
}


@sglc.function
def judge(s, essay):
    s += "You judge essays fairly and in few words.\n\nEssay:\n" + essay + "\n\n"

    forks = s.fork(len(SIDES))
    for fork, (side, question) in zip(forks, SIDES.items(), strict=True):
        fork += "Look only at " + side + ". " + question + "\nRemark:"
        fork += sglc.gen("remark", max_tokens=24, stop="\n")
    forks.join()

    s += "Remarks of three judges:\n"
    for side, remark in zip(SIDES, s["remark"], strict=True):
        s += "- " + side + ":" + remark + "\n"
    s += "Grade from 1 to 5: " + sglc.select("grade", choices=["1", "2", "3", "4", "5"])
