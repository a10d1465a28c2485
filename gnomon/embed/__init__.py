"""Texts become vectors of integers: by what is learned from the text itself, or by a sentence model."""
