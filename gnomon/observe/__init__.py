"""Watching a run: console, rules that ask for something, and the report. Sees events, never the model."""
