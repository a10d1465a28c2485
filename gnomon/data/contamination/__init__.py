"""Items of evaluation suites are found in training text and taken out of it."""
