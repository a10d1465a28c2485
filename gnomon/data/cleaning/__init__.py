"""Texts are mended, personal data replaced, and quality scored and judged."""
