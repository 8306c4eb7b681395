"""What a program is: its values, its operations and how a generation is sampled."""
