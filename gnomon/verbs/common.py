"""What verbs share: a config and its overrides as arguments, the --json option, and how its object is printed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.base.errors import ConfigError

if TYPE_CHECKING:
    from gnomon.config import Config

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]

RunPath = Annotated[Path, typer.Argument(help="A run's folder, or one of its checkpoints.", metavar="RUN")]

ConfigPath = Annotated[Path, typer.Argument(help="A .json or .toml file.", metavar="CONFIG")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Options laid over the file, such as train.lr=3e-4.", metavar="KEY=VALUE"),
]


def config_of(path: Path, overrides: list[str] | None) -> "Config":
    """Return the Config in a file, with `key=value` words laid over it."""
    from gnomon.config import load_config

    return load_config(path, overrides)


def tokens_of(text: str, option: str = "--tokens") -> int:
    """Return the tokens that an option asks for. Raises ConfigError for what is no number of them."""
    from gnomon.config import TOKENS_DO, parse_tokens

    try:
        return parse_tokens(text)
    except ValueError:
        raise ConfigError(f"{text[:40]!r} is no number of tokens", where=option, do=TOKENS_DO) from None


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object as a line, for scripts."""
    typer.echo(json.dumps(value, ensure_ascii=False))
