"""Ollama's recipe for a model."""

from gnomon.bundle import Bundle
from gnomon.export.chat import OLLAMA_TEMPLATE, TURN_END, reads_chat
from gnomon.export.gguf import TOP_P, temperature_of


def modelfile(bundle: Bundle, gguf_name: str) -> str:
    """Return the text of a Modelfile for the GGUF beside it: `ollama create NAME -f Modelfile`."""
    if reads_chat(bundle):
        about, template = "It has read conversations: what is asked is written as one.", OLLAMA_TEMPLATE
        stops = [TURN_END, bundle.tokenizer.end_name]
    else:
        about = "A base model: it has read text and no conversations, so the prompt goes in as it is and is continued."
        template, stops = "{{ .Prompt }}", [bundle.tokenizer.end_name]
    stopping = "".join(f'PARAMETER stop "{stop}"\n' for stop in stops)
    return f"""# {bundle.name}: {bundle.shape.parameters / 1e6:.1f}M parameters, trained with gnomon.
FROM ./{gguf_name}
# {about}
TEMPLATE \"\"\"{template}\"\"\"
PARAMETER num_ctx {bundle.shape.context}
PARAMETER temperature {temperature_of(bundle):g}
PARAMETER top_p {TOP_P}
{stopping}"""
