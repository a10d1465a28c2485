"""A conversation with tools as it grows: calls are checked and executed when they are made."""

import json
from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller
from gnomon.data.synthesis.schema import check_call, tools_by_name
from gnomon.data.synthesis.tools import KINDS, execute, spec, tool_names
from gnomon.data.synthesis.words import TOWNS, full_name

_TABLES: tuple[tuple[str, str, str, str, str, tuple[str, ...]], ...] = (
    # article and noun, place, tool's name, key, fields
    ("a", "product", "stock list", "find_product", "product",
     ("price_eur", "in_stock", "weight_kg", "delivery_days", "made_in")),
    ("an", "employee", "staff directory", "get_employee", "name",
     ("office", "extension", "start_date", "manager", "hours_per_week")),
    ("a", "trail", "trail guide", "trail_info", "trail", ("length_km", "climb_m", "starts_in", "opened_on", "huts")),
    ("a", "museum", "museum register", "museum_data", "museum",
     ("ticket_eur", "founded_on", "town", "rooms", "director")),
)  # fmt: skip
_PRODUCTS = (
    "desk lamp Ferro", "kettle Maru", "rucksack Tindra", "office chair Nilo", "tent Kaspia", "blender Orrin",
    "bicycle light Vela", "bookshelf Hask", "coffee mill Zuri", "radio Pell", "toaster Imbra", "heater Solja",
)  # fmt: skip
_TRAILS = (
    "Heron Path", "Windy Ridge", "Old Salt Road", "Seven Bridges Way", "Windmill Loop", "Cloudberry Trail",
    "Quarry Round", "Lighthouse Walk", "Juniper Traverse", "Ferry Route",
)  # fmt: skip
_MUSEUMS = (
    "Museum of Clocks", "Bell Foundry Museum", "House of Maps", "Museum of Paper", "Tram Museum", "Glass Museum",
    "Museum of Salt", "Lace Museum", "Lighthouse Museum", "Museum of Seeds",
)  # fmt: skip


class Desk:
    """Messages, the tools offered so far, and the tables behind the lookup tools."""

    def __init__(self, draw: Draw, tell: Teller) -> None:
        self.draw, self.tell = draw, tell
        self.messages: list[dict[str, Any]] = []
        self.names: dict[str, str] = {}  # of the tools, by kind
        self.tables: dict[str, dict[str, Any]] = {}
        self._calls = 0

    def offer(self, kind: str) -> str:
        """Return the name under which this conversation offers a tool of a kind."""
        if kind not in self.names:
            names = (self.tables[kind]["tool"],) if kind in self.tables else tool_names(kind)
            self.names[kind] = self.draw.pick(names)
        return self.names[kind]

    def table(self, noun: str | None = None) -> tuple[str, dict[str, Any]]:
        """Return the kind and the content of a new lookup table, its tool offered."""
        made = make_table(self.draw, noun)
        kind = f"table:{made['noun']}"
        self.tables[kind] = made
        self.offer(kind)
        return kind, made

    def user(self, text: str) -> None:
        """Append what the user says."""
        self.messages.append({"role": "user", "content": text})

    def call(self, *wanted: tuple[str, dict[str, Any]]) -> list[Any]:
        """Make one or more calls at once and return their results; an error comes back as `{"error": …}`."""
        calls = []
        for kind, arguments in wanted:
            name = self.offer(kind)
            text = json.dumps(arguments, ensure_ascii=False)
            calls.append({"id": f"call_{self._calls}", "type": "function",
                          "function": {"name": name, "arguments": text}})  # fmt: skip
            self._calls += 1
        self.messages.append({"role": "assistant", "content": "", "tool_calls": calls})
        known = tools_by_name(tuple(self.specs()))
        results = []
        for call, (kind, _) in zip(calls, wanted, strict=True):
            answer = execute(kind, check_call(call, known), self.tables)
            self.messages.append(
                {"role": "tool", "tool_call_id": call["id"], "name": call["function"]["name"], "content": answer}
            )
            said = json.loads(answer)
            results.append(said.get("result", said))
        return results

    def assistant(self, text: str) -> None:
        """Append what the assistant says."""
        self.messages.append({"role": "assistant", "content": text})

    def specs(self) -> list[dict[str, Any]]:
        """Return the tools offered so far as OpenAI describes them."""
        return [spec(kind, name, self.tables.get(kind)) for kind, name in self.names.items()]

    def add_others(self, without: tuple[str, ...] = ()) -> None:
        """Offer a few tools more, so that there is something to choose from; in an order that tells nothing."""
        others = [kind for kind in KINDS if kind not in self.names and kind not in without]
        for kind in self.draw.some(others, min(len(others), self.draw.between(1, 3))):
            self.offer(kind)
        if "table" not in without and not self.tables and self.draw.chance(30):
            self.table()
        self.names = dict(self.draw.shuffled(list(self.names.items())))


def make_table(draw: Draw, noun: str | None = None) -> dict[str, Any]:
    """Return a small table of made-up things with what its tool needs to know."""
    article, noun, place, tool, key, columns = draw.pick([t for t in _TABLES if noun in (None, t[1])])
    if noun == "employee":
        keys = [full_name(draw) for _ in range(4)]
    else:
        keys = draw.some({"product": _PRODUCTS, "trail": _TRAILS, "museum": _MUSEUMS}[noun], 4)
    rows = {one: {column: _cell(draw, column) for column in columns} for one in keys}
    return {"article": article, "noun": noun, "place": place, "tool": tool, "key": key, "rows": rows}


def _cell(draw: Draw, column: str) -> Any:
    if column.endswith(("_on", "_date")):
        return f"{draw.between(1978, 2019)}-{draw.between(1, 12):02}-{draw.between(1, 28):02}"
    whole = {"in_stock": (3, 240), "delivery_days": (2, 21), "climb_m": (80, 1900), "huts": (1, 6), "rooms": (4, 40),
             "hours_per_week": (12, 40), "extension": (2000, 7999)}  # fmt: skip
    if column in whole:
        return draw.between(*whole[column])
    if column in ("manager", "director"):
        return full_name(draw)
    if column in ("made_in", "starts_in", "town"):
        return draw.pick(TOWNS)
    if column == "office":
        return f"{draw.pick('ABCDE')}{draw.between(101, 499)}"
    low, high, per = {"price_eur": (900, 24000, 100), "weight_kg": (3, 60, 10), "length_km": (25, 480, 10),
                      "ticket_eur": (10, 60, 4)}[column]  # fmt: skip
    return draw.between(low, high) / per
