"""Ollama's recipe for a model."""

from gnomon.bundle import Bundle
from gnomon.export.gguf import TEMPERATURE, TOP_P


def modelfile(bundle: Bundle, gguf_name: str) -> str:
    """Return the text of a Modelfile for the GGUF beside it: `ollama create NAME -f Modelfile`."""
    return f"""# {bundle.name}: {bundle.shape.parameters / 1e6:.1f}M parameters, trained with gnomon.
FROM ./{gguf_name}
# A base model: it has read text and no conversations, so the prompt goes in as it is and is continued.
TEMPLATE \"\"\"{{{{ .Prompt }}}}\"\"\"
PARAMETER num_ctx {bundle.shape.context}
PARAMETER temperature {TEMPERATURE}
PARAMETER top_p {TOP_P}
PARAMETER stop "{bundle.tokenizer.end_name}"
"""
