"""What a person sees while work goes on: bars with the time left on a terminal, plain lines elsewhere. On
standard error.
"""

import time

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from gnomon.base.heartbeat import beat
from gnomon.events.types import (
    CheckpointDamaged,
    CheckpointSaved,
    DepthMeasured,
    Event,
    GaveUp,
    LengthChanged,
    MicroRowsChanged,
    QuestionsMeasured,
    RequestRefused,
    RolledBack,
    RowsChanged,
    RunStarted,
    RunStopped,
    Sampled,
    SaveFailed,
    SourcesValidated,
    StepDone,
    TextShifted,
    Validated,
    WeightsChanged,
)

SECONDS_BETWEEN_LINES = 10.0  # where there is no terminal


class Console:
    """Shows progress (`progress`), a run's events (call it with one) and sentences (`say`)."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = RichConsole(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._steps = 0
        self._loss = ""

    def say(self, text: str, style: str | None = None) -> None:
        """Print one line above the bars."""
        (self._bars.console if self._bars else self._out).print(text, style=style, markup=False)

    def progress(self, stage: str, done: int, total: int | None, unit: str) -> None:
        """Show that `done` of `total` units of a stage are behind us, and tell a supervisor that work moves on."""
        beat()
        if total != 0:  # a stage that has nothing to do is none
            self._show(stage, done, total, _amount(done, total, unit))

    def __call__(self, event: Event) -> None:
        """Show one event of a run, and tell a supervisor that work moves on."""
        beat()
        match event:
            case RunStarted():
                self._steps = event.steps
                self._started["training"] = time.monotonic()
                if event.resumed_from:
                    self.say(f"going on from {event.resumed_from}, step {event.step:,} of {event.steps:,}")
            case StepDone():
                done = float(event.step) if event.done is None else event.done  # batches may have had other sizes
                of = f"/{self._steps:,}" if done == event.step else f", {done / max(1, self._steps):.0%}"
                mark = "" if event.verdict == "ok" else f" ({event.verdict.replace('_', ' ')}, skipped)"
                self._loss = f"loss {event.loss:.3f}{mark}"
                self._show(
                    "training",
                    min(int(done), self._steps) if of[0] == "," else event.step,
                    self._steps,
                    f"step {event.step:,}{of}  {self._loss}  lr {event.lr:.1e}  "
                    f"{event.tokens_per_second:,.0f} tokens/s  {event.memory_bytes / 2**20:,.0f} MiB",
                )
            case Validated():
                mark = "  best so far" if event.best else ""
                self.say(
                    f"step {event.step:>6,}  validation loss {event.loss:.4f}  "
                    f"{event.bits_per_byte:.4f} bits per byte{mark}"
                )
            case Sampled():
                self.say(f"step {event.step:>6,}  sample: {_one_line(event.prompt + event.text)}", style="dim")
            case CheckpointSaved() if event.reason in ("interrupted", "early_stop"):
                self.say(f"saved {event.checkpoint} ({event.bytes / 2**20:,.0f} MiB, {event.seconds:.1f} s)")
            case CheckpointDamaged():
                self.say(f"checkpoint {event.checkpoint} is damaged and was set aside: {event.why}", style="yellow")
            case SaveFailed():
                self.say(f"step {event.step:,}: no checkpoint could be written: {event.why}", style="yellow")
            case MicroRowsChanged():
                self.say(f"step {event.step:,}: {event.why}; going on with {event.micro_rows} rows", style="yellow")
            case RowsChanged():
                rows = f"{event.rows_per_step:,} rows a step from row {event.at_row:,} on"
                self.say(f"step {event.step:,}: {event.why}; {rows}")
            case LengthChanged():
                length = f"pieces of at most {event.length:,} tokens from row {event.at_row:,} on"
                self.say(f"step {event.step:,}: {event.why}; {length}")
            case WeightsChanged():
                weights = ", ".join(f"{name} {weight:.3g}" for name, weight in event.weights.items())
                self.say(f"step {event.step:,}: {event.why}; weights from row {event.at_row:,} on: {weights}")
            case SourcesValidated():
                losses = ", ".join(f"{name} {loss:.4f}" for name, loss in event.losses.items())
                self.say(f"step {event.step:>6,}  of each source: {losses}")
            case DepthMeasured():
                loops = f"loops {event.mean:.2f} ± {event.deviation:.2f}, with difficulty {event.rank:+.2f}"
                self.say(f"step {event.step:>6,}  {loops}; dealt to others the loss is {event.shuffled:.4f}")
            case QuestionsMeasured():
                asked = f"asked {event.questions:,} questions, {event.known:.1%} of the answers right"
                self.say(f"step {event.step:>6,}  {asked}; AUROC of what heads had said: {_forecast(event)}")
            case RequestRefused():
                self.say(f"step {event.step:,}: {event.request}: {event.why}", style="yellow")
            case RolledBack():
                self.say(
                    f"step {event.from_step:,}: {event.why}; back to step {event.step:,}, leaving out "
                    f"{event.skip_rows:,} rows, rate x {event.rate_factor}",
                    style="yellow",
                )
            case TextShifted():
                self.say(f"step {event.step:,}: {event.what} in the text: {event.cause}", style="yellow")
            case GaveUp():
                self.say(f"step {event.step:,}: {event.why}", style="red")
            case RunStopped():
                self.finish()
            case _:
                pass

    def finish(self) -> None:
        """Leave the bars as they are and start afresh with the next stage."""
        if self._bars:
            self._bars.stop()
        self._bars, self._tasks = None, {}

    def _show(self, stage: str, done: int, total: int | None, text: str) -> None:
        if not self._out.is_terminal:
            self._line(stage, done, total, text)
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description:<22}"),
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                TextColumn("{task.fields[text]}"),
                console=self._out,
            )
            self._bars.start()
        if stage not in self._tasks:
            for task in self._bars.tasks:  # what came before is over, also where nobody knew how much it would be
                if task.total is None:
                    self._bars.update(task.id, total=1, completed=1)
            self._tasks[stage] = self._bars.add_task(stage, total=total, completed=done, text=text)
        self._bars.update(self._tasks[stage], completed=done, total=total, text=text)

    def _line(self, stage: str, done: int, total: int | None, text: str) -> None:
        now = time.monotonic()
        started = self._started.setdefault(stage, now)
        finished = total is not None and done >= total
        if not finished and now - self._last_line.get(stage, -SECONDS_BETWEEN_LINES) < SECONDS_BETWEEN_LINES:
            return
        if self._last_line.get(stage) == float("inf"):
            return
        self._last_line[stage] = float("inf") if finished else now
        left = ""
        if total and 0 < done < total and now - started > 1:
            left = f"  {_duration((now - started) / done * (total - done))} left"
        self.say(f"{stage}: {text}{left}")


def _forecast(event: QuestionsMeasured) -> str:
    return ", ".join(
        f"{name} " + ("–" if (found := said["auroc"]) is None else f"{found:.3f}") + f" (ECE {said['ece']:.3f})"
        for name, said in event.forecast.items()
    )


def _amount(done: int, total: int | None, unit: str) -> str:
    if unit == "bytes":
        done_text, total_text = f"{done / 1e6:,.1f}", f"{(total or 0) / 1e6:,.1f} MB"
    else:
        done_text, total_text = f"{done:,}", f"{total or 0:,} {unit}"
    return f"{done_text} of {total_text}" if total else f"{done_text} {total_text.split(' ', 1)[1]}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 160 else flat[:159] + "…"
