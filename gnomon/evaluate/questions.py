"""How well a model's heads say what is known of a file's questions: types of answers, and what a router is asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.errors import DataError
from gnomon.base.progress import Progress
from gnomon.bundle import Bundle, refuse_without_heads
from gnomon.data.document import Document
from gnomon.data.forms.form import Form, document_of
from gnomon.data.questions.question import each_record
from gnomon.evaluate.readings import readings_of
from gnomon.evaluate.selective.classes import confusion
from gnomon.evaluate.selective.probability import brier, calibration_error
from gnomon.evaluate.selective.ranking import auroc
from gnomon.model.reading import Reading
from gnomon.store.labels import COARSE, FINE, ROUTER
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, OPENING, ROUTER_SIGNALS

SURE = 0.5
"""From this probability on a label of a router signal counts as yes."""


@dataclass(frozen=True)
class Told:
    """What is known of one question (a row of `store/labels.py`, float32), and what the heads say at its marks."""

    known: np.ndarray
    readings: tuple[Reading, ...]


def score_questions(bundle: Bundle, path: Path, progress: Progress) -> dict[str, Any]:
    """Return how many `questions` were read and how many were longer than the context and left out (`too_long`), with
    `types` and `signals`.

    Of `types`, over questions whose fine type is known: `fine_accuracy`, `coarse_accuracy` (of the six classes, by the
    summed fine ones), `macro_f1` and `ece` of the fine types, and the share of the commonest one; `type_accuracy` of
    the 18 answer types where that is known. Of each of `signals` with labels, also as it is said where the answer
    begins (`opening_`): `auroc`, `brier`, `ece`, the share of yes. Raises DataError for a file that cannot be read or
    holds nothing that is known, and for a model without heads.
    """
    refuse_without_heads(bundle)
    form = Form("questions")
    documents = list(each_record(path, lambda record, name: document_of(record, form, name)))
    if not any(document.labels for document in documents):
        do = 'give some of "type", "fine_type", "answerable", "well_posed" or "labels"'
        raise DataError("nothing is known of the questions", where=str(path), do=do)
    told = list(_told(bundle, documents, progress))
    found = {"questions": len(told), "too_long": len(documents) - len(told)}
    return found | {"types": _types(told), "signals": _signals(told)}


def _told(bundle: Bundle, documents: Sequence[Document], progress: Progress) -> Iterator[Told]:
    """Yield what is known and said of each question that fits into the context."""
    every = readings_of(bundle, [document.parts for document in documents], progress)
    for document, readings in zip(documents, every, strict=True):
        if readings is not None:
            yield Told(np.array(document.labels, np.float32), readings)


def _types(told: Sequence[Told]) -> dict[str, Any]:
    of_each = [(one.known, reading) for one in told for reading in one.readings if reading.kind == 0 and len(one.known)]
    fine = [
        (FINE_TYPES[known[FINE].argmax()], said.fine) for known, said in of_each if said.fine and known[FINE].max() > 0
    ]
    coarse = [
        (ANSWER_TYPES[known[COARSE].argmax()], _likeliest(said.coarse))
        for known, said in of_each
        if said.coarse and known[COARSE].max() > 0
    ]
    found: dict[str, Any] = {"questions": len(fine), "of_known_type": len(coarse)}
    if coarse:
        found["type_accuracy"] = float(np.mean([true == named for true, named in coarse]))
    if fine:
        true, named = [gold for gold, _ in fine], [_likeliest(said) for _, said in fine]
        right = np.array([a == b for a, b in zip(true, named, strict=True)])
        classes = [(gold.partition(":")[0], _likeliest(by_class(said))) for gold, said in fine]
        found |= {
            "fine_accuracy": float(right.mean()),
            "coarse_accuracy": float(np.mean([a == b for a, b in classes])),
            "macro_f1": confusion(true, named).macro_f1,
            "ece": calibration_error(np.array([max(said.values()) for _, said in fine]), right),
            "commonest": max(true.count(one) for one in set(true)) / len(true),
        }
    return found


def by_class(fine: Mapping[str, float]) -> dict[str, float]:
    """Return the probability of each of the six classes: the sum of those of its fine types."""
    found: dict[str, float] = {}
    for name, p in fine.items():
        class_ = name.partition(":")[0]
        found[class_] = found.get(class_, 0.0) + p
    return found


def _likeliest(said: Mapping[str, float]) -> str:
    return max(said, key=said.__getitem__)


def _signals(told: Sequence[Told]) -> dict[str, dict[str, Any]]:
    """Return the scores of each signal of which something is known at a mark where it is read."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for one in told:
        row = one.known[ROUTER].tolist() if len(one.known) else [np.nan] * len(ROUTER_SIGNALS)
        known: dict[str, float] = dict(zip(ROUTER_SIGNALS, row, strict=True))
        for reading in one.readings:
            for name, p in reading.router.items():
                if not np.isnan(known[name]):
                    pairs.setdefault(name_at(name, reading.kind), []).append((p, known[name]))
    return {name: scores_of(np.array(some)) for name, some in sorted(pairs.items())}


def name_at(signal: str, kind: int) -> str:
    """Return what a signal is called in scores: what is said of it where an answer begins has a name of its own."""
    return f"opening_{signal}" if kind == OPENING else signal


def scores_of(pairs: np.ndarray) -> dict[str, Any]:
    """Return how well probabilities, the first column, tell what the second says: how often from SURE on, AUROC (None
    without both kinds), Brier score and calibration error.
    """
    said, label = pairs.T
    yes = label >= SURE
    return {
        "questions": len(said),
        "yes": float(yes.mean()),
        "auroc": auroc(said, yes),
        "brier": brier(said, label).score,
        "ece": calibration_error(said, label),
    }
