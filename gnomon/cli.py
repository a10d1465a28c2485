"""The command line: one small function a verb, which imports its work inside, so that --help is quick.

A verb that takes --json then prints one JSON object as its last line on standard output, what it found or why it failed
(see `verbs/failure.py`); progress and words for people go to standard error. Exit codes are those of `base/errors.py`.
"""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gnomon.base.errors import ConfigError, GnomonError
from gnomon.base.log import tame_libraries
from gnomon.base.machine import bound_kernel_caches
from gnomon.verbs.artifacts import checkpoints, report, verify
from gnomon.verbs.ask import ask
from gnomon.verbs.bench import bench_app
from gnomon.verbs.calibrate import calibrate
from gnomon.verbs.common import ConfigPath, Json, Overrides, RunPath, config_of, print_json
from gnomon.verbs.data import data_app
from gnomon.verbs.eval import eval
from gnomon.verbs.failure import Failure, print_failure, wants_json
from gnomon.verbs.heads import heads_app
from gnomon.verbs.mix import mix_app
from gnomon.verbs.questions import questions_app
from gnomon.verbs.tokenizer import tokenizer_app

if TYPE_CHECKING:
    from gnomon.bundle import Bundle
    from gnomon.model.generate import Sampling

STOPPED = 130  # the exit code after Ctrl-C
STOPPED_SAYS = "stopped; what was finished is saved, and the same command goes on from there"
FAULT_SAYS = "this is a fault in gnomon itself"
app = typer.Typer(
    help="Train small language models on your own text: from a folder to llama.cpp and Ollama.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.add_typer(tokenizer_app, name="tokenizer")
app.add_typer(mix_app, name="mix")
app.add_typer(bench_app, name="bench")
app.add_typer(questions_app, name="questions")
app.add_typer(heads_app, name="heads")


@app.command()
def train(config: ConfigPath, overrides: Overrides = None, as_json: Json = False) -> None:
    """Prepare the text, plan, train, evaluate and export. Run again, it goes on where it stopped.

    Examples:

      gnomon train my.json

      gnomon train my.json size=15M budget=2h out=runs/larger train.lr=1e-3

    A config of four lines is enough: {"data": "texts/", "size": "5M", "budget": "10m", "out": "runs/first"}
    """
    from gnomon.base.heartbeat import attach
    from gnomon.train.supervise import Settings, can_supervise, gnomon_command, supervise

    attach()
    loaded = config_of(config, overrides)
    if loaded.train.supervise and can_supervise(os.environ):
        command = gnomon_command("train", *(["--json"] if as_json else []), "--", str(config), *(overrides or []))
        chosen = loaded.train
        settings = Settings(Path(loaded.out), chosen.processes, chosen.restarts, chosen.hang_seconds)
        sys.exit(supervise(command, os.environ, settings))  # the training process has said what happened
    from gnomon.observe.console import Console
    from gnomon.pipeline import train as run
    from gnomon.train.parallel import leave_at_once

    console = Console()
    result = run(loaded, console)
    if "rank" in result:
        leave_at_once()  # one of several processes; the first speaks for all
    if as_json:
        print_json(result)
        return
    for sample in result["samples"]:
        typer.echo(f"\n── {sample['prompt']!r} goes on ──\n{sample['prompt']}{sample['text']}")
    typer.echo(
        f"\nvalidation   {result['val_bits_per_byte']:.4f} bits per byte (loss {result['val_loss']:.4f} nats a token)"
    )
    for path in [*result["exports"], result["report"]]:
        typer.echo(f"written      {path}")
    if "not_exported" in result:
        typer.echo(f"no export    neither GGUF nor transformers can hold it: {result['not_exported']}")
    typer.echo(f"talk to it   gnomon chat {result['run']}")


@app.command()
def plan(config: ConfigPath, overrides: Overrides = None, as_json: Json = False) -> None:
    """Print every number a run would have, with its reason: parameters, memory, FLOPs, time, disk. Trains nothing.

    Uses the prepared text if there is some; measures this machine's speed for a few seconds.

    Examples:

      gnomon plan my.json

      gnomon plan my.json size=124M budget="2B tokens"
    """
    from gnomon.observe.console import Console
    from gnomon.observe.report import HIDDEN, show
    from gnomon.pipeline import plan_of, prepared

    loaded = config_of(config, overrides)
    planned = plan_of(loaded, prepared(loaded), Console()).model_dump(mode="json")
    if as_json:
        print_json(planned)
        return
    rows = [(k, show(k, v), planned["reasons"].get(k, "")) for k, v in planned.items() if k not in HIDDEN]
    for part, count in planned["parameter_table"].items():
        rows.append((f"  {part}", f"{count:,}", f"{100 * count / planned['parameters']:.1f} % of the parameters"))
    width = max(len(value) for _, value, _ in rows)
    for key, value, reason in rows:
        typer.echo(f"{key:<18} {value:<{width}}  {reason}".rstrip())


app.command()(eval)
app.command()(calibrate)
app.command()(ask)


MaxTokens = Annotated[int, typer.Option(min=1, help="Most tokens to write.")]
Temperature = Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token; more is freer.")]
TopK = Annotated[int, typer.Option(min=0, help="Choose among this many likeliest tokens; 0: all.")]
TopP = Annotated[float, typer.Option(min=0.0, max=1.0, help="Choose among the likeliest with this total probability.")]
MinP = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Leave out tokens this much less likely than the likeliest.")
]
Penalty = Annotated[float, typer.Option(min=0.1, help="Above 1, tokens already seen become less likely.")]
Seed = Annotated[int, typer.Option(min=0, help="Equal seeds give equal text.")]
Stop = Annotated[list[str] | None, typer.Option(help="Text that ends the answer; may be given several times.")]


@app.command()
def generate(
    run: RunPath,
    prompt: Annotated[str, typer.Option(help="The text to go on from.")] = "",
    max_tokens: MaxTokens = 200,
    temperature: Temperature = 0.8,
    top_k: TopK = 0,
    top_p: TopP = 0.95,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    seed: Seed = 0,
    stop: Stop = None,
    as_json: Json = False,
) -> None:
    """Continue a text with a trained model.

    Example:  gnomon generate runs/first --prompt "Once upon a time" --max-tokens 100 --temperature 0.7 --seed 1
    """
    from gnomon.bundle import load_bundle
    from gnomon.model.generate import Sampling

    sampling = Sampling(temperature, repetition_penalty, top_k, top_p, min_p, seed)
    bundle = load_bundle(run)
    if not as_json:
        sys.stdout.write(prompt)
    text = _stream(bundle, prompt, max_tokens, sampling, stop or [], silent=as_json)
    if as_json:
        print_json({"text": text, "tokens": len(bundle.tokenizer.encode(text))})


@app.command()
def chat(
    run: RunPath,
    max_tokens: MaxTokens = 200,
    temperature: Temperature = 0.8,
    top_k: TopK = 0,
    top_p: TopP = 0.95,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    seed: Seed = 0,
    stop: Stop = None,
) -> None:
    """Talk to a model. A base model, which has read text but no conversations, continues what you write.

    Example:  gnomon chat runs/first --temperature 0.7
    """
    from gnomon.bundle import load_bundle
    from gnomon.model.generate import Sampling

    bundle = load_bundle(run)
    typer.echo(
        f"{bundle.name}, {bundle.shape.parameters / 1e6:.1f}M parameters, step {bundle.checkpoint.step:,}.\n"
        "This is a base model: it continues your text rather than chats. An empty line or Ctrl-D ends.",
        err=True,
    )
    turn = 0
    while prompt := _ask("> "):
        _stream(
            bundle,
            prompt,
            max_tokens,
            Sampling(temperature, repetition_penalty, top_k, top_p, min_p, seed + turn),
            stop or [],
        )
        turn += 1


@app.command()
def export(
    run: RunPath,
    format: Annotated[Literal["gguf", "hf"], typer.Option(help="gguf for llama.cpp and Ollama, hf for transformers.")],
    dtype: Annotated[
        Literal["f32", "f16", "bf16", "q8_0"] | None,
        typer.Option(help="Of the weights; gguf: f16, hf: f32 by default."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; the run's export/ by default.")] = None,
    as_json: Json = False,
) -> None:
    """Write a model for other programs, and check that what was written says what the model says.

    Examples:

      gnomon export runs/first --format gguf --dtype q8_0

      gnomon export runs/first --format hf --out my-model
    """
    from gnomon.bundle import load_bundle
    from gnomon.export.write import export as write
    from gnomon.observe.console import Console

    if format == "hf" and dtype not in (None, "f32", "bf16"):
        raise ConfigError(f"the hf format is written in f32 or bf16, not {dtype}", do="choose one of them")
    bundle, console = load_bundle(run), Console()
    gguf, hf = ([dtype or "f16"], False) if format == "gguf" else ([], dtype or "f32")
    result = write(bundle, out or bundle.run.export_folder, gguf, hf, console.progress)
    console.finish()
    files = [str(path) for path in result.files]
    if as_json:
        print_json({"files": files, "verified": result.verdicts})
        return
    for row in result.table:
        typer.echo(f"{row['name']:<34} {row['bytes'] / 2**20:>9.2f} MiB  {row['verified']}")


for verb in (verify, checkpoints, report):
    app.command()(verb)


def _stream(
    bundle: "Bundle",
    prompt: str,
    max_tokens: int,
    sampling: "Sampling",
    stop: list[str],
    *,
    silent: bool = False,
) -> str:
    from gnomon.bundle import continue_text

    text = ""
    for piece in continue_text(bundle.model, bundle.tokenizer, prompt, max_tokens, sampling, stop):
        text += piece
        if not silent:
            sys.stdout.write(piece)
            sys.stdout.flush()
    if not silent:
        sys.stdout.write("\n")
    return text


def _ask(mark: str) -> str:
    try:
        return input(mark)
    except EOFError:
        return ""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code of what happened."""
    tame_libraries()
    bound_kernel_caches()
    words = sys.argv[1:] if arguments is None else arguments
    sys.exit(_guarded(lambda: app(arguments, standalone_mode=False), as_json=wants_json(words)))


def _guarded(work: Callable[[], Any], *, as_json: bool) -> int:
    try:
        result = work()
        if result == STOPPED:  # the command-line library's word for Ctrl-C
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except typer.Exit as e:  # the verb has said all there is
        return e.exit_code
    except (Exception, KeyboardInterrupt) as e:
        failure = _told(e)
        if as_json:
            print_failure(failure)
        return failure.exit_code


def _told(error: BaseException) -> Failure:
    """Return what happened, told to a person on standard error."""
    if isinstance(error, GnomonError):
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        return Failure(type(error).__name__, error.what, error.where, error.do, error.exit_code)
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        typer.echo(STOPPED_SAYS, err=True)
        return Failure("Interrupted", STOPPED_SAYS, None, None, STOPPED)
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if show and code:  # a usage error, in the words of the command-line library
        show()
        return Failure("UsageError", getattr(error, "format_message", error.__str__)(), None, "see --help", code)
    logging.getLogger("gnomon").error(FAULT_SAYS, exc_info=error)
    return Failure(type(error).__name__, f"{FAULT_SAYS}: {error}", None, None, 1)


if __name__ == "__main__":
    main()
