"""A model as other programs read it: Hugging Face folders, GGUF, a Modelfile; each checked against the model itself."""
