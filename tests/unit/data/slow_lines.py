"""Repeated lines as plain Python with a dict finds and cuts them: what the vectorised code must equal."""

import unicodedata


def folded(line: str) -> str:
    """What two lines have in common that count as the same."""
    return "".join(unicodedata.normalize("NFC", line).casefold().split())


def cut_lines(texts: list[str], characters: int, more_than: int, records: list[int] | None = None) -> list[str]:
    """What is left of each text; `records` says which record each is of."""
    records = records or list(range(len(texts)))
    of: dict[str, set[int]] = {}
    for record, text in zip(records, texts, strict=True):
        for line in text.split("\n"):
            of.setdefault(folded(line), set()).add(record)
    return [_left(text, record, characters, more_than, of) for record, text in zip(records, texts, strict=True)]


def _left(text: str, record: int, characters: int, more_than: int, of: dict[str, set[int]]) -> str:
    kept, blank = list[str](), list[str]()  # `blank`: lines since the last full one that stays
    lost = cut = False  # whether the last full line went; whether any did
    parts = [line + "\n" for line in text.split("\n")]
    parts[-1] = parts[-1][:-1]
    for line in parts:
        key = folded(line)
        if not key:
            blank += [] if lost else [line]
        elif len(key) >= characters and len(of[key]) > more_than and min(of[key]) != record:
            lost = cut = True
        else:
            kept, blank, lost = [*kept, *blank, line], [], False
    return "".join(kept if lost else kept + blank) if cut else text
