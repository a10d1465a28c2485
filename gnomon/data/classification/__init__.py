"""Documents are told apart: by rule, by what a classifier has learned, and by language."""
