"""A run made from another run: its heads, or all of its weights, learned again from questions."""
