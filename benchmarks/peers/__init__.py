"""Other engines, each in a virtual environment of its own, given the same checkpoint and the same token ids."""
