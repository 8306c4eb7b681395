"""What the compiler did with a program, what it foresees of a run, and what it missed."""
