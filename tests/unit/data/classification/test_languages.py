"""Languages are those that the library finds, whoever is in the batch, and texts of others are left out."""

import random
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.classification.language import PIECE, identify
from gnomon.data.prepare import prepare
from gnomon.observe.preparation import preparation_html
from gnomon.store.datasets import Dataset
from gnomon.store.lineage import everything

langid = pytest.importorskip("py3langid.langid", reason="pip install 'gnomon[lang]'")

SENTENCES = {
    "en": "The old ship left the harbour early in the morning, and nobody on the shore knew where it was going.",
    "de": "Das alte Schiff verließ den Hafen früh am Morgen, und niemand am Ufer wusste, wohin es fahren würde.",
    "fr": "Le vieux navire quitta le port tôt le matin, et personne sur le rivage ne savait où il allait.",
    "ru": "Старый корабль покинул гавань рано утром, и никто на берегу не знал, куда он направляется.",
    "zh": "旧船一大早就离开了港口，岸上没有人知道它要去哪里，也没有人知道它什么时候会回来。",
    "el": "Το παλιό πλοίο έφυγε από το λιμάνι νωρίς το πρωί και κανείς στην ακτή δεν ήξερε πού πήγαινε.",
}
TEXTS = st.one_of(
    st.sampled_from(list(SENTENCES.values())), st.text(max_size=40), st.sampled_from(["", " ", "ШШ", "12"])
)


@pytest.fixture(scope="module")
def library() -> object:
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)


@settings(max_examples=25)
@given(texts=st.lists(TEXTS, min_size=1, max_size=6), times=st.integers(1, 12))
def test_many_at_once_are_found_as_the_library_finds_one(library: object, texts: list[str], times: int) -> None:
    texts = [text * times for text in texts]
    found = identify(texts)
    for text, (code, confidence) in zip(texts, found.tolist(), strict=True):
        middle = len(text) // 2
        seen = text if len(text) <= 2 * PIECE else f"{text[:PIECE]}\n{text[middle : middle + PIECE]}"
        wanted, sure = library.classify(seen)  # pyright: ignore[reportAttributeAccessIssue]
        assert confidence == pytest.approx(sure, abs=2e-3)
        assert code.decode() == wanted or confidence < 0.5  # where all are as likely, either
        assert identify([text])[0].tolist() == (code, confidence)


def made(folder: Path, **clean: object) -> Dataset:
    said = {"train": str(folder / "texts"), "root": str(folder / "datasets"), "dedup": {"near": None}, "clean": clean}
    return prepare(DataConfig.model_validate(said), TokenizerConfig(), 512, silent)


def write(folder: Path) -> dict[str, str]:
    """Write texts of all languages and return that of each by its origin."""
    rng, wanted = random.Random(3), {}
    (folder / "texts").mkdir()
    with (folder / "texts" / "all.jsonl").open("wb") as f:
        for i in range(120):
            code = rng.choice(list(SENTENCES))
            f.write(orjson.dumps({"text": f"{SENTENCES[code]} {i}"}) + b"\n")
            wanted[f"all.jsonl:{i + 1}"] = code
    return wanted


def test_texts_of_other_languages_are_left_out_and_another_choice_reads_nothing_anew(tmp_path: Path) -> None:
    wanted = write(tmp_path)
    some = made(tmp_path, languages=["en", "de"])
    told = {t.origin: t for t in everything(some)}
    assert {origin for origin, t in told.items() if t.status != "removed"} == {
        origin for origin, code in wanted.items() if code in ("en", "de")
    }
    assert all(
        t.reason == "language" and (t.detail or "")[:2] == wanted[o] for o, t in told.items() if t.status == "removed"
    )
    counts = some.manifest["languages"]["sources"]["texts"]
    assert counts == {
        code: [n := list(wanted.values()).count(code), n * (code in ("en", "de"))] for code in sorted(SENTENCES)
    }
    assert "left out" in preparation_html(some)
    blocks = {path: path.stat().st_mtime_ns for path in (tmp_path / "datasets" / "texts" / ".blocks").rglob("*.npy")}
    sure = made(tmp_path, languages=["und"], language_confidence=1.0)
    unknown = sure.manifest["languages"]["sources"]["texts"]["und"]
    assert unknown[0] == unknown[1] > 0
    assert {path: path.stat().st_mtime_ns for path in blocks} == blocks


def test_a_language_that_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ConfigError, match="english"):
        made(tmp_path, languages=["english"])
