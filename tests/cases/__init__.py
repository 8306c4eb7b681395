"""The acceptance cases: one module a case, one test a clause, each on two models and against the reference."""
