"""Capturing programs: a function is run with placeholders, and what they see becomes a graph."""
