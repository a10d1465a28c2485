"""Where a run's first weights come from, if not from its seed: a checkpoint of an earlier run, of the same shape."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.base.files import canonical_json, read_json, sha256_bytes
from gnomon.config import Config, ModelConfig, TokenizerConfig
from gnomon.config.load import make_config
from gnomon.events.journal import read_events
from gnomon.presets import PRESETS, Shape, read_shape
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.datasets import Dataset
from gnomon.store.runs import Run
from gnomon.taxonomy import HEAD_OUTPUTS
from gnomon.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Beginning:
    """A checkpoint that a run begins with, the run that it is of, and the `digest` of its manifest, which holds that of
    every file.
    """

    run: Run
    checkpoint: Checkpoint
    digest: str

    def as_dict(self) -> dict[str, str]:
        """Return what a plan keeps of it."""
        return {"run": str(self.run.folder), "checkpoint": self.checkpoint.path.name, "digest": self.digest}


def beginning_of(path: str) -> Beginning:
    """Return the checkpoint that is the model of a finished run, or the one checkpoint that is named.

    Raises ConfigError where there is none, IntegrityError where it is damaged.
    """
    folder = Path(path)
    single = next((c for c in CheckpointStore(folder.parent).all() if c.path.name == folder.name), None)
    run = Run(folder.parent.parent if single else folder)
    if not run.plan_path.exists() or not run.tokenizer_path.exists():
        do = "give a folder that `gnomon train` wrote, such as runs/first, or one of its checkpoints"
        raise ConfigError("there is no run to begin from", where=f"init {path}", do=do)
    if single is None:
        ends = [e for e in read_events(run.events_path) if e["kind"] in ("run_started", "run_stopped")]
        if not ends or ends[-1].get("reason") not in ("finished", "early_stop"):
            do = f"let it finish, or name one of its checkpoints, as {path}/checkpoints/…"
            raise ConfigError("the run to begin from is not finished", where=f"init {path}", do=do)
    found = single or next(iter(run.candidates()), None)
    if found is None:
        raise ConfigError("the run to begin from has no checkpoint", where=f"init {path}", do="train it first")
    return Beginning(run, found, _digest(found))


def settled(config: Config) -> Config:
    """Return a config with the shape and heads of the run that it begins from, where it says nothing of them. Without
    `init` it comes back as it is, and a run that has begun keeps what it took over.

    Raises ConfigError for a tokenizer of its own, and as `beginning_of` does.
    """
    if config.init is None:
        return config
    if config.tokenizer != TokenizerConfig():
        do = "leave `tokenizer` out: the weights are those of the tokenizer that they were trained with"
        raise ConfigError(f"the run begins from {config.init}, and asks for a tokenizer", where="tokenizer", do=do)
    run = _begun_or_before(config)
    said: Any = read_json(run.config_path)
    taken: dict[str, Any] = {}
    if not config.model_fields_set & {"size", "model"}:
        taken |= {"size": said["size"], "model": _model_of(said, run)}
    if "heads" not in config.model_fields_set and "heads" in said:
        kinds = {kind: bool(said["heads"].get(kind)) for kind in HEAD_OUTPUTS}
        taken["heads"] = config.heads.model_copy(update=kinds)
    plain = {name: one.model_dump() if isinstance(one, BaseModel) else one for name, one in taken.items()}
    written = config.model_dump(exclude_unset=True) | plain
    return make_config(written, where=f"this config, begun from {config.init}")  # what is taken over is checked too


def _model_of(said: Any, run: Run) -> ModelConfig:
    """Return the model of a run's config, with all in which its shape is not what its size stands for today."""
    model, plan = ModelConfig.model_validate(said["model"]), read_json(run.plan_path)
    was, today = read_shape(plan["shape"], str(run.plan_path)), PRESETS[said["size"]]
    other = {
        name: getattr(was, name)
        for name, asked in model
        if asked is None and getattr(was, name) != getattr(today, name)
    }
    return model.model_copy(update=other)


def tokenizer_of(config: Config) -> TokenizerConfig:
    """Return how the tokenizer is made; with `init` it is that of the run to begin from."""
    if config.init is None or config.data.prepared is not None:
        return config.learned
    return config.learned.model_copy(update={"path": str(_begun_or_before(config).tokenizer_path)})


def _begun_or_before(config: Config) -> Run:
    """Return the config's own run where it has begun, so that it needs the one before it no more; else that one."""
    run = Run(Path(config.out))
    if run.plan_path.exists() and run.config_path.exists():
        said = read_json(run.config_path)
        if isinstance(said, dict) and said.get("init") == config.init:
            return run
    return beginning_of(str(config.init)).run


def has_learned(config: Config, what: str) -> bool:
    """Return whether the run that a config begins from, or one before it, has learned `chat`, or that it `recites`."""
    if config.init is None:
        return False
    plan: Any = read_json(beginning_of(config.init).run.plan_path)
    return plan.get(what) is True


def begin_with(config: Config, shape: Shape, dataset: Dataset | None) -> dict[str, str] | None:
    """Return what a plan keeps of the checkpoint that a run begins with; None where it begins from its seed.

    Raises ConfigError where the checkpoint's shape or tokenizer is another than the run's.
    """
    if config.init is None:
        return None
    before = beginning_of(config.init)
    plan: Any = read_json(before.run.plan_path)
    was = read_shape(plan["shape"], str(before.run.plan_path))
    differing = [
        f"{f.name} is {getattr(shape, f.name)} here and {getattr(was, f.name)} there"
        for f in fields(Shape)
        if getattr(shape, f.name) != getattr(was, f.name) and not (dataset is None and f.name == "vocabulary")
    ]
    if differing:
        do = "leave size and model out, so that they are taken over, or begin from a run of this shape"
        raise ConfigError(f"the run to begin from has another shape: {', '.join(differing)}", where="init", do=do)
    if dataset and dataset.manifest["tokenizer"]["digest"] != Tokenizer.load(before.run.tokenizer_path).digest:
        do = f"prepare the text with tokenizer.path={before.run.tokenizer_path}"
        raise ConfigError("the dataset has another tokenizer than the run to begin from", where="data.prepared", do=do)
    return before.as_dict()


def first_weights(init: dict[str, str]) -> dict[str, Tensor]:
    """Return the weights of the checkpoint that a plan begins with, by name. Raises IntegrityError where it is damaged,
    gone or another.
    """
    where = Path(init["run"]) / "checkpoints" / init["checkpoint"]
    found = next((c for c in CheckpointStore(where.parent).all() if c.path == where), None)
    do = "put it back, or begin anew in another `out` folder"
    if found is None:
        raise IntegrityError("the checkpoint that the run begins with is gone", where=str(where), do=do)
    if found.damage() or _digest(found) != init["digest"]:
        raise IntegrityError("the checkpoint that the run begins with is not what it was", where=str(where), do=do)
    return {name: torch.from_numpy(array) for name, array in found.tensors("model").items()}


def _digest(checkpoint: Checkpoint) -> str:
    return sha256_bytes(canonical_json(checkpoint.manifest.model_dump(by_alias=True)))
