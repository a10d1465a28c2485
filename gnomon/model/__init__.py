"""The decoder-only transformer and what runs it: parts, loss, cache, generation. Token ids in, logits out."""
