"""`python -m sglc` is `sglc`."""

from sglc.cli import main

main()
