"""Records that are not one text but parts with special tokens between them: conversations and questions."""
