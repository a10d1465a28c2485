"""Answer types by the heads of a model that has not seen the questions, beside rules, a linear SVM and the teacher.

    python bench/question_heads.py RUN trec.jsonl [--unlabelled asked.jsonl] [--seeds 3] [--json]

The run was trained without these questions. In each of five folds, in which near-duplicates stay together, heads learn
from the gold types of the other four, and with --unlabelled also from those questions, labelled by a teacher that was
taught on the same four; "trunk too": the run's weights learn with them, as by `gnomon heads fit --trunk`, also from
altered questions of the four, none near one of the fold. Nothing has seen the fold. Questions near any of the file's
own are left out of the others. Medians over seeds of the heads; columns are those of question_types.py.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from question_types import Said, rules, scores, svm

from gnomon.base.progress import silent
from gnomon.bundle import Bundle, load_bundle, mark_kinds
from gnomon.data.forms.questions import question_parts
from gnomon.data.parts import encode_parts
from gnomon.data.questions.folds import FOLDS, folds_of, near_any
from gnomon.data.questions.knowledge import Knowledge, load_knowledge
from gnomon.data.questions.question import Question, read_questions
from gnomon.data.questions.teacher import Labels, teach
from gnomon.model.heads import Heads
from gnomon.refit.heads import Asked
from gnomon.refit.trunk import tuned
from gnomon.store.labels import COARSE, FINE, WIDTH
from gnomon.taxonomy import ANSWER_TYPES, CLASSES, COARSE_OF, FINE_TYPES
from gnomon.train.refit import Learned, Lessons, Places, fit_heads, read_places, with_heads
from gnomon.train.tune import Course

HELD_OUT = 10
"""Of so many groups of a fold's questions, one is kept to judge by."""
ALTERED = 25
"""Altered questions for each with a gold type, as in `gnomon heads fit`."""
_SIX = [[i for i, fine in enumerate(FINE_TYPES) if fine.startswith(name)] for name in CLASSES]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--unlabelled", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--epochs", type=int, default=40, help="of heads that learn from gold types alone, at most; 0: none"
    )
    parser.add_argument("--soft-epochs", type=int, default=12, help="of those that learn from the teacher too; 0: none")
    parser.add_argument("--trunk-epochs", type=int, default=3, help="of those whose model learns too; 0: none")
    parser.add_argument("--language", type=float, default=0.0, help="what text counts beside their questions")
    parser.add_argument("--folds", type=int, default=FOLDS, help="of five, the first so many alone")
    parser.add_argument("--vectors", type=Path, help="of words, for the teacher")
    parser.add_argument("--wordnet", type=Path, help="folder of database files, for the teacher")
    parser.add_argument("--encoder", help="of sentences, for the teacher: a folder, or name@commit")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bundle = load_bundle(args.run)
    questions = [question for question in read_questions(args.file) if question.fine_type]
    texts = [q.question for q in questions]
    folds = folds_of(texts, [q.fine_type for q in questions])
    true = np.array([FINE_TYPES.index(str(q.fine_type)) for q in questions])
    shown = folds < args.folds
    others = [] if args.unlabelled is None else list(read_questions(args.unlabelled))
    close = near_any([q.question for q in others], texts)
    others = [question for question, too in zip(others, close, strict=True) if not too]
    known = load_knowledge(args.wordnet, args.vectors, args.encoder)
    found: dict[str, list[Said]] = {"rules": [rules(questions, true, folds)]}
    try:
        found["SVM"] = [svm(questions, true, folds)]
    except ImportError:
        print("SVM: scikit-learn is not installed")
    found |= heads(bundle, questions, others, true, folds, known, args)
    table = {name: _median([scores(_of(one, shown), true[shown]) for one in every]) for name, every in found.items()}
    if args.json:
        print(json.dumps({"questions": len(questions), "unlabelled": len(others), "seeds": args.seeds, **table}))
        return
    print(f"{len(questions):,} questions, {len(others):,} unlabelled, {args.seeds} seeds of heads")
    print("                  class: right  macro-F1    ECE   fine: right  macro-F1    ECE")
    for name, s in table.items():
        shown = [f"{s[k]:.4f}" if s[k] is not None else "     -" for k in ("class_ece", "fine_ece")]
        print(
            f"{name:<18}      {s['class']:.4f}    {s['class_f1']:.4f} {shown[0]}        {s['fine']:.4f}    "
            f"{s['fine_f1']:.4f} {shown[1]}"
        )


def heads(
    bundle: Bundle,
    questions: Sequence[Question],
    others: Sequence[Question],
    true: np.ndarray,
    folds: np.ndarray,
    known: Knowledge,
    args: argparse.Namespace,
) -> dict[str, list[Said]]:
    """Return what the teacher and the heads of each kind and seed say of questions whose fold they have not seen."""
    every, texts = [*questions, *others], [q.question for q in questions]
    model = with_heads(bundle.model, ["types"], 0)
    marks = mark_kinds(bundle.tokenizer)
    count = len(questions)
    states = torch.zeros(len(every), 0)
    if args.epochs or args.soft_epochs:
        read = read_places(model, _ids(bundle, every), _gold(every), marks, silent)
        states = read.states[torch.from_numpy(np.argsort(read.text))]
    said: dict[str, list[Said]] = {}
    for fold in range(args.folds):
        rest, mine = np.flatnonzero(folds != fold).tolist(), np.flatnonzero(folds == fold).tolist()
        teacher = teach([questions[i] for i in rest], known)
        _take(said, "teacher", 0, mine, teacher.label([texts[i] for i in mine]), count)
        gold = _gold([questions[i] for i in rest])
        inner = folds_of([texts[i] for i in rest], [questions[i].fine_type for i in rest], HELD_OUT) == 0
        soft = teacher.label([q.question for q in others])
        table = np.full((len(others), WIDTH), np.nan, np.float32)
        table[:, COARSE], table[:, FINE] = soft.coarse, soft.fine
        for name, places, held_out, epochs in (
            ("head", _places(states[rest], gold), inner, args.epochs),
            (
                "head, distilled",
                _places(torch.cat([states[rest], states[count:]]), np.concatenate([gold, table])),
                np.append(inner, np.zeros(len(others), bool)),
                args.soft_epochs,
            ),
        ):
            for seed in range(args.seeds if epochs and (name == "head" or others) else 0):
                fresh = with_heads(bundle.model, ["types"], seed).heads
                assert fresh is not None
                fresh.mix["types"].data.fill_(1.0)
                started = time.process_time()
                learned = fit_heads(fresh, places, held_out, [], Lessons(epochs=epochs, seed=seed), silent)
                fine = _take_heads(said, name, seed, mine, (fresh, states[mine]), count)
                _tell(fold, name, seed, learned, started, fine == true[mine])
        for seed in range(args.seeds if others and args.trunk_epochs else 0):
            started, course = time.process_time(), Course(epochs=args.trunk_epochs, language=args.language, seed=seed)
            taught = [questions[i] for i in rest]
            asked = Asked(
                _ids(bundle, [*taught, *others]),
                np.concatenate([gold, table]),
                [q.question for q in [*taught, *others]],
                0,
                len(others),
            )
            one = tuned(bundle, asked, teacher, ALTERED, course, silent, [texts[i] for i in mine])
            assert one.model.heads is not None
            asked_here = [questions[i] for i in mine]
            own = read_places(one.model, _ids(bundle, asked_here), _gold(asked_here), marks, silent)
            own = (one.model.heads, own.states[torch.from_numpy(np.argsort(own.text))])
            fine = _take_heads(said, "trunk too", seed, mine, own, count)
            _tell(fold, f"trunk too, {one.altered:,} altered", seed, one.learned, started, fine == true[mine])
            print(f"loss on held-out text {one.language_before} before, {one.language}", flush=True)
    return said


def _take_heads(
    said: dict[str, list[Said]], name: str, seed: int, mine: list[int], own: tuple[Heads, torch.Tensor], count: int
) -> np.ndarray:
    """Put beside the others what heads say at states of a fold's questions, and return the likeliest fine types."""
    with torch.no_grad():
        kinds = torch.zeros(len(own[1]), dtype=torch.int64)  # of mark: the ends of questions
        fine = own[0](own[1].float().unbind(1), kinds)["fine"].softmax(1).numpy()
    six = np.stack([fine[:, members].sum(1) for members in _SIX], 1)
    _take(said, name, seed, mine, Labels(fine, fine, six), count)
    return fine.argmax(1)


def _tell(fold: int, name: str, seed: int, learned: Learned, started: float, right: np.ndarray) -> None:
    spent = time.process_time() - started
    print(f"fold {fold}, {name}, seed {seed}: {learned.epoch} epochs, {spent:.1f} s, {np.mean(right):.4f}", flush=True)


def _of(said: Said, which: np.ndarray) -> Said:
    fine, sure, six, six_sure, micros = said
    return (
        fine[which],
        sure if sure is None else sure[which],
        six[which],
        six_sure if six_sure is None else six_sure[which],
        micros,
    )


def _take(said: dict[str, list[Said]], name: str, seed: int, mine: list[int], labels: Labels, count: int) -> None:
    """Put what is said of a fold's questions beside that of the others."""
    every = said.setdefault(name, [])
    if seed == len(every):
        every.append((np.zeros(count, int), np.zeros(count), np.zeros(count, int), np.zeros(count), 0.0))
    fine, sure, six, six_sure, _ = every[seed]
    assert sure is not None and six_sure is not None
    fine[mine], sure[mine] = labels.fine.argmax(1), labels.fine.max(1)
    six[mine], six_sure[mine] = labels.six.argmax(1), labels.six.max(1)


def _places(states: torch.Tensor, known: np.ndarray) -> Places:
    count = np.arange(len(states))
    return Places(states, torch.from_numpy(known), count, np.zeros_like(count))


def _ids(bundle: Bundle, questions: Sequence[Question]) -> list[list[int]]:
    """Return the tokens of questions without answers, cut at their beginning where they are longer than the context."""
    parts = [question_parts(Question(q.id, q.question)) for q in questions]
    end, most = bundle.tokenizer.end_of_text, bundle.shape.context - 1
    return [[end, *ids[-most:]] for ids, _ in encode_parts(parts, bundle.tokenizer)]


def _gold(questions: Sequence[Question]) -> np.ndarray:
    """Return the labels of types of questions; zeros where none is known, so that their states are read too."""
    known = np.full((len(questions), WIDTH), np.nan, np.float32)
    known[:, COARSE], known[:, FINE] = 0, 0
    for row, question in zip(known, questions, strict=True):
        if question.fine_type:
            row[FINE.start + FINE_TYPES.index(question.fine_type)] = 1
            row[COARSE.start + ANSWER_TYPES.index(COARSE_OF[question.fine_type])] = 1
    return known


def _median(every: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: None if every[0][name] is None else statistics.median(one[name] for one in every) for name in every[0]
    }


if __name__ == "__main__":
    main()
