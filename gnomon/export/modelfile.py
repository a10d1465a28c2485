"""Ollama's recipe for a model."""

from gnomon.bundle import Bundle


def modelfile(bundle: Bundle, gguf_name: str) -> str:
    """Return the text of a Modelfile for the GGUF beside it: `ollama create NAME -f Modelfile`."""
    return f"""# {bundle.name}: {bundle.shape.parameters / 1e6:.1f}M parameters, trained with gnomon.
# A base model: it has read text and no conversations, so the prompt goes in as it is and the model continues it.
FROM ./{gguf_name}
TEMPLATE \"\"\"{{{{ .Prompt }}}}\"\"\"
PARAMETER num_ctx {bundle.shape.context}
PARAMETER temperature 0.8
PARAMETER top_p 0.95
PARAMETER stop "<|endoftext|>"
"""
