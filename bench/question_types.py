"""Answer types of questions by rules, by a linear SVM and by the teacher, on folds that keep near-duplicates together.

    python bench/question_types.py trec.jsonl [--wordnet FOLDER] [--vectors FILE] [--encoder FOLDER] [--json]

Accuracy and macro-F1 of the six classes and of the fine types, expected calibration error in 15 bins of equal size, and
microseconds of one core a question. An undecided rule counts as wrong; of those decided it is told how many are
right. The SVM, over words, pairs of words and 2 to 5 characters, needs scikit-learn (gnomon[bench]); it gives no
probabilities.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnomon.data.questions.folds import FOLDS, folds_of
from gnomon.data.questions.heuristics import form_of, type_of
from gnomon.data.questions.knowledge import Knowledge, load_knowledge
from gnomon.data.questions.question import Question, read_questions
from gnomon.data.questions.teacher import teach
from gnomon.taxonomy import CLASSES, FINE_TYPES

BINS = 15
Said = tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray | None, float]
"""Fine types (-1: none) and the probability of each, classes alike, seconds."""


def main() -> None:
    """Print a table of the three."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--vectors", type=Path, help="of words, for the teacher")
    parser.add_argument("--wordnet", type=Path, help="folder of database files, for the teacher")
    parser.add_argument("--encoder", help="of sentences, for the teacher: a folder, or name@commit")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    questions = [question for question in read_questions(args.file) if question.fine_type]
    folds = folds_of([q.question for q in questions], [q.fine_type for q in questions])
    true = np.array([FINE_TYPES.index(str(q.fine_type)) for q in questions])
    kinds: dict[str, Callable[[list[Question], np.ndarray, np.ndarray], Said]] = {
        "rules": rules,
        "SVM": svm,
        "teacher": partial(taught, known=load_knowledge(args.wordnet, args.vectors, args.encoder)),
    }
    found: dict[str, Any] = {}
    for name, kind in kinds.items():
        try:
            found[name] = scores(kind(questions, true, folds), true)
        except ImportError:
            print(f"{name}: scikit-learn is not installed")
    decided = [(type_of(q.question).fine_type, q.fine_type) for q in questions]
    right = [said == gold for said, gold in decided if said]
    found["rules"] |= {"decided": len(right) / len(decided), "right_of_decided": float(np.mean(right))}
    found["form_us"] = 1e6 * _seconds(form_of, questions)
    if args.json:
        print(json.dumps({"questions": len(questions), "folds": FOLDS, **found}))
        return
    print(f"{len(questions):,} questions, {FOLDS} folds")
    print("            class: right  macro-F1    ECE   fine: right  macro-F1    ECE    us a question")
    for name in kinds:
        if name in found:
            s = found[name]
            shown = [f"{s[k]:.4f}" if s[k] is not None else "     -" for k in ("class_ece", "fine_ece")]
            print(
                f"{name:<12}      {s['class']:.4f}    {s['class_f1']:.4f} {shown[0]}        {s['fine']:.4f}    "
                f"{s['fine_f1']:.4f} {shown[1]}   {s['us']:>10.1f}"
            )
    print(f"rules decide {found['rules']['decided']:.1%}; of these {found['rules']['right_of_decided']:.1%} are right")
    print(f"well posed or not, by form: {found['form_us']:.1f} us a question")


def rules(questions: list[Question], true: np.ndarray, folds: np.ndarray) -> Said:
    """Return what the rules say."""
    seconds = _seconds(type_of, questions)
    said = [type_of(question.question).fine_type for question in questions]
    fine = np.array([FINE_TYPES.index(one) if one else -1 for one in said])
    return fine, None, _classes(fine), None, seconds


def svm(questions: list[Question], true: np.ndarray, folds: np.ndarray) -> Said:
    """Return what scikit-learn's linear SVM says. Raises ImportError where it is missing."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # pyright: ignore[reportMissingImports]
    from sklearn.pipeline import make_pipeline, make_union  # pyright: ignore[reportMissingImports]
    from sklearn.svm import LinearSVC  # pyright: ignore[reportMissingImports]

    texts, fine, taken = [question.question for question in questions], np.full(len(questions), -1), 0.0
    for fold in range(FOLDS):
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", sublinear_tf=True)
        runs = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        model = make_pipeline(make_union(words, runs), LinearSVC(random_state=0))
        model.fit([texts[i] for i in np.flatnonzero(folds != fold)], true[folds != fold])
        started = time.process_time()
        fine[folds == fold] = model.predict([texts[i] for i in np.flatnonzero(folds == fold)])
        taken += time.process_time() - started
    return fine, None, _classes(fine), None, taken / len(texts)


def taught(questions: list[Question], true: np.ndarray, folds: np.ndarray, known: Knowledge) -> Said:
    """Return what teachers say of the questions of a fold that they have not seen."""
    fine = np.zeros((len(questions), len(FINE_TYPES)), np.float32)
    six = np.zeros((len(questions), len(CLASSES)), np.float32)
    taken = 0.0
    for fold in range(FOLDS):
        teacher = teach([questions[i] for i in np.flatnonzero(folds != fold)], known)
        teacher.label(["Who wrote Emma?"])
        started = time.process_time()
        labels = teacher.label([questions[i].question for i in np.flatnonzero(folds == fold)])
        taken += time.process_time() - started
        fine[folds == fold], six[folds == fold] = labels.fine, labels.six
    return fine.argmax(1), fine.max(1), six.argmax(1), six.max(1), taken / len(questions)


def scores(said: Said, true: np.ndarray) -> dict[str, float | None]:
    """Return how good it is."""
    fine, fine_sure, six, six_sure, seconds = said
    true_six = _classes(true)
    return {
        "class": float((six == true_six).mean()),
        "class_f1": _macro_f1(six, true_six),
        "class_ece": None if six_sure is None else ece(six_sure, six == true_six),
        "fine": float((fine == true).mean()),
        "fine_f1": _macro_f1(fine, true),
        "fine_ece": None if fine_sure is None else ece(fine_sure, fine == true),
        "us": 1e6 * seconds,
    }


def ece(sure: np.ndarray, right: np.ndarray) -> float:
    """Return the mean distance between how sure and how right, over bins of equal size."""
    bins = np.array_split(np.argsort(sure, kind="stable"), BINS)
    return float(sum(abs(sure[b].mean() - right[b].mean()) * len(b) for b in bins) / len(sure))


def _classes(fine: np.ndarray) -> np.ndarray:
    classes = [CLASSES.index(name.split(":")[0]) for name in FINE_TYPES]
    return np.array([*classes, -1])[fine]


def _macro_f1(said: np.ndarray, true: np.ndarray) -> float:
    every = np.unique(true)
    return float(
        np.mean([2 * ((said == t) & (true == t)).sum() / ((said == t).sum() + (true == t).sum()) for t in every])
    )


def _seconds(function: Callable[[str], Any], questions: list[Question]) -> float:
    """Return the seconds a question that a function takes, the best of three rounds."""
    rounds = []
    for _ in range(3):
        started = time.process_time()
        for question in questions:
            function(question.question)
        rounds.append((time.process_time() - started) / len(questions))
    return min(rounds)


if __name__ == "__main__":
    main()
