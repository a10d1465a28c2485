"""A document is of the domain that the first true rule says, and each domain is a source of its own."""

import json
import random
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gnomon.base.progress import silent
from gnomon.config import DataConfig, DomainConfig, TokenizerConfig
from gnomon.data.classification.domains import Sorter, choices_of, fields_of
from gnomon.data.prepare import prepare
from gnomon.store.datasets import Dataset
from gnomon.store.lineage import trace

WORDS = "sea storm market ship bread goal team code house river train light stone glass".split()
RULES: list[dict[str, Any]] = [
    {"domain": "news", "field": "url", "matches": r"//news\."},
    {"domain": "forum", "source": "web", "path": "forum/*"},
    {"domain": "sport", "matches": r"\b(goal|team)\b.*\bteam\b"},
    {"domain": "tagged", "field": "meta.tags", "matches": "^b$"},
    {"domain": "code", "field": "meta.code"},
    {"domain": "verse", "source": "books"},
]


def expected(source: str, name: str, record: dict[str, Any]) -> str:
    """The source of a record, by every rule, one by one."""
    for rule in RULES:
        value: Any = record["text"]
        if "field" in rule:
            value = record
            for part in rule["field"].split("."):
                value = (value or {}).get(part)
        lines = [str(v) for v in (value if isinstance(value, list) else [value]) if v is not None]
        held = not ({"field", "matches"} & set(rule)) or any(re.search(rule.get("matches", ".+"), v) for v in lines)
        if rule.get("source", source) == source and fnmatchcase(name, rule.get("path", "*")) and held:
            return source if (source, rule["domain"]) == ("books", "verse") else f"{source}/{rule['domain']}"
    return source


def write(folder: Path) -> dict[str, str]:
    """Write two sources and return the source of each text."""
    rng, wanted = random.Random(5), {}
    for source, name in (("web", "a.jsonl"), ("web", "forum/b.jsonl"), ("web", "t.parquet"), ("books", "b.jsonl")):
        path = folder / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        records = []
        for i in range(60):
            record: dict[str, Any] = {"text": f"{source} {name} {i} " + " ".join(rng.choices(WORDS, k=12))}
            record["url"] = rng.choice(["https://news.example/1", "https://example.org"])
            record["meta"] = {"tags": rng.choice([["a", "b"], ["c"], None]), "code": rng.choice(["x", None, None])}
            records.append(record)
            wanted[f"{name}:{i + 1} {source}"] = expected(source, name, record)
        if name.endswith("parquet"):
            pq.write_table(pa.Table.from_pylist(records), path)
        else:
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return wanted


def made(folder: Path, workers: int = 1, **budgets: int | str) -> Dataset:
    sources = [{"name": "web", "paths": str(folder / "web"), "licence": "free", "tokens": budgets.get("web")}]
    sources.append({"name": "books", "paths": str(folder / "books"), "domain": "verse", "tokens": budgets.get("books")})
    said = {"sources": sources, "root": str(folder / f"{workers}-{budgets}"), "workers": workers, "domains": RULES}
    data = DataConfig.model_validate(said | {"name": "both", "dedup": {"near": None}, "validation_share": 0.1})
    return prepare(data, TokenizerConfig(), 512, silent)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], Dataset]:
    folder = tmp_path_factory.mktemp("domains")
    return folder, write(folder), made(folder)


def ids_of(dataset: Dataset, split: str) -> dict[str, list[dict[str, Any]]]:
    return {name: part.known(range(part.documents)) for name, part in dataset.sources(split).items()}


def test_every_document_is_in_the_shards_of_its_domain(world: tuple[Path, dict[str, str], Dataset]) -> None:
    _, wanted, dataset = world
    found = [
        (f"{d['origin']} {name.partition('/')[0]}", name)
        for split in ("train", "validation")
        for name, known in ids_of(dataset, split).items()
        for d in known
    ]
    assert sorted(found) == sorted(wanted.items())
    assert {"web/news", "web/forum", "web/sport", "web/tagged", "web/code", "books", "books/news"} <= set(
        wanted.values()
    )
    entries = {s["name"]: s for s in dataset.manifest["sources"]}
    assert entries["web/news"] == {"name": "web/news", "domain": "news", "licence": "free"}
    flow = dataset.manifest["flow"]
    assert {name: said["in"][0] for name, said in flow.items()} == {n: list(wanted.values()).count(n) for n in flow}


def test_the_digest_is_the_same_with_two_workers(world: tuple[Path, dict[str, str], Dataset]) -> None:
    folder, _, dataset = world
    assert made(folder, workers=2).digest == dataset.digest


def test_a_budget_keeps_the_documents_with_the_lowest_hashes(world: tuple[Path, dict[str, str], Dataset]) -> None:
    folder, _, whole = world
    cut = made(folder, web="1.5K", books=10**6)
    before, after = ids_of(whole, "train"), ids_of(cut, "train")
    every = sorted((d["id"], d["tokens"]) for name, known in before.items() for d in known if name[:3] == "web")
    kept, total = set(), 0
    for name, tokens in every:
        if (total := total + tokens) > 1500:
            break
        kept.add(name)
    assert 10 < len(kept) < len(every) - 10
    assert after == {
        name: [d for d in known if d["id"] in kept or name[:3] != "web"]
        for name, known in before.items()
        if name[:3] != "web" or any(d["id"] in kept for d in known)
    }
    assert ids_of(cut, "validation") == ids_of(whole, "validation")
    assert cut.manifest["removed"] == {"over the budget of its source": len(every) - len(kept)}
    gone = next(name for name, _ in every if name not in kept)
    assert [t.reason for t in trace(cut, gone)] == ["over the budget of its source"]
    flow = cut.manifest["flow"].values()
    assert sum(f["train"][0] for f in flow) == cut.split("train").documents


PATTERNS = st.sampled_from([None, "a", "^b", "(?i)A.B", r"\d"])
ASKED = st.tuples(st.sampled_from([None, "x", "y"]), PATTERNS).filter(lambda rule: rule != (None, None))


@given(
    st.lists(ASKED, max_size=4, unique=True),
    st.lists(st.tuples(st.text("abA1 \n", min_size=1, max_size=6), st.booleans()), max_size=5),
)
def test_what_is_asked_is_found_and_a_later_part_is_of_the_kind_of_the_first(
    asked: list[tuple[str | None, str | None]], texts: list[tuple[str, bool]]
) -> None:
    fields = fields_of(asked)
    said = [tuple(text[:i] for i in range(len(fields))) for text, _ in texts]
    goes_on = [later and i > 0 for i, (_, later) in enumerate(texts)]
    found = Sorter(asked).sort([text for text, _ in texts], said, goes_on).tolist()
    wanted: list[list[bool]] = []
    for (text, _), values, later in zip(texts, said, goes_on, strict=True):
        held = [
            bool(re.search(p or ".", v, 0 if f is None else re.MULTILINE))
            for f, p in asked
            for v in [text if f is None else dict(zip(fields, values, strict=True))[f]]
        ]
        wanted.append(wanted[-1] if later else held)
    assert found == wanted


def test_a_rule_that_is_true_of_a_whole_file_hides_those_behind_it() -> None:
    rules = [DomainConfig.model_validate(rule) for rule in RULES]
    assert choices_of(rules, "web", None, "forum/b.jsonl") == ((0, "web/news"), (None, "web/forum"))
    assert choices_of(rules, "books", "verse", "b.jsonl")[-1] == (None, "books")


@pytest.mark.parametrize("rule", [{"domain": "a/b", "path": "x"}, {"domain": "a"}, {"domain": "a", "matches": "("}])
def test_a_rule_that_cannot_be_is_refused(rule: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        DomainConfig.model_validate(rule)
