"""What experiments of many runs have in common: words on the command line, and the config that all runs begin from."""

import argparse
from pathlib import Path
from typing import Any


def parser_of(description: str | None, *, tokens: str, of: str, seeds: int) -> argparse.ArgumentParser:
    """Return a parser of text, size, tokens (by default so many, `of` what), seeds, and the folder of results."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--validation", type=Path, help="held-out text; without, a share of the text is held out")
    parser.add_argument("--size", default="5M")
    parser.add_argument("--tokens", default=tokens, help=of)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and results")
    parser.add_argument("--json", action="store_true")
    return parser


def base_config(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the config of all runs, without budget, seed and folder: compiled, with one checkpoint and no exports."""
    held_out = {"validation": str(arguments.validation)} if arguments.validation else {}
    return {
        "data": {"train": str(arguments.text), "root": str(arguments.out / "datasets"), **held_out},
        "size": arguments.size,
        "train": {"compile": True, "keep_last": 1},
        "export": {"gguf": [], "hf": False},
    }
