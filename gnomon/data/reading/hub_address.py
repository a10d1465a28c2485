r"""What is asked of the Hugging Face Hub, written as an address.

hf:roneneldan/TinyStories                                     the split `train`, the column `text`
hf:openai/gsm8k?config=main&split=test&field=question
hf:openai/gsm8k?config=main&revision=e53f048&template={question}\n{answer}
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

from gnomon.base.errors import ConfigError
from gnomon.base.files import canonical_json, sha256_bytes

PREFIX = "hf:"
EXAMPLE = "hf:openai/gsm8k?config=main&split=train&field=question"
KEYS = ("config", "split", "revision", "field", "template")
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class HubAddress:
    """A data set on the Hub, and which of its rows and columns. None: what the data set has only one of; for `revision`
    its main branch as it is when it is fetched.
    """

    dataset: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    field: str | None = None
    template: str | None = None

    @classmethod
    def parse(cls, text: str) -> "HubAddress":
        r"""Return what an address says. `%26` stands for `&` in a value, `\n` in a template for a line end.

        Raises ConfigError.
        """
        path, _, query = text.partition("?")
        dataset = path.removeprefix(PREFIX)
        if not path.startswith(PREFIX) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", dataset):
            raise ConfigError(f"{text!r} is no address of a data set", where=text, do=f"write it as {EXAMPLE}")
        values: dict[str, str] = {}
        for pair in filter(None, query.split("&")):
            key, _, value = pair.partition("=")
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
                do = f"use {near[0]}" if near else f"use {' '.join(KEYS)}; write & in a value as %26"
                raise ConfigError(f"unknown key {key!r} in the address of a data set", where=text, do=do)
            if key in values or not value:
                what = "comes twice" if key in values else "has no value"
                raise ConfigError(f"{key} {what} in the address of a data set", where=text, do=f"as in {EXAMPLE}")
            values[key] = unquote(value)
        if "template" in values:
            values["template"] = values["template"].replace("\\n", "\n").replace("\\t", "\t")
            if "field" in values or not _FIELD.search(values["template"]):
                what = "field and template exclude each other" if "field" in values else "the template names no column"
                do = r"give one of them, as in template={question}\n{answer}"
                raise ConfigError(what, where=text, do=do)
        return cls(dataset, **values)

    def __str__(self) -> str:
        given = {key: value for key in KEYS if (value := getattr(self, key)) is not None}
        return f"{PREFIX}{self.dataset}?" + "&".join(f"{key}={quote(given[key], safe='/{}')}" for key in given)

    @property
    def columns(self) -> list[str]:
        """The columns that the text is made of; empty where that is left to the data set."""
        if self.template:
            return list(dict.fromkeys(_FIELD.findall(self.template)))
        return [self.field] if self.field else []

    @cached_property
    def digest(self) -> str:
        """16 hex digits, equal for equal addresses."""
        return sha256_bytes(canonical_json(asdict(self)))[:16]

    def fill(self, row: Mapping[str, Any]) -> str:
        """Return the template with a row's values in the places of their names."""
        return _FIELD.sub(lambda name: str(row[name[1]]), self.template or "")
