"""Texts that are nearly others are found and compared in full, and all but one of each go."""
