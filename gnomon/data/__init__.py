"""Text in: read, deduplicate, split, encode, store; and out again as packed rows for training."""
