"""The teacher of answer types: learned from questions with gold types, it gives any question a probability of each.

Two stages. Ridge regression over hashed features (`features.py`) gives each fine type a score. What solutions taught
without a question's fold say of it is what the second stage is fitted to: scores of questions not seen, so that its
probabilities are calibrated. Near-duplicates share a fold. On TREC a second stage that weighs all scores and the rules
of `heuristics.py` for each type anew was 0.3 points less often right than one scale for all.

With a sentence encoder (`encoder.py`), that learns too, from nine tenths of the questions; its scores are added with a
weight. What both say of the last tenth is what weight and second stage are fitted to.

Equal questions give equal files on one machine; on another one, probabilities may differ in their last digits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import pretty_json, read_json, sha256_bytes, storage_errors, write_atomic
from gnomon.base.progress import Progress, silent
from gnomon.data.questions.encoder import TaughtEncoder, read_encoder, teach_encoder
from gnomon.data.questions.folds import folds_of
from gnomon.data.questions.heuristics import type_of
from gnomon.data.questions.knowledge import Knowledge, refuse_other
from gnomon.data.questions.question import Question
from gnomon.data.questions.ridge import ridge
from gnomon.taxonomy import ANSWER_TYPES, CLASSES, COARSE_OF, FINE_TYPES

FORMAT = 1
ENCODER = "encoder.safetensors"
NOTHING = Knowledge()
HELD_OUT = 10
"""Of so many groups of questions that are near each other, an encoder does not learn from one."""
LEAST = 50
"""Questions with a fine type, to learn from."""
PENALTY = 0.1
"""Of the ridge regression; 0.03 and 0.3 are no better on TREC."""
BATCH = 1024
YES = 0.95
"""Of the probability goes to `boolean`, which no gold type is, where a rule says that yes or no is asked for."""

_PLACE = {fine: i for i, fine in enumerate(FINE_TYPES)}
_OF_SIX = [[i for i, fine in enumerate(FINE_TYPES) if fine.startswith(name)] for name in CLASSES]
_OF_COARSE = [[i for i, fine in enumerate(FINE_TYPES) if COARSE_OF[fine] == name] for name in ANSWER_TYPES]


@dataclass(frozen=True)
class Labels:
    """Probabilities of the types of questions, float32: of 50 fine ones, 18 coarse ones and the six classes."""

    fine: np.ndarray
    coarse: np.ndarray
    six: np.ndarray


@dataclass(frozen=True)
class Teacher:
    """The weights of the scores, float16 [features, 50], a scale, a level and a slope that make probabilities, and what
    it knows of words beside its own lists.
    """

    weights: np.ndarray
    calibration: tuple[float, float, float]
    questions: int
    knowledge: Knowledge = NOTHING
    encoder: TaughtEncoder | None = None
    share: float = 0.0  # what the encoder's scores count beside the others

    def label(self, questions: Sequence[str], progress: Progress = silent) -> Labels:
        """Return the probabilities of the types of questions; each is the same in any company."""
        found = [np.zeros((0, len(FINE_TYPES)), np.float32)]
        for start in range(0, len(questions), BATCH):
            some = questions[start : start + BATCH]
            with torch.inference_mode():
                scores = self.knowledge.rows(some).times(self._floats).numpy()
            if self.encoder is not None:
                scores = scores + np.float32(self.share) * self.encoder.scores(some)
            found.append(_sharpened(scores, self.calibration))
            progress("labelling questions", start + len(some), len(questions), "questions")
        fine = np.concatenate(found)
        coarse = _summed(fine, _OF_COARSE)
        yes = np.array([type_of(question).type == "boolean" for question in questions], bool)
        coarse[yes] *= 1 - YES
        coarse[yes, ANSWER_TYPES.index("boolean")] = YES
        return Labels(fine, coarse, _summed(fine, _OF_SIX))

    @cached_property
    def _floats(self) -> torch.Tensor:
        return torch.from_numpy(self.weights.astype(np.float32))

    @cached_property
    def _data(self) -> bytes:
        parts = {"weights": self.weights, "calibration": np.array(self.calibration)}
        return save(parts if self.encoder is None else parts | {"share": np.array([self.share])})

    @property
    def digest(self) -> str:
        """The hash of all weights."""
        return sha256_bytes(self._data if self.encoder is None else self._data + self.encoder.data)

    def save(self, folder: Path) -> None:
        """Write `teacher.safetensors` to a folder, and `encoder.safetensors` where there is an encoder, then
        `teacher.json`, which names their hashes. Raises StorageError.
        """
        head: dict[str, Any] = {"format": FORMAT, "questions": self.questions, "types": list(FINE_TYPES)}
        head |= {"sha256": sha256_bytes(self._data), "knowledge": self.knowledge.digests}
        write_atomic(folder / "teacher.safetensors", self._data)
        if self.encoder is not None:
            write_atomic(folder / ENCODER, self.encoder.data)
            head["encoder_sha256"] = sha256_bytes(self.encoder.data)
        write_atomic(folder / "teacher.json", pretty_json(head))


def load_teacher(folder: Path, knowledge: Knowledge = NOTHING) -> Teacher:
    """Return the teacher in a folder. Raises DataError where there is none, or where it was taught with other knowledge
    of words than is given; IntegrityError for one that is damaged or of another version.
    """
    do = "learn one: gnomon questions teach FILES --out FOLDER"
    if not (folder / "teacher.json").is_file():
        raise DataError("there is no teacher here", where=str(folder), do=do)
    head = read_json(folder / "teacher.json")
    if not isinstance(head, dict) or head.get("format") != FORMAT or head.get("types") != list(FINE_TYPES):
        raise IntegrityError("this teacher is of another version of Gnomon", where=str(folder), do=do)
    refuse_other(head.get("knowledge", {}), knowledge, folder)
    path = folder / "teacher.safetensors"
    data, encoder = _read(path, head.get("sha256"), do), None
    if knowledge.encoder is not None:
        learned = _read(folder / ENCODER, head.get("encoder_sha256"), do)
        encoder = read_encoder(knowledge.encoder, learned, str(folder / ENCODER))
    try:
        parts = load(data)
        scale, level, slope = parts["calibration"].tolist()
        share = 0.0 if encoder is None else float(parts["share"][0])
        return Teacher(parts["weights"], (scale, level, slope), int(head["questions"]), knowledge, encoder, share)
    except (SafetensorError, KeyError, TypeError, ValueError) as e:
        raise IntegrityError(f"this is no teacher: {e}", where=str(path), do=do) from None


def _read(path: Path, digest: Any, do: str) -> bytes:
    """Return a file's bytes. Raises IntegrityError where they are not those that teacher.json names."""
    with storage_errors(path):
        data = path.read_bytes()
    if sha256_bytes(data) != digest:
        raise IntegrityError("these are not the weights that teacher.json names", where=str(path), do=do)
    return data


def teach(questions: Sequence[Question], knowledge: Knowledge = NOTHING, progress: Progress = silent) -> Teacher:
    """Return a teacher of the questions that have a fine type. Raises DataError for fewer than 50, and with an encoder
    where all are near each other.
    """
    gold = [question for question in questions if question.fine_type is not None]
    if len(gold) < LEAST:
        do = 'name files whose questions have a "fine_type", such as "HUM:ind"'
        raise DataError(f"{len(gold)} questions have a fine type, {LEAST} are needed", do=do)
    texts, types = [question.question for question in gold], [str(question.fine_type) for question in gold]
    true = np.array([_PLACE[fine] for fine in types])
    wanted = np.full((len(gold), len(FINE_TYPES)), -1, np.float32)
    wanted[np.arange(len(gold)), true] = 1
    weights, others = ridge(knowledge.rows(texts), knowledge.width, wanted, folds_of(texts, types), PENALTY)
    weights = weights.astype(np.float16)
    if knowledge.encoder is None:
        return Teacher(weights, _calibrate(others, true), len(gold), knowledge)
    held_out = folds_of(texts, types, HELD_OUT) == 0
    if held_out.all():
        raise DataError("all questions are near each other", do="name files with others, or teach without --encoder")
    encoder = teach_encoder(knowledge.encoder, list(compress(texts, ~held_out)), true[~held_out], progress)
    scores = encoder.scores(list(compress(texts, held_out)))
    others, true = others[held_out], true[held_out]
    share = _share(others, scores, true)
    return Teacher(weights, _calibrate(others + share * scores, true), len(gold), knowledge, encoder, share)


def _sharpened(scores: np.ndarray, calibration: Sequence[float]) -> np.ndarray:
    """Return probabilities of scores: a softmax of them times a scale, then the likeliest one's made what it is worth.

    The others keep their proportions to each other, and no other becomes the likeliest.
    """
    scale, level, slope = calibration
    powers = np.exp(scale * (scores - scores.max(1, keepdims=True)))
    found = powers / _total(powers)[:, None]
    rows, top = np.arange(len(found)), found.argmax(1)
    sure = np.clip(found[rows, top], 1e-6, 1 - 1e-6).astype(np.float64)
    worth = 1 / (1 + np.exp(-(level + slope * np.log(sure / (1 - sure)))))
    rest = np.where(np.arange(found.shape[1]) == top[:, None], 0, found)
    next_share = rest.max(1) / np.maximum(_total(rest), 1e-30)
    worth = np.maximum(worth, next_share / (1 + next_share) + 1e-6)
    found = rest * ((1 - worth) / np.maximum(_total(rest), 1e-30))[:, None]
    found[rows, top] = worth
    return found.astype(np.float32)


def _total(rows: np.ndarray) -> np.ndarray:
    """Return the sum of each row, its numbers added one by one, so that no batch changes it."""
    return sum((rows[:, i] for i in range(rows.shape[1])), np.zeros(len(rows)))


def _summed(fine: np.ndarray, members: Sequence[Sequence[int]]) -> np.ndarray:
    return np.stack([_total(fine[:, list(each)]) for each in members], 1).astype(np.float32)


def _calibrate(scores: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """Return the scale under which the true types are the likeliest, and the level and slope that turn the log odds of
    the likeliest type into those of its being right (Platt).
    """
    scores_NT, true_N = torch.from_numpy(scores).double(), torch.from_numpy(true)
    scale = torch.full((1,), 4.0, dtype=torch.float64, requires_grad=True)
    _descend([scale], lambda: F.cross_entropy(scale * scores_NT, true_N))
    top = torch.softmax(scale.detach() * scores_NT, 1).max(1)
    odds_N = torch.logit(top.values, eps=1e-6)
    right_N = (top.indices == true_N).double()
    line = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)

    def cost() -> torch.Tensor:
        wrong = F.binary_cross_entropy_with_logits(line[0] + line[1] * odds_N, right_N)
        return wrong + 1e-4 * (line @ line)  # finite also where all are right

    _descend([line], cost)
    return float(scale.detach()), *line.detach().tolist()


def _share(scores: np.ndarray, encoded: np.ndarray, true: np.ndarray) -> float:
    """Return the weight of an encoder's scores under which the true types are the likeliest."""
    scores_NT, encoded_NT, true_N = (torch.from_numpy(each) for each in (scores, encoded, true))
    usual = torch.log(torch.tensor([4.0, 0.8], dtype=torch.float64))  # of a whole TREC
    logs = usual.clone().requires_grad_()

    def cost() -> torch.Tensor:
        both_NT = logs[0].exp() * scores_NT.double() + logs[1].exp() * encoded_NT.double()
        return F.cross_entropy(both_NT, true_N) + 1e-3 * ((logs - usual) ** 2).sum()  # finite also where all are right

    _descend([logs], cost)
    return float((logs[1] - logs[0]).exp().detach())


def _descend(values: list[torch.Tensor], cost: Callable[[], torch.Tensor]) -> None:
    optimizer = torch.optim.LBFGS(values, max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        found = cost()
        found.backward()
        return found

    optimizer.step(loss)
