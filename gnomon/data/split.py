"""Which documents are held out from training."""

from gnomon.base.seeds import derive

SALT = "validation"


def held_out(sizes: dict[str, int], share: float) -> list[str]:
    """Return the ids of two or more documents that are held out: at least one, never all.

    `sizes` are bytes by id. Held out are all whose hash falls below `share`, so that a document of a large text stays
    on its side when others come and go; and, where these few are short, more in the order of their hashes, until they
    have `share` of all bytes.
    """
    by_rank = sorted(sizes, key=lambda i: derive(0, SALT, i))
    wanted, held = share * sum(sizes.values()), 0
    chosen: list[str] = []
    for i in by_rank[:-1]:
        if chosen and held >= wanted and derive(0, SALT, i) >= share * 2**63:
            break
        chosen.append(i)
        held += sizes[i]
    return chosen
