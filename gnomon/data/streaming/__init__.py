"""Encoded text becomes batches: packed, mixed, numbered, and a pure function of dataset, seed and journal."""
