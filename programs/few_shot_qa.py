"""Few-shot question answering: worked examples first, so that all rows share one long prefix in the cache."""

import sglc

EXAMPLES = [
    ("A jar holds 12 pears. Nora takes 5 and puts 3 back. How many are in the jar?", "12 - 5 + 3 = 10", "10"),
    ("A tram stops every 4 minutes. How often does it stop in an hour?", "60 / 4 = 15", "15"),
    ("Two tickets cost 9 coins each and a map costs 4. What is the total?", "2 * 9 + 4 = 22", "22"),
    ("A rope of 30 metres is cut into 6 equal parts. How long is one?", "30 / 6 = 5", "5"),
]


@sglc.function
def answer(s, question):
    s += "Answer each question. Show the sum, then the number.\n\n"
    for asked, work, result in EXAMPLES:
        s += f"Question: {asked}\nSum: {work}\nAnswer: {result}\n\n"
    s += "Question: " + question + "\n"
    s += "Sum:" + sglc.gen("sum", max_tokens=24, stop="\n") + "\n"
    s += "Answer:" + sglc.gen("answer", max_tokens=8, stop="\n")
