"""A run with other heads: those of a run refitted on questions, over its own weights, which stay bit for bit or have
learned with them (`trunk.py`).
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save
from torch import Tensor

from gnomon.base.errors import ConfigError, DataError
from gnomon.base.files import pretty_json, read_json, staged_folder, sync_tree, write_atomic
from gnomon.base.progress import Progress, silent
from gnomon.bundle import Bundle
from gnomon.data.forms.form import Form, document_of
from gnomon.data.parts import encode_parts
from gnomon.data.questions.folds import folds_of
from gnomon.data.questions.question import each_record
from gnomon.data.questions.teacher import Teacher
from gnomon.footprint import head_table, inference_bytes
from gnomon.model.lm import LanguageModel
from gnomon.plan import read_plan
from gnomon.store.checkpoints import Facts
from gnomon.store.labels import COARSE, FINE, WIDTH
from gnomon.store.runs import Run
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, HEAD_OUTPUTS, HeadKind
from gnomon.train.refit import Learned, Lessons, fit_heads, read_places, taught, with_heads

HELD_OUT = 10
"""Of so many groups of questions that are near each other, one is kept to judge by."""


@dataclass(frozen=True)
class Asked:
    """Questions to learn from: their tokens, what is known of each, [questions, labels.WIDTH], and their texts."""

    tokens: list[list[int]]
    known: np.ndarray
    texts: list[str]
    too_long: int
    soft: int  # whose types are a teacher's


def read_asked(bundle: Bundle, files: Sequence[Path], teacher: Teacher | None, progress: Progress = silent) -> Asked:
    """Return the questions of files that fit into the context, those without types labelled by the teacher.

    Raises DataError for a file that cannot be read, and where nothing is known of any question.
    """
    form = Form("questions")
    read = [one for path in files for one in each_record(path, lambda record, name: document_of(record, form, name))]
    end = bundle.tokenizer.end_of_text
    every = [[end, *ids] for ids, _ in encode_parts([document.parts for document in read], bundle.tokenizer)]
    fitting = [i for i, ids in enumerate(every) if len(ids) <= bundle.shape.context]
    known = np.full((len(fitting), WIDTH), np.nan, np.float32)
    for row, i in enumerate(fitting):
        if read[i].labels:
            known[row] = read[i].labels
    texts = [read[i].group for i in fitting]
    unknown = np.flatnonzero(np.isnan(known[:, COARSE]).all(1) & np.isnan(known[:, FINE]).all(1))
    if teacher is not None:
        known[unknown, COARSE], known[unknown, FINE] = types_by(teacher, [texts[i] for i in unknown], progress)
    if np.isnan(known).all():
        do = 'give some of "type", "fine_type", "answerable", "well_posed" or "labels", or a teacher'
        raise DataError("nothing is known of the questions", where=", ".join(map(str, files)), do=do)
    soft = 0 if teacher is None else len(unknown)
    return Asked([every[i] for i in fitting], known, texts, len(read) - len(fitting), soft)


def types_by(teacher: Teacher, texts: Sequence[str], progress: Progress = silent) -> tuple[np.ndarray, np.ndarray]:
    """Return the coarse and the fine types of questions by a teacher; no fine ones where the answer is yes or no."""
    labels = teacher.label(texts, progress)
    yes = labels.coarse.argmax(1) == ANSWER_TYPES.index("boolean")  # which has no fine type
    return labels.coarse, np.where(yes[:, None], np.float32(np.nan), labels.fine)


def kept_out(asked: Asked, seed: int) -> np.ndarray:
    """Return which questions are kept to judge by: one group of near-duplicates in HELD_OUT."""
    named = [FINE_TYPES[int(row.argmax())] if not np.isnan(row).any() else None for row in asked.known[:, FINE]]
    return folds_of(asked.texts, named, HELD_OUT, seed) == 0


def refit(bundle: Bundle, asked: Asked, lessons: Lessons, progress: Progress) -> tuple[LanguageModel, Learned, int]:
    """Return a copy of the bundle's model with heads learned from questions, how that went, and from how many marks.

    Kinds of heads that the questions say nothing of stay as they are.
    """
    had = [] if bundle.model.heads is None else bundle.model.heads.kinds
    model = with_heads(bundle.model, list(HEAD_OUTPUTS), lessons.seed)
    places = read_places(model, asked.tokens, asked.known, bundle.marks, progress)
    found = taught(places)
    kinds: list[HeadKind] = [kind for kind in HEAD_OUTPUTS if kind in found or kind in had]
    model = with_heads(bundle.model, kinds, lessons.seed)
    assert model.heads is not None
    learned = fit_heads(model.heads, places, kept_out(asked, lessons.seed), had, lessons, progress)
    return model, learned, len(places.text)


def write_refitted(
    bundle: Bundle, model: LanguageModel, out: Path, said: Mapping[str, bool | float | str | None]
) -> Run:
    """Write a run of the model beside the one it comes from, with that run's settings and record, and return it.

    `said` goes into the checkpoint's manifest, with the digests of the weights below the heads and of those that they
    come from. Where these are the same, what the manifest and the state say of validations is kept; it is not true of
    others. Raises ConfigError where the folder is there already.
    """
    source, target = bundle.run, Run(out)
    refuse_there(out)
    kinds = [] if model.heads is None else model.heads.kinds
    heads = head_table(bundle.shape, kinds)
    plan = read_plan(source.plan_path)
    table = {name: size for name, size in plan.parameter_table.items() if name != "heads"} | heads
    changes = {
        "heads": kinds,
        "parameters": bundle.shape.parameters + sum(heads.values()),
        "parameter_table": table,
        "inference_bytes": inference_bytes(bundle.shape, kinds),
    }
    config: Any = read_json(source.config_path)
    config = {**config, "out": str(out), "heads": {**config.get("heads", {}), **dict.fromkeys(kinds, True)}}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    trunk = {name: tensor for name, tensor in weights.items() if not name.startswith("heads.")}
    now, before = digest_of(trunk), digest_of(bundle.weights)
    metrics, state = dict(bundle.checkpoint.manifest.metrics), bundle.checkpoint.state()
    if now != before:
        metrics, state = {}, {**state, "best_loss": "inf", "since_best": 0}
    metrics |= {**said, "trunk": now, "trunk_before": before, "trunk_checkpoint": bundle.checkpoint.path.name}
    with staged_folder(out.parent, out.name) as staged:
        run = Run(staged.path)
        for path in (source.tokenizer_path, source.events_path, source.journal_path):
            if path.exists():
                shutil.copyfile(path, staged.path / path.name)
        if source.measured.folder.is_dir():  # the journal names what is in it
            shutil.copytree(source.measured.folder, run.measured.folder)
        write_atomic(run.config_path, pretty_json(config))
        write_atomic(run.plan_path, pretty_json(plan.model_copy(update=changes).model_dump(mode="json")))
        files = {"model.safetensors": save(weights), "state.json": pretty_json(state)}
        run.checkpoints.commit(files, Facts(bundle.checkpoint.step, "heads", metrics))
        sync_tree(staged.path)
        staged.publish(out)
    return target


def refuse_there(out: Path) -> None:
    """Raise ConfigError where something is there already."""
    if out.exists():
        raise ConfigError("this folder is there already", where=str(out), do="give --out a new one")


def digest_of(weights: dict[str, Tensor]) -> str:
    """Return the SHA-256 of weights, in the order of their names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + weights[name].detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def described(asked: Asked, learned: Learned, marks: int) -> dict[str, Any]:
    """Return what came of it, for people and scripts."""
    return {
        "questions": len(asked.tokens),
        "too_long": asked.too_long,
        "labelled_by_teacher": asked.soft,
        "marks": marks,
        **asdict(learned),
    }
