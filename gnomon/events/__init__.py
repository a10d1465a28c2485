"""What happens in a run, as values: the vocabulary, and the bus that carries it."""
