"""What the commands do; `sglc/cli.py` only declares their options."""
