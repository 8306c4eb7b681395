"""Recorded LLM programs: what was asked, in which order, and where it is known what was answered."""
