"""Scores of a model: loss, perplexity, bits per byte, samples."""
