"""The optimizer: passes over graphs, one file a pass, in one ordered pipeline."""
