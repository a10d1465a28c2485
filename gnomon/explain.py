"""Which texts a step of a run was trained on."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from gnomon.assemble import build_loader
from gnomon.base.errors import ConfigError
from gnomon.base.files import read_json
from gnomon.config import make_config
from gnomon.events.journal import Journal, read_events
from gnomon.plan import read_plan
from gnomon.store.datasets import open_dataset
from gnomon.store.runs import Run
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.train.parallel import ALONE

EXCERPT_TOKENS = 40


def explain(run: Run, step: int) -> dict[str, Any]:
    """Return the rows of a step and what lay in them: for each piece its source, document, tokens and first words.

    Found as it was served, from the plan, the seed and the journal. Raises ConfigError for a step that the run's record
    has not.
    """
    steps = {e["step"]: e for e in read_events(run.events_path) if e["kind"] == "step"}
    if step not in steps:
        known = f"steps {min(steps):,} to {max(steps):,}" if steps else "no step yet"
        raise ConfigError(f"the record has no step {step:,}", where=str(run.events_path), do=f"it has {known}")
    plan, config = read_plan(run.plan_path), make_config(read_json(run.config_path))
    dataset, journal = open_dataset(Path(plan.dataset_folder or "")), Journal(run.journal_path, keep=False)
    stream = build_loader(plan, config, dataset, journal, ALONE).stream
    first, rows = steps[step]["row"], steps[step]["rows"] or plan.rows_per_step
    tokenizer, splits, pieces = Tokenizer.load(run.tokenizer_path), dataset.sources("train"), []
    for span in stream.spans(first, rows):
        shown = splits[span.source].tokens(span.document)[span.start : span.stop][:EXCERPT_TOKENS]
        pieces.append(asdict(span) | {"text": tokenizer.decode(shown.tolist())})
    return {"step": step, "first_row": first, "rows": rows, "loss": steps[step]["loss"], "pieces": pieces}
