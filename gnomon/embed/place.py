"""An embedder by its place: a file of word vectors, a folder, or a name on the Hub."""

from functools import lru_cache
from pathlib import Path

from gnomon.embed.embedder import Embedder
from gnomon.embed.minilm import SentenceEmbedder
from gnomon.embed.static import StaticEmbedder


@lru_cache(maxsize=1)
def open_embedder(place: str) -> Embedder:
    """Return what lies there: word vectors in a .safetensors file, else a sentence model; raises as these do."""
    if place.endswith(".safetensors"):
        return StaticEmbedder.load(Path(place))
    return SentenceEmbedder.open(place)
