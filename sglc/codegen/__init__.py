"""From what a program says to when it is done: plans for the executor."""
