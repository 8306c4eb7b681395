"""Case 4: a batch whose rows take turns between several large prefixes."""

import sglc
from tests.cases.models import Models, distinct_positions

SUBJECTS = {
    subject: f"These are multiple-choice questions about {subject}.\n"
    + "".join(f"Question {i} of {subject}: is {i * i} odd?\nAnswer: {'AB'[i % 2]}\n" for i in range(6))
    for subject in ("botany", "law", "chess", "opera")
}
QUESTIONS = ["Who was first?", "What is it made of?", "How long does it last?"]


@sglc.function
def exam(s, subject, question):
    s += SUBJECTS[subject]
    s += question + "\nAnswer: " + sglc.gen("answer", max_tokens=2)


def test_interleaved_prefixes_are_each_computed_once(models: Models) -> None:
    """Batch with G distinct large prefixes interleaved."""
    rows = [{"subject": subject, "question": question} for question in QUESTIONS for subject in SUBJECTS]
    models.start_cold()
    states = models.run(exam, rows)
    prompts = [f"{SUBJECTS[row['subject']]}{row['question']}\nAnswer: " for row in rows]
    assert [state.text() for state in states] == [p + s["answer"] for p, s in zip(prompts, states, strict=True)]
    assert models.engine.counters.filled == distinct_positions(map(models.ids, prompts))
