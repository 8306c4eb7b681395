"""Benchmarks: each prints flat figures, and the bars of the project are held against these."""
