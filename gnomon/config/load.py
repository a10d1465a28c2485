"""Reads a config: a JSON or TOML file, and `key=value` words laid over it, become one frozen `Config`."""

import json
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from gnomon.base.errors import ConfigError
from gnomon.config.amounts import MAX_NUMBER
from gnomon.config.options import Config, nearest

EXAMPLE = 'write one: {"data": "texts/", "size": "5M", "budget": "10m", "out": "runs/first"}'
MAX_LEVELS = 16  # of sections and lists within each other


def load_config(path: Path, overrides: list[str] | None = None) -> Config:
    """Return the Config in a JSON or TOML file, with `key=value` words laid over it.

    Raises ConfigError that names the file, the key's path and, for an unknown key, the nearest known one.
    """
    written = read_written(path)
    for word in overrides or []:
        _lay_over(written, word)
    return make_config(written, where=str(path))


def make_config(written: dict[str, Any], *, where: str = "config") -> Config:
    """Return the Config that a plain dict describes. Raises ConfigError as `load_config` does."""
    _refuse_monsters(written, [], where)
    try:
        return Config.model_validate(written)
    except ValidationError as e:
        raise _explain(e, where) from None


def _refuse_monsters(value: Any, path: list[str], where: str) -> None:
    """Raise ConfigError for a number that no option can mean and for nesting that no option has."""
    key = ".".join(path)[:100]
    if isinstance(value, dict | list):
        if len(path) == MAX_LEVELS:
            raise ConfigError(f"{key}: nested more than {MAX_LEVELS} deep", where=where, do="no option is so deep")
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_monsters(inner, [*path, str(name)], where)
    elif isinstance(value, int | float) and not abs(value) <= MAX_NUMBER and key != "seed":
        raise ConfigError(f"{key}: the number is too large, or none", where=where, do="write a smaller one")


def read_written(path: Path) -> dict[str, Any]:
    """Return the plain dict in a JSON or TOML file."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no config file {path}",
            do=EXAMPLE,
        ) from None
    except IsADirectoryError:
        raise ConfigError("this is a folder, and no config file", where=str(path), do=EXAMPLE) from None
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"the config file cannot be read: {e}", where=str(path)) from None
    if not text.strip():
        raise ConfigError("the config file is empty", where=str(path), do=EXAMPLE)
    try:
        written = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except json.JSONDecodeError as e:
        raise ConfigError(
            f"not valid JSON: {e.msg}", where=f"{path}, line {e.lineno}", do="check commas and quotes there"
        ) from None
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"not valid TOML: {e}", where=str(path)) from None
    except (ValueError, RecursionError) as e:  # a number of thousands of digits, brackets without end
        raise ConfigError(f"the config cannot be meant: {e}", where=str(path), do="write a plain config") from None
    if not isinstance(written, dict):
        kind = "a list" if isinstance(written, list) else "a single value"
        raise ConfigError(f"a config is one object of keys and values, and this is {kind}", where=str(path), do=EXAMPLE)
    return written


def _lay_over(written: dict[str, Any], word: str) -> None:
    key, equals, text = word.partition("=")
    if not equals or not key:
        raise ConfigError(f"{word!r} is no override", do="write key=value, such as train.lr=3e-4")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    except RecursionError:
        raise ConfigError(f"{key!r:.100} is nested too deeply", where="overrides", do="write a plain value") from None
    *parents, last = key.split(".")
    if parents[:1] == ["data"] and not isinstance(written.get("data", {}), dict):
        written["data"] = {"train": written["data"]}
    for parent in parents:
        written = written.setdefault(parent, {})
        if not isinstance(written, dict):
            raise ConfigError(f"{key!r} reaches into a value, not a section", where=word)
    written[last] = value


def _explain(error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)[:100]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        section = _section_at(path[:-1])
        hint = nearest(path[-1], section.model_fields)
        elsewhere = [k for k in _all_keys() if k.split(".")[-1] == path[-1]]
        do = f"did you mean{hint[2:].removeprefix('did you mean')}" if hint else "remove it"
        if elsewhere:
            do = f"write it as {elsewhere[0]}"
        return ConfigError(f"unknown key {key!r}{more}", where=where, do=do)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return ConfigError(f"the key {key!r} is missing{more}", where=where, do=f'add "{key}" to the config')
    got = f", got {first['input']!r:.100}" if first["type"] != "value_error" else ""
    return ConfigError(
        f"{key}: {message}{got}{more}", where=where, do="see docs/reference/config.md for every key and its meaning"
    )


def _section_at(path: list[str]) -> type[BaseModel]:
    section: type[BaseModel] = Config
    for part in path:
        if not part.isdigit():  # the place in a list
            section = _section_of(section.model_fields[part].annotation) or section
    return section


def _section_of(annotation: Any) -> type[BaseModel] | None:
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType, list) else (annotation,)
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _all_keys(section: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    keys = []
    for name, field in section.model_fields.items():
        inner = _section_of(field.annotation)
        keys += _all_keys(inner, f"{prefix}{name}.") if inner else [prefix + name]
    return keys
