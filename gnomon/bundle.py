"""A checkpoint brought to life: the model, its tokenizer, and where they came from."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import read_json
from gnomon.footprint import head_table
from gnomon.model.generate import Sampling, generate
from gnomon.model.lm import LanguageModel
from gnomon.presets import Shape, read_shape
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.runs import Run
from gnomon.taxonomy import FIRST_MARKS, HEAD_OUTPUTS, MARKS, HeadKind
from gnomon.tokenizer.tokenizer import StreamDecoder, Tokenizer

log = logging.getLogger(__name__)


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
    def weights(self) -> dict[str, Tensor]:
        """The language model's weights by name; heads are not in them."""
        return {name: t for name, t in self.model.state_dict().items() if not name.startswith("heads.")}

    @property
    def marks(self) -> dict[int, int]:
        """Which ids are marks where its heads have learned to be read, and of which kind; DataError as `mark_kinds`,
        IntegrityError where the plan names others.
        """
        said = self.plan.get("marks", FIRST_MARKS)
        if not isinstance(said, list | tuple) or not all(mark in MARKS for mark in said):
            raise IntegrityError(f"the plan's marks are {said!r:.60}", where=str(self.run.plan_path))
        return mark_kinds(self.tokenizer, said)

    @property
    def name(self) -> str:
        """The run's name, for files and titles."""
        return self.run.name


def load_bundle(path: Path, device: str = "cpu") -> Bundle:
    """Return the model of a run folder (its best checkpoint, or as `train.result` asks) or of one checkpoint folder.

    Of a run, damaged checkpoints are passed over with a warning. Raises DataError when there is no run or checkpoint
    there, IntegrityError when the one that was named is damaged, or all are.
    """
    run, candidates = _find(path)
    checkpoint = _first_whole(run, candidates)
    plan = read_json(run.plan_path)
    if not isinstance(plan, dict):
        raise IntegrityError("the plan is no object", where=str(run.plan_path))
    shape = read_shape(plan.get("shape"), str(run.plan_path))
    model = _model(shape, _heads(plan.get("heads", []), run), checkpoint)
    tokenizer = Tokenizer.load(run.tokenizer_path)
    if tokenizer.tokens > model.shape.vocabulary:
        raise IntegrityError(
            f"the tokenizer has {tokenizer.tokens:,} tokens and the model knows {model.shape.vocabulary:,}",
            where=str(run.tokenizer_path),
        )
    return Bundle(model.eval().to(torch.device(device)), tokenizer, plan, checkpoint, run)


def _heads(said: Any, run: Run) -> list[HeadKind]:
    """Return the kinds of heads that a plan names; a plan of before there were heads names none."""
    if not isinstance(said, list) or said != [kind for kind in HEAD_OUTPUTS if kind in said]:
        raise IntegrityError(f"the plan's heads are {said!r:.60}", where=str(run.plan_path))
    return said


def _model(shape: Shape, heads: list[HeadKind], checkpoint: Checkpoint) -> LanguageModel:
    """Return the model that a checkpoint's weights are; nothing is made that could be larger than they are."""
    weights = {name: torch.from_numpy(array) for name, array in checkpoint.tensors("model").items()}
    sizes = sum(tensor.numel() for tensor in weights.values())
    parameters = shape.parameters + sum(head_table(shape, heads).values())
    if sizes != parameters or shape.layers > len(weights):
        raise _misfit(f"they are {sizes:,} numbers and its model has {parameters:,}", checkpoint)
    model = LanguageModel(shape, heads=heads)
    own = model.state_dict()
    for name in sorted(weights.keys() | own.keys()):
        if name not in weights or name not in own:
            raise _misfit(f"{name:.100} is {'missing' if name in own else 'not part of it'}", checkpoint)
        is_, was = weights[name], own[name]
        if (is_.shape, is_.dtype) != (was.shape, was.dtype):
            raise _misfit(f"{name} is {is_.dtype} {list(is_.shape)}", checkpoint)
        if not torch.isfinite(is_).all():
            raise IntegrityError(f"the weights cannot be right: {name} is not finite", where=str(checkpoint.path))
    model.load_state_dict(weights)
    return model


def _misfit(why: str, checkpoint: Checkpoint) -> IntegrityError:
    return IntegrityError(f"the weights do not fit the run's plan: {why}", where=str(checkpoint.path))


def refuse_without_heads(bundle: Bundle, kinds: Sequence[HeadKind] = ()) -> None:
    """Raise DataError for a model without heads, or without those of the kinds asked for."""
    heads = bundle.model.heads
    missing = [kind for kind in kinds if heads is None or kind not in heads.kinds]
    if heads is None or missing:
        do = 'train with `heads`, such as {"heads": {"router": true, "types": true}}'
        what = f"no heads of {' and '.join(missing)}" if heads is not None else "no heads"
        raise DataError(f"the model has {what}", where=str(bundle.run.folder), do=do)


def mark_kinds(tokenizer: Tokenizer, marks: Sequence[str] = MARKS) -> dict[int, int]:
    """Return which ids are marks where heads are read, and of which kind. Raises DataError where there are none."""
    try:
        return {tokenizer.special_id(mark): MARKS.index(mark) for mark in marks}
    except KeyError as e:
        raise DataError(
            f"the tokenizer has no {e.args[0]}, and heads are read there",
            do="train with a tokenizer of Gnomon's own",
        ) from None


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


def continue_each(
    model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str], max_tokens: int, sampling: Sampling
) -> list[str]:
    """Return the texts that follow several prompts, each as by `continue_text`, found together in one batch."""
    end, texts = tokenizer.end_of_text, [""] * len(prompts)
    decoders = [StreamDecoder(tokenizer) for _ in prompts]
    ids = [[end, *tokenizer.encode(prompt)] for prompt in prompts]
    for drawn in generate(model, ids, max_tokens, sampling, frozenset([end])) if prompts else []:
        for i, token in enumerate(drawn):
            texts[i] += "" if token is None else decoders[i].push(token)
    return [text + decoder.finish() for text, decoder in zip(texts, decoders, strict=True)]


def _first_whole(run: Run, candidates: list[Checkpoint]) -> Checkpoint:
    passed: list[str] = []
    for checkpoint in candidates:
        damage = checkpoint.damage()
        if not damage:
            if passed:
                log.warning("damaged: %s; %s is used instead", "; ".join(passed), checkpoint.path.name)
            return checkpoint
        passed.append(f"{checkpoint.path.name}/{damage[0]}")
    of_all = f"all {len(passed)} checkpoints are" if len(passed) > 1 else "the checkpoint is"
    raise IntegrityError(
        f"{of_all} damaged: {passed[0]}",
        where=str(candidates[0].path),
        do=f"name another checkpoint of {run.folder}/checkpoints, or train on: the run falls back by itself",
    )


def _find(path: Path) -> tuple[Run, list[Checkpoint]]:
    """Return the run, and its checkpoints in the order in which they are to be tried: one, if it was named."""
    if not path.exists():
        raise DataError(f"there is no run at {path}", do="train one first: gnomon train my.json")
    single = next((c for c in CheckpointStore(path.parent).all() if c.path.name == path.name), None)
    if single is not None:
        return Run(path.parent.parent), [single]
    run = Run(path)
    if not run.plan_path.exists():
        raise DataError(
            "this folder is neither a run nor a checkpoint of one",
            where=str(path),
            do="give a folder that `gnomon train` wrote, such as runs/first",
        )
    candidates = run.candidates()
    if not candidates:
        raise DataError("the run has no checkpoint yet", where=str(path), do="let it train on: gnomon train CONFIG")
    return run, candidates


def bundle_metadata(bundle: Bundle) -> dict[str, str]:
    """Return what an export should say of its origin, as strings: run, step, dataset, shape; and of heads."""
    left_out = {} if bundle.model.heads is None else {"gnomon.heads": "not in these weights: heads/ of the hf export"}
    return left_out | {
        "gnomon.run": bundle.name,
        "gnomon.step": str(bundle.checkpoint.step),
        "gnomon.dataset": str(bundle.plan.get("dataset")),
        "gnomon.shape": json.dumps(bundle.shape.as_dict()),
    }
