"""What is said of records that could not be used."""

from collections.abc import Sequence

from gnomon.base.errors import DataError
from gnomon.data.document import Removed


def said_of_unread(removed: Sequence[Removed]) -> str:
    """Return a sentence that says how many records could not be read, which was the first, and why."""
    first = removed[0]
    why = f"{first.reason} ({first.detail})" if first.detail else first.reason
    return f"records that could not be read: {len(removed):,}, the first {first.origin}: {why}"


def hint_for_unread(removed: Sequence[Removed], option: str | None = "--text-field") -> str:
    """Return what to do about them; `option` names the key of the text, None where nothing does."""
    if option and removed and all(r.detail.startswith("the record has no") for r in removed):
        return f"name the key that holds the text with {option}"
    return "check that the files hold text"


def refuse_unread(removed: Sequence[Removed], where: str, option: str | None = "--text-field") -> DataError:
    """Return the error of files in which nothing at all could be read."""
    what = f"nothing could be read; {said_of_unread(removed)}" if removed else "there is no text"
    return DataError(what, where=where, do=hint_for_unread(removed, option))
