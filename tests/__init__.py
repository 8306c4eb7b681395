"""The tests, as a package: so that `tests/tokenizers.py` does not stand in for the library of that name."""
