"""Languages of byte strings, and which tokens keep a text inside one. No torch."""
