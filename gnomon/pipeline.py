"""The main job: texts, dataset, plan, run, scores, exports, report. What is done is skipped; what was cut
short goes on.
"""

import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from gnomon.assemble import build_checks, build_hands, build_loader, build_measuring, build_state, openings
from gnomon.base.disk import DISK
from gnomon.base.errors import (
    ConfigError,
    DataError,
    IntegrityError,
    Interrupted,
    StorageError,
    TrainingError,
)
from gnomon.base.files import pretty_json, read_json, sweep_staging, write_atomic
from gnomon.base.machine import bound_kernel_caches, keep_compiled_kernels, keep_freed_memory, this_machine
from gnomon.bundle import Bundle, continue_each, load_bundle, mark_kinds
from gnomon.config import Config, DataConfig, parse_budget
from gnomon.data.measured.asked import digest_of, read_records
from gnomon.data.prepare import find_prepared, prepare
from gnomon.data.streaming.stream import validation_rows
from gnomon.data.streaming.targets import refuse_other_marks
from gnomon.data.streaming.weights import refuse_unknown
from gnomon.data.world.settings import Settings
from gnomon.data.world.write import write_world
from gnomon.evaluate.loss import Score, score
from gnomon.events.journal import Decisions, read_events
from gnomon.events.types import Event, GaveUp, RunStarted, RunStopped, Stop
from gnomon.export.fit import why_no_export, why_unfit
from gnomon.export.write import export, verify_export
from gnomon.measure import choose_compile, measure_speed
from gnomon.model.generate import Sampling
from gnomon.observe.console import Console
from gnomon.observe.preparation import preparation_html
from gnomon.observe.report import report_html
from gnomon.pace import guessed
from gnomon.plan import (
    SAMPLE_TOKENS,
    Plan,
    Text,
    asked_vocabulary,
    make_plan,
    read_plan,
    refuse_too_large,
    shape_of,
)
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.datasets import Dataset, open_dataset, verify_dataset
from gnomon.store.manifest import Damage, read_manifest
from gnomon.store.runs import Run
from gnomon.store.verify import Findings, verify_run
from gnomon.tokenizer.foreign import import_tokenizer
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.train.beginning import begin_with, has_learned, settled, tokenizer_of
from gnomon.train.hands import settle
from gnomon.train.interrupts import Interrupts
from gnomon.train.kernels import compile_errors, refuse_without_compiler
from gnomon.train.loop import run as train_loop
from gnomon.train.parallel import ALONE, World, join
from gnomon.train.precision import choose_dtype
from gnomon.train.rollback import restore
from gnomon.train.state import State

Device = Literal["cpu", "cuda"]

DATASET_REPORT = "report.html"
MOST_TRIED = 200_000_000  # parameters; three steps of a larger model take a processor minutes


def train(config: Config, console: Console | None = None) -> dict[str, Any]:
    """Do the whole job of a config and return what came of it: run, dataset, losses, exports (see DESIGN, `train`).

    Every stage that is already done is skipped, and training goes on from its newest whole checkpoint, so
    that calling this twice, or after a kill, equals calling it once. Raises Interrupted after Ctrl-C or
    SIGTERM, with the state saved. Of several processes (torchrun, or `train.processes`) the first prepares, evaluates
    and exports; the others only train, and return no more than the run's folder and their rank.
    """
    console, config = console or Console(quiet=True), settled(config)
    start = time.monotonic()
    run, world = Run(Path(config.out)), join(_device())
    try:
        if not world.first:
            console = Console(quiet=True)
            world.gather(None)  # the first has prepared and planned
            plan = read_plan(run.plan_path)
            dataset = open_dataset(Path(plan.dataset_folder or ""))
            if not _finished(run):
                _train(run, plan, config, dataset, console, world)
            world.leave()
            return {"run": str(run.folder), "rank": world.rank}
        run.settle_config(config.model_dump(mode="json"), _plain(config.data).model_dump(mode="json"))
        with run.lock():
            _refuse_unfit_tokenizer(config)
            dataset = prepare_data(config, console)
            plan = settle_plan(run, config, dataset, console, world.size)
            world.gather(None)
            if not _finished(run):
                _train(run, plan, config, dataset, console, world)
            world.leave()
            result = finish(run, config, dataset, console)
            return {**result, "steps": run.checkpoints.all()[-1].step, "seconds": round(time.monotonic() - start, 1)}
    finally:
        world.abandon()


def _plain(data: DataConfig) -> Config:
    """Return the config of the same text with no other wish."""
    return Config(data=DataConfig(train=data.train, sources=data.sources, prepared=data.prepared))


def _refuse_unfit_tokenizer(config: Config) -> None:
    """Raise ConfigError where a GGUF is to be written and could not hold the tokenizer: now, not after training."""
    path = config.tokenizer.path
    if path is not None and config.export.gguf and (why := why_unfit(import_tokenizer(Path(path)))):
        raise ConfigError(
            f"GGUF cannot hold a model with this tokenizer: {why}",
            where=f"tokenizer.path {path}",
            do="choose another tokenizer, or write no GGUF: export.gguf=[]",
        )


def finish(run: Run, config: Config, dataset: Dataset, console: Console) -> dict[str, Any]:
    """Evaluate, export and report a trained run and return what came of it; what is done is skipped."""
    result = evaluate(run, console)
    bundle = load_bundle(run.folder)
    why = why_no_export(bundle.shape) if config.export.gguf or config.export.hf else None
    formats = ((), False) if why else (config.export.gguf, config.export.hf)
    exported = export(bundle, run.export_folder, *formats, console.progress)
    report = write_report(run)
    console.finish()
    return {
        "run": str(run.folder),
        "dataset": str(dataset.folder),
        "tokens": bundle.checkpoint.state()["tokens"],
        "val_loss": result["loss"],
        "val_bits_per_byte": result["bits_per_byte"],
        "checkpoint": str(bundle.checkpoint.path),
        "exports": [str(path) for path in exported.files],
        **({"not_exported": why} if why else {}),
        "report": str(report),
        "samples": _samples(bundle, config, dataset),
    }


def prepare_data(config: Config, console: Console) -> Dataset:
    """Return the dataset version of the config's text, made now unless it is there already; before it, its worlds."""
    for world in config.worlds:
        write_world(Path(world.folder), Settings(**world.model_dump(exclude={"folder"})), console.progress)
    read_records(config.heads.measured.questions)  # or say now what is wrong with them
    if config.data.prepared is None:
        refuse_unknown(config.mix, [source.name or "" for source in config.data.named], domains_too=True)
    dataset = prepare(config.data, tokenizer_of(config), asked_vocabulary(config), console.progress)
    if not (dataset.folder / DATASET_REPORT).exists():
        with suppress(StorageError):  # others' datasets may be looked at, and not written to
            write_dataset_report(dataset)
    return dataset


def write_dataset_report(dataset: Dataset) -> Path:
    """Write the page that shows a dataset version into its folder and return its path."""
    write_atomic(path := dataset.folder / DATASET_REPORT, preparation_html(dataset).encode())
    return path


def plan_of(config: Config, dataset: Dataset | None, console: Console, processes: int = 1) -> Plan:
    """Return the plan of a config on this machine. Measures dtype and speed, which takes some seconds, and where
    compiling may pay half a minute more.
    """
    keep_freed_memory()
    bound_kernel_caches()
    keep_compiled_kernels()
    config, machine, device = settled(config), this_machine(), _device()
    torch.set_num_threads(config.train.threads or max(1, machine.cores // processes))
    dtype = choose_dtype(device, config.train.dtype)
    text, split = (None, None) if dataset is None else (text_of(dataset), dataset.split("train"))
    shape = shape_of(config, text.vocabulary if text else None)
    init = begin_with(config, shape, dataset)
    learned = {name: getattr(text, name) or has_learned(config, name) for name in ("chat", "recites")} if text else {}
    text = text and text.model_copy(update=learned)
    planned = partial(make_plan, config, machine, device=device, dtype=dtype, text=text, processes=processes, init=init)
    guess = guessed(shape.flops_per_token(shape.context), shape.parameters)
    if 40 * shape.parameters > machine.memory_bytes or (device == "cpu" and shape.parameters > MOST_TRIED):
        if config.train.compile is True:
            refuse_without_compiler()
            return planned(pace=guess, compiled=(True, "train.compile asks for it"))
        return planned(pace=guess, compiled=(False, "the model is too large to be tried here quickly"))
    console.progress("measuring speed", 0, None, "steps")
    try:
        seconds = 4.0 if parse_budget(config.budget)[0] == "seconds" else 0.5  # else little but estimates rests on it
        pace = measure_speed(config, shape, device, dtype[0], text=split, seconds=seconds).pace
    except MemoryError:
        return planned(pace=guess, compiled=(False, "memory was too short to try it"))
    try:
        if config.train.compile is not False:
            refuse_too_large(planned(pace=pace, compiled=(True, "")), machine)
        compiled, why, pace = choose_compile(config, planned(pace=pace), pace, shape, split)
        return planned(pace=pace, compiled=(compiled, why))
    except ConfigError as e:
        if config.train.compile is True:
            raise
        return planned(pace=pace, compiled=(False, f"compiled, {e.what}"))


def settle_plan(run: Run, config: Config, dataset: Dataset, console: Console, processes: int = 1) -> Plan:
    """Return the run's plan: the one it began with, or a new one, written before the first step."""
    if run.plan_path.exists():
        plan = read_plan(run.plan_path)
        if plan.dataset != dataset.digest:
            raise ConfigError(
                "the text has changed since this run began",
                where=f"{run.folder}: dataset {str(plan.dataset)[:12]}, now {dataset.digest[:12]}",
                do="train on the new text in another folder (out=runs/another), or put the old text back",
            )
        return plan
    tokenizer = Tokenizer.load(dataset.tokenizer_path)
    if config.heads.kinds:
        refuse_other_marks(dataset, list(mark_kinds(tokenizer)))
    digest = digest_of(config.heads.measured.questions, tokenizer, shape_of(config).context)
    plan = plan_of(config, dataset, console, processes).model_copy(update={"measured_questions": digest})
    refuse_too_large(plan, this_machine())
    if plan.disk_bytes > (free := DISK.free(run.folder)):
        raise StorageError(
            f"the run needs {plan.disk_bytes / 2**20:,.0f} MiB on disk and {free / 2**20:,.0f} MiB are free",
            where=str(run.folder),
            do="free some space, keep fewer checkpoints (train.keep_last), or choose another `out`",
        )
    write_atomic(run.tokenizer_path, dataset.tokenizer_path.read_bytes())
    write_atomic(run.plan_path, pretty_json(plan.model_dump(mode="json")))
    return plan


def evaluate(run: Run, console: Console | None = None) -> dict[str, Any]:
    """Return the best checkpoint's score on the whole validation split, and keep it in the run's `eval/` folder."""
    bundle = load_bundle(run.folder)
    if run.evaluation_path.exists():
        known = read_json(run.evaluation_path)
        if known["checkpoint"] == bundle.checkpoint.path.name:
            return known
    plan = read_plan(run.plan_path)
    result = score_split(bundle, open_dataset(Path(plan.dataset_folder or "")), plan, console)
    kept = {"checkpoint": bundle.checkpoint.path.name, **result.as_dict()}
    write_atomic(run.evaluation_path, pretty_json(kept))
    return kept


def score_split(bundle: Bundle, dataset: Dataset, plan: Plan, console: Console | None) -> Score:
    """Return the score of a model on its dataset's whole validation split, in the run's own number format."""
    torch.set_num_threads(plan.threads)
    split = dataset.split("validation")
    rows = validation_rows(dataset, bundle.shape.context, plan.micro_rows, None)
    seen = 0

    def told() -> Any:
        nonlocal seen
        for micro in rows:
            yield micro
            seen += micro.loss_tokens
            if console:
                console.progress("evaluating", seen, split.bearing, "tokens")

    return score(bundle.model, told(), bytes_per_token=split.bytes / split.n_tokens, dtype=plan.dtype)


def write_report(run: Run) -> Path:
    """Write the run's report.html from what is on disk and return its path."""
    exports = []
    manifest = run.export_folder / "manifest.json"
    if manifest.exists():
        exports = read_json(manifest)["table"]
    scored = read_json(run.evaluation_path) if run.evaluation_path.exists() else None
    page = report_html(run.name, read_plan(run.plan_path).model_dump(), read_events(run.events_path), scored, exports)
    write_atomic(run.report_path, page.encode())
    return run.report_path


def text_of(dataset: Dataset) -> Text:
    """Return what a plan needs to know of a dataset."""
    train, held_out = dataset.split("train"), dataset.split("validation")
    return Text(
        digest=dataset.digest,
        folder=str(dataset.folder.resolve()),
        vocabulary=dataset.manifest["tokenizer"]["vocabulary"],
        train_tokens=train.n_tokens,
        validation_tokens=held_out.n_tokens,
        bytes_per_token=train.bytes / train.n_tokens,
        sources={name: split.n_tokens for name, split in dataset.sources("train").items()},
        chat=any(source.get("form") == "chat" for source in dataset.manifest["sources"]),
        recites=any(source.get("recite") is True for source in dataset.manifest["sources"]),
    )


def _device() -> Device:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _finished(run: Run) -> bool:
    ends = [e for e in read_events(run.events_path) if e["kind"] == "run_stopped"]
    done = bool(ends) and ends[-1]["reason"] in ("finished", "early_stop")
    return done and bool(run.checkpoints.all())


def _train(run: Run, plan: Plan, config: Config, dataset: Dataset, console: Console, world: World) -> None:
    """Train from the newest whole checkpoint, or from the start, to the end of the plan."""
    keep_freed_memory()
    bound_kernel_caches()
    keep_compiled_kernels()
    torch.set_num_threads(plan.threads)
    attempt = world.gather(run.begin_attempt() if world.first else 0)[0]
    if world.first:
        sweep_staging(run.folder)
        run.checkpoints.sweep()
    tokenizer, state = Tokenizer.load(run.tokenizer_path), build_state(plan, config, world)
    seen: list[GaveUp] = []

    def show(event: Event) -> None:
        seen.extend([event] if isinstance(event, GaveUp) else [])
        console(event)

    hands = build_hands(run, plan, config, dataset, world, attempt, show)
    try:
        resumed_from = restore(state, hands)
        told = {"resumed_from": resumed_from, "init": plan.init}
        hands.bus.publish(RunStarted(run=run.name, step=state.step, steps=plan.steps, **told))
        start = time.monotonic()
        with Interrupts() as interrupts, compile_errors():
            checks = build_checks(plan, config, dataset, tokenizer, interrupts, world, hands.loader)
            checks += build_measuring(state, hands, plan, config, tokenizer)
            stop = train_loop(state, checks, hands)
        settle(hands.saver.wait(), state, hands)
        hands.bus.publish(RunStopped(step=state.step, reason=stop.reason, seconds=time.monotonic() - start))
    finally:
        hands.saver.close()
        hands.loader.close()
    world.leave()
    _end(stop, run, state, plan, seen)


def _end(stop: Stop, run: Run, state: State, plan: Plan, seen: list[GaveUp]) -> None:
    if stop.reason == "interrupted":
        raise Interrupted(
            f"stopped at step {state.step:,} of {plan.steps:,}; everything is saved",
            where=str(run.folder),
            do="run the same command again to go on",
        )
    if stop.reason == "out_of_memory":
        raise TrainingError(
            f"{stop.why} at step {state.step:,}",
            where=str(run.events_path),
            do="choose a smaller size or model.context",
        )
    if stop.reason == "unhealthy":
        shown = seen[-1] if seen else None
        details = [f"{stop.why} (step {state.step:,})"]
        if shown:
            details.append(
                f"rows {shown.first_row:,} to {shown.first_row + shown.rows - 1:,}: " + ", ".join(shown.documents)
            )
            details += shown.state
        raise TrainingError(
            "\n      ".join(details),
            where=str(run.events_path),
            do=f"look at these texts; or train in a new folder with a lower rate, such as train.lr={plan.lr / 3:.1g}",
        )


def _samples(bundle: Bundle, config: Config, dataset: Dataset) -> list[dict[str, str]]:
    prompts = config.prompts or openings(dataset, bundle.tokenizer)
    texts = continue_each(
        bundle.model, bundle.tokenizer, prompts, SAMPLE_TOKENS, Sampling(top_p=0.95, seed=config.seed)
    )
    return [{"prompt": p, "text": text} for p, text in zip(prompts, texts, strict=True)]


def prepared(config: Config) -> Dataset | None:
    """Return the config's dataset if it has been prepared, without preparing it; None otherwise."""
    return find_prepared(config.data, tokenizer_of(config), asked_vocabulary(config))


def simulate_mix(config: Config, console: Console) -> dict[str, Any]:
    """Return what a run of the config would read of each source, before anything is trained: the plan's batches, their
    rows and tokens, and by source its part of them and how often it is read.

    The plan is that of the run, where it has begun. Raises DataError where the text has not been prepared.
    """
    dataset = prepared(config)
    if dataset is None:
        raise DataError("the text has not been prepared", do="run `gnomon data prepare CONFIG` first")
    run = Run(Path(config.out))
    plan = read_plan(run.plan_path) if run.plan_path.exists() else _plan_of_batches(config, dataset, console)
    stream = build_loader(plan, config, dataset, Decisions(), ALONE).stream
    last, steps = 0, 0
    while last < plan.steps * plan.rows_per_step:
        last, steps = stream.after(last), steps + 1
    shares = stream.shares(last)
    return {
        "steps": steps,
        "rows": last,
        "tokens": sum(share.tokens for share in shares),
        "why": plan.reasons.get("weights", ""),
        "sources": [asdict(share) for share in shares],
    }


def _plan_of_batches(config: Config, dataset: Dataset, console: Console) -> Plan:
    """Return a plan whose batches are those that a run would have. A budget in tokens says how many there are without a
    word about speed, which then is a guess; for one in time it is measured.
    """
    if parse_budget(config.budget)[0] == "seconds":
        return plan_of(config, dataset, console)
    config, text = settled(config), text_of(dataset)
    shape = shape_of(config, text.vocabulary)
    pace = guessed(shape.flops_per_token(shape.context), shape.parameters)
    return make_plan(config, this_machine(), device="cpu", dtype=("fp32", "not chosen"), pace=pace, text=text)


def verify(path: Path) -> Findings:
    """Return what is damaged in a dataset, run, checkpoint or export. Raises DataError for anything else."""
    if (path / "plan.json").exists() or (path / "checkpoints").is_dir():
        run = Run(path)
        found = verify_run(run)
        if any(run.export_folder.glob("[!.]*")) and found.add(verify_export(run.export_folder), "export/"):
            found.notes.append("export: whole")
        return found
    single = next((c for c in CheckpointStore(path.parent).all() if c.path.name == path.name), None)
    if single is not None:
        return Findings(single.damage())
    if not (path / "manifest.json").exists():
        raise DataError(
            "there is no manifest here to verify against",
            where=str(path),
            do="give a dataset version, a run, a checkpoint or an export folder",
        )
    try:
        body = read_manifest(path)
    except IntegrityError as e:
        return Findings([Damage("manifest.json", None, e.what)])
    if body.get("kind") == "export":
        return Findings(verify_export(path))
    return Findings(verify_dataset(path))
