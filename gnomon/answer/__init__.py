"""From a question to an answer, or to silence: what answering takes beside the model."""
