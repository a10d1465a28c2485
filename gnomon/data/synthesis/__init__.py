"""Synthetic samples from seeded program generators, every answer computed and checked; no model and no network."""
