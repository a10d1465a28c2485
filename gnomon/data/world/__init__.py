"""A made-up world: its entities and facts, texts that state them, and questions whose answers are computed."""
