"""Benchmarks that a user can rerun: how fast we train and generate beside others, and how soon a loss is reached."""
