"""Cleaning on one core: repair, personal data and quality scores, each and together, beside datatrove's filters.

    python bench/cleaning.py --text pages.jsonl.zst --limit 2000

Prints megabytes (of UTF-8) and documents a second of processor time, the best of `--rounds`, taken in turn. datatrove's
filters (pip install datatrove spacy) stop at the first rule that a document breaks; a filter that is not installed, or
wants a download, is named and left out.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gnomon.data.cleaning import clean, pii, quality, rules
from gnomon.data.reading.read import find_sources, read_documents

Pass = Callable[[list[str]], object]


def together(texts: list[str]) -> object:
    """What prepare does with a block of documents."""
    repaired, _ = clean.repair_all(texts)
    replaced, _ = pii.replace_all(repaired)
    return rules.judge(quality.measure(replaced), rules.choose(["web"]))


OURS: dict[str, Pass] = {
    "repair": clean.repair_all,
    "pii": pii.replace_all,
    "scores": quality.measure,
    "together": together,
}


def peers() -> dict[str, Pass]:
    """datatrove's filters over all documents, each tried once on a short one."""
    try:
        from datatrove.data import Document  # pyright: ignore[reportMissingImports]
        from datatrove.pipeline.filters import (  # pyright: ignore[reportMissingImports]
            C4QualityFilter,
            FineWebQualityFilter,
            GopherQualityFilter,
            GopherRepetitionFilter,
        )
        from datatrove.pipeline.formatters.pii import PIIFormatter  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        print(f"left out: datatrove ({error})", file=sys.stderr)
        return {}
    filters = [GopherQualityFilter(), GopherRepetitionFilter(), C4QualityFilter(), FineWebQualityFilter()]

    def judged_by(chosen: list) -> Pass:
        return lambda texts: [all(f.filter(d) is True for f in chosen) for d in (Document(t, "") for t in texts)]

    wanted: dict[str, Pass] = {f"datatrove {type(f).__name__}": judged_by([f]) for f in filters}
    wanted["datatrove all four"] = judged_by(filters)
    formatter = PIIFormatter()
    wanted["datatrove PIIFormatter"] = lambda texts: [formatter.format(t) for t in texts]
    usable = {}
    for name, run in wanted.items():
        try:
            run(["A short text, of two sentences. It is there to be tried."])
        except Exception as error:
            print(f"left out: {name} ({type(error).__name__}: {str(error)[:80]!r})", file=sys.stderr)
        else:
            usable[name] = run
    return usable


def read(path: Path, limit: int) -> list[str]:
    """Return the first documents of a file, as prepare would."""
    texts = []
    (source,) = find_sources([str(path)])
    for document in read_documents(source, "text", None, lambda _: None, lambda _: None):
        texts.append(document.text)
        if len(texts) == limit:
            break
    return texts


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help=".txt, .md or .jsonl, also .gz or .zst")
    parser.add_argument("--limit", type=int, default=1000, help="documents")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    texts = read(arguments.text, arguments.limit)
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    runs = OURS | peers()
    seconds = dict.fromkeys(runs, float("inf"))
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            start = time.process_time()
            run(texts)
            seconds[name] = min(seconds[name], time.process_time() - start)
    found = {
        name: {"megabytes_per_second": size / s / 1e6, "documents_per_second": len(texts) / s}
        for name, s in seconds.items()
    }
    if arguments.json:
        print(json.dumps({"bytes": size, "documents": len(texts), "runs": found}))
        return
    print(f"{len(texts):,} documents, {size / 1e6:,.1f} MB")
    for name, one in found.items():
        print(f"{name:34}{one['megabytes_per_second']:9,.2f} MB/s{one['documents_per_second']:11,.0f} documents/s")
    if "datatrove all four" in found:
        print(f"all scores beside its four filters: {seconds['datatrove all four'] / seconds['scores']:.0f} times")


if __name__ == "__main__":
    main()
