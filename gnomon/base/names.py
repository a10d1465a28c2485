"""Names that can be a folder's or a file's, and stand in a line of text: of datasets, sources and domains."""

PLAIN = "a file has, without / and no . in front, of at most 100 characters"
LONGEST = 100
SHOWN = 120
"""Characters of a refused name."""


def is_plain(name: object) -> bool:
    """Return whether this is such a name."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST:
        return False
    return name.isprintable() and "/" not in name and name[0] != "."


def is_source(name: str) -> bool:
    """Return whether this can be a source's name: a plain one, or two as in `web/news`, the domain's behind."""
    whole, slash, domain = name.partition("/")
    return is_plain(whole) and (not slash or is_plain(domain))


def no_domain(name: object) -> str | None:
    """Return that this cannot name a domain, for an error; None where it can."""
    return None if is_plain(name) else f"{repr(name)[:SHOWN]} cannot name a domain"


def stem_of(source: str) -> str:
    """Return a source's name as files bear it, another for each: `web%2Fnews` for `web/news`."""
    return source.replace("%", "%25").replace("/", "%2F")
