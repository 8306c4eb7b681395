"""Kernels: what torch has no fast operation for."""
