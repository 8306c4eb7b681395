"""The language: programs, the expressions they append, and the eager interpreter that runs them."""
