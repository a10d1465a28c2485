"""Texts become vectors of integers, so that alike ones lie close: learned from the text itself, or by a sentence model."""
