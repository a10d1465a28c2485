"""The Python interface: as few functions as there are verbs, plain values in and out."""

import asyncio
from pathlib import Path
from typing import Any

from gnomon.base.progress import silent
from gnomon.bundle import Bundle, continue_text, load_bundle
from gnomon.config import Config, make_config
from gnomon.export.write import ExportResult
from gnomon.export.write import export as write_exports
from gnomon.model.generate import Sampling
from gnomon.observe.console import Console
from gnomon.pipeline import plan_of, prepared
from gnomon.pipeline import train as run_pipeline
from gnomon.plan import Plan

ConfigLike = Config | dict[str, Any]


def train(config: ConfigLike, *, quiet: bool = False) -> dict[str, Any]:
    """Do the whole job of a config (a dict as in a config file) and return what `gnomon train --json` prints."""
    return run_pipeline(_config(config), Console(quiet=quiet))


async def train_async(config: ConfigLike, *, quiet: bool = True) -> dict[str, Any]:
    """Do as `train` in a thread of its own, so that other coroutines go on. Signals are left to the caller."""
    return await asyncio.to_thread(train, config, quiet=quiet)


def plan_run(config: ConfigLike) -> Plan:
    """Return the plan of a config on this machine; measures for a few seconds and trains nothing."""
    checked = _config(config)
    return plan_of(checked, prepared(checked), Console(quiet=True))


def load(run: str | Path) -> Bundle:
    """Return the model and tokenizer of a run (its best checkpoint) or of one checkpoint."""
    return load_bundle(Path(run))


def generate(run: str | Path | Bundle, prompt: str, max_tokens: int = 200, **sampling: Any) -> str:
    """Return the text that follows `prompt`; keyword arguments are those of `gnomon.model.generate.Sampling`."""
    bundle = run if isinstance(run, Bundle) else load(run)
    return "".join(continue_text(bundle.model, bundle.tokenizer, prompt, max_tokens, Sampling(**sampling)))


def export_run(
    run: str | Path, *, gguf: list[str] | None = None, hf: bool = False, out: str | Path | None = None
) -> ExportResult:
    """Write and verify exports of a run: GGUF in the given dtypes (f32 f16 bf16 q8_0), and a Hugging Face folder."""
    bundle = load(run)
    return write_exports(bundle, Path(out) if out else bundle.run.export_folder, gguf or [], hf, silent)


def _config(config: ConfigLike) -> Config:
    return config if isinstance(config, Config) else make_config(config)
