"""A checkpoint brought to life: the model, its tokenizer, and where they came from."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import read_json
from gnomon.model.generate import Sampling, generate
from gnomon.model.lm import LanguageModel
from gnomon.presets import Shape
from gnomon.store.checkpoints import Checkpoint, CheckpointStore
from gnomon.store.runs import Run
from gnomon.tokenizer.tokenizer import StreamDecoder, Tokenizer


@dataclass(frozen=True)
class Bundle:
    """A model in evaluation mode (float32) with its tokenizer, its run's plan, and where the weights lie."""

    model: LanguageModel
    tokenizer: Tokenizer
    plan: dict[str, Any]
    checkpoint: Checkpoint
    run: Run

    @property
    def shape(self) -> Shape:
        return self.model.shape

    @property
    def name(self) -> str:
        """The run's name, for files and titles."""
        return self.run.name


def load_bundle(path: Path, device: str = "cpu") -> Bundle:
    """Return the model of a run folder (its best checkpoint, else its newest) or of one checkpoint folder.

    Raises DataError when there is no run or checkpoint there, IntegrityError when its files are damaged.
    """
    run, checkpoint = _find(path)
    damage = checkpoint.damage()
    if damage:
        raise IntegrityError(
            f"the checkpoint is damaged: {damage[0]}",
            where=str(checkpoint.path),
            do=f"name another checkpoint of {run.folder}/checkpoints, or train on: the run falls back by itself",
        )
    plan = read_json(run.plan_path)
    model = LanguageModel(Shape(**plan["shape"]))
    model.load_state_dict(load(checkpoint.read()["model.safetensors"]))
    return Bundle(model.eval().to(torch.device(device)), Tokenizer.load(run.tokenizer_path), plan, checkpoint, run)


def continue_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    max_tokens: int,
    sampling: Sampling,
    stop: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the text that follows `prompt`, in pieces of whole characters, as a document that begins with it
    would go on.

    Ends at the model's end of text, after `max_tokens`, or before the first of the `stop` strings.
    """
    ids = [tokenizer.end_of_text, *tokenizer.encode(prompt)]
    decoder = StreamDecoder(tokenizer)
    held = ""  # what could still become a stop string
    for (token,) in generate(model, [ids], max_tokens, sampling, frozenset([tokenizer.end_of_text])):
        if token is None:
            break
        held += decoder.push(token)
        met = min((at for s in stop if (at := held.find(s)) >= 0), default=-1)
        if met >= 0:
            yield held[:met]
            return
        keep = max((n for s in stop for n in range(1, len(s)) if held.endswith(s[:n])), default=0)
        yield held[: len(held) - keep]
        held = held[len(held) - keep :]
    yield held + decoder.finish()


def _find(path: Path) -> tuple[Run, Checkpoint]:
    if not path.exists():
        raise DataError(f"there is no run at {path}", do="train one first: gnomon train my.json")
    single = next((c for c in CheckpointStore(path.parent).all() if c.path.name == path.name), None)
    if single is not None:
        return Run(path.parent.parent), single
    run = Run(path)
    if not run.plan_path.exists():
        raise DataError(
            "this folder is neither a run nor a checkpoint of one",
            where=str(path),
            do="give a folder that `gnomon train` wrote, such as runs/first",
        )
    store = run.checkpoints
    checkpoint = store.best() or (store.all() or [None])[-1]
    if checkpoint is None:
        raise DataError("the run has no checkpoint yet", where=str(path), do="let it train on: gnomon train CONFIG")
    return run, checkpoint


def bundle_metadata(bundle: Bundle) -> dict[str, str]:
    """Return what an export should say of its origin, as strings: run, step, dataset, shape."""
    return {
        "gnomon.run": bundle.name,
        "gnomon.step": str(bundle.checkpoint.step),
        "gnomon.dataset": str(bundle.plan["dataset"]),
        "gnomon.shape": json.dumps(bundle.shape.as_dict()),
    }
