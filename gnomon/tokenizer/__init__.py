"""Text to ids and back: byte-level BPE that llama.cpp and Hugging Face read as we do."""
