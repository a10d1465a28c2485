"""The kill test beside the `transformers` Trainer: the same shape, text, batch and number of steps, killed by SIGKILL.

    python bench/peer_kills.py --kills 20 --seed 20
    python bench/peer_kills.py --kills 20 --seed 20 --write docs/kill_test.md

Each program trains without an interruption (twice, as a control), then again while it is killed at random
instants and started anew as its documentation says. What it logged and the weights it ends with are compared with the
uninterrupted run of the same program. Then single bits of the newest checkpoint are flipped before a resume. Every
training is a process of its own; the Trainer's are forked from this one, which has the imports done. Linux only.
"""

import argparse
import json
import math
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from programs import LENGTH, STEPS, Gnomon, HuggingFace, Program, error_in, said

from gnomon.base.machine import this_machine
from gnomon.store.datasets import list_datasets

SHARE_ANY_TIME, SHARE_IN_SAVES = 0.1, 0.4  # how kills are aimed; the others fall a random time after a first step


@dataclass
class Tally:
    """What kills and resumes did to one program."""

    kills: Counter[str] = field(default_factory=Counter)  # by where they fell: steps, save, elsewhere
    worked: int = 0  # resumes that took a step, as documented
    undecided: int = 0  # resumes that were killed before their first step
    failed: Counter[str] = field(default_factory=Counter)  # resumes that ended with an error, by where the kill fell
    errors: Counter[str] = field(default_factory=Counter)
    removed: int = 0  # checkpoints removed by hand, so that the run could go on
    repeated: int = 0  # steps done twice
    ends: int = 0  # killed runs that came to their end
    equal_ends: int = 0  # with the weights of the uninterrupted run
    losses: int = 0
    different: int = 0  # losses that are not, bit for bit, those of the uninterrupted run
    largest: float = 0.0  # difference of a loss, nats
    control: bool = False  # two uninterrupted runs have the same losses and weights


def kill_test(program: Program, folder: Path, kills: int) -> Tally:
    """Train without interruption, then kill and resume until `kills` kills are done and the run under way has ended.

    A run that ends before its kill comes is compared, and a new one begun. What a resume that fails leaves is
    mended as a user would: the newest checkpoint is removed by hand.
    """
    whole, control, out, tally = folder / "whole", folder / "control", folder / "killed", Tally()
    seconds = train(program, whole)
    train(program, control)
    tally.control = same(program, whole, control)
    fell, pending = "", False  # where the kill fell that is yet to be resumed from, and whether there is one
    while tally.kills.total() < kills or out.exists():
        before = len(program.steps(out))
        what = attempt(program, out, seconds, kill=tally.kills.total() < kills)
        if what == "failed":
            broken = program.newest(out)
            if broken is None:
                raise RuntimeError(f"{program.name} fails without a checkpoint:\n{said(out)}")
            tally.failed[fell] += 1
            tally.errors[error_in(said(out))] += 1
            tally.removed += 1
            shutil.rmtree(broken)
            pending = False
            continue
        judged = what == "ended" or len(program.steps(out)) > before
        if pending:
            tally.worked, tally.undecided = tally.worked + judged, tally.undecided + (not judged)
        if what == "ended":
            compare(program, whole, out, tally)
            shutil.rmtree(out)
        else:
            tally.kills[what] += 1
            fell = what if judged or not pending else fell
        pending = what != "ended"
    return tally


def train(program: Program, out: Path) -> float:
    """Train to the end without an interruption; return the seconds from the first step to the end."""
    child = program.start(out)
    child.wait(lambda: bool(program.steps(out)))
    start = time.monotonic()
    if child.wait() != 0:
        raise RuntimeError(f"{program.name} does not train:\n{said(out)}")
    return time.monotonic() - start


def attempt(program: Program, out: Path, seconds: float, *, kill: bool) -> str:
    """Start the run and kill it at a random instant; return where: steps, save or elsewhere, else ended or failed.

    Where it fell is read from what the dead process left: a save is under way if the disk holds a part of one that
    was not there before this start.
    """
    done, parts = len(program.steps(out)), program.unfinished(out) if out.is_dir() else set()
    aim, part_of_run, signs = random.random(), random.random(), random.randrange(1, 4)
    seen: set[str] = set()
    start = time.monotonic()
    child = program.start(out)

    def saves_begun() -> bool:
        seen.update(program.unfinished(out) - parts)
        return len(seen) >= signs

    if not kill:
        child.wait()
    elif aim < SHARE_ANY_TIME:
        child.wait(lambda: time.monotonic() > start + part_of_run * seconds)
    elif aim < SHARE_ANY_TIME + SHARE_IN_SAVES:
        child.wait(saves_begun, every_seconds=0.0005)
        time.sleep(part_of_run * 0.01)
    else:
        child.wait(lambda: len(program.steps(out)) > done, every_seconds=0.005)
        start = time.monotonic()
        child.wait(lambda: time.monotonic() > start + 0.3 * part_of_run * seconds)
    if not child.kill():
        return "failed" if child.code else "ended"
    if program.unfinished(out) - parts:
        return "save"
    steps = program.steps(out)
    return "steps" if len(steps) > done and steps[-1][0] < STEPS else "elsewhere"


def same(program: Program, one: Path, other: Path) -> bool:
    """Return whether two runs have the same losses, bit for bit, and the same weights."""
    return program.losses(one) == program.losses(other) and program.digest(one) == program.digest(other)


def compare(program: Program, whole: Path, out: Path, tally: Tally) -> None:
    """Add the end of a killed run to the tally."""
    expected, found, steps = program.losses(whole), program.losses(out), program.steps(out)
    differences = [abs(loss - found.get(step, math.inf)) for step, loss in expected.items()]
    tally.repeated += len(steps) - len(found)
    tally.ends += 1
    tally.equal_ends += program.digest(out) == program.digest(whole)
    tally.losses += len(expected)
    tally.different += sum(d != 0 for d in differences)
    tally.largest = max(tally.largest, *differences)


@dataclass
class Flips:
    """What became of single flipped bits in the newest checkpoint."""

    outcomes: Counter[str] = field(default_factory=Counter)  # noticed, stopped, silent
    changed: Counter[str] = field(default_factory=Counter)  # of these, ended with other losses or weights
    files: dict[str, list[str]] = field(default_factory=dict)  # outcome by file


def flip_test(program: Program, folder: Path, flips: int) -> Flips:
    """Flip one random bit in a random file of the newest checkpoint, resume to the end, and say whether it was noticed.

    noticed: the program said so and went on from an older checkpoint or so; stopped: it ended with an error;
    silent: it went on without a word.
    """
    base, out, result = folder / "base", folder / "flipped", Flips()
    while not base.exists() or program.unfinished(base):
        shutil.rmtree(base, ignore_errors=True)
        child = program.start(base)
        child.wait(lambda: len(program.steps(base)) > 0.7 * STEPS)
        if not child.kill():
            raise RuntimeError(f"{program.name} ended before it could be killed:\n{said(base)}")
    shutil.copytree(base, out)
    program.start(out).wait()
    quiet = said(out) + said(folder / "whole")
    for _ in range(flips):
        shutil.rmtree(out)
        shutil.copytree(base, out)
        newest = program.newest(out)
        assert newest is not None
        file = random.choice(sorted(p for p in newest.rglob("*") if p.is_file()))
        content = bytearray(file.read_bytes())
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        file.write_bytes(content)
        if program.start(out).wait() != 0:
            outcome = "stopped"
        else:
            outcome = "noticed" if program.complaints(out, quiet) else "silent"
            result.changed[outcome] += not same(program, folder / "whole", out)
        result.outcomes[outcome] += 1
        result.files.setdefault(file.name, []).append(outcome)
    return result


def main() -> None:
    """Run both tests on every program and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of each program")
    parser.add_argument("--flips", type=int, default=20, help="of each program")
    parser.add_argument("--seed", type=int, default=20, help="of the instants and the bits")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help="write a page of documentation here")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    results: dict[str, tuple[Tally, Flips]] = {}
    with tempfile.TemporaryDirectory(prefix="kills-") as scratch:
        folder = Path(scratch)
        ours = Gnomon(folder)
        results[ours.name] = both_tests(ours, folder, asked)
        rows = token_rows(folder / "datasets")
        peers = [HuggingFace(rows, dropout) for dropout in (0.0, 0.1)]
        results |= {peer.name: both_tests(peer, folder, asked) for peer in peers}
    table = as_table(results)
    told = {n: {"kills": vars(t), "flips": vars(f)} for n, (t, f) in results.items()}
    print(json.dumps({"seed": asked.seed, **told}) if asked.json else f"seed {asked.seed}\n{table}")
    if asked.write:
        asked.write.write_text(page(asked, table, ours.set, peers[0].set))


def both_tests(program: Program, folder: Path, asked: argparse.Namespace) -> tuple[Tally, Flips]:
    """Return what kills and flips did to a program; every program meets the same draws."""
    random.seed(asked.seed)
    own = folder / program.name
    own.mkdir()
    tally, flips = kill_test(program, own, asked.kills), flip_test(program, own, asked.flips)
    print(f"{program.name}: {tally} {flips}", file=sys.stderr)
    return tally, flips


def token_rows(datasets: Path) -> np.ndarray:
    """Return the dataset's training tokens cut into rows, [rows, length]."""
    tokens = np.concatenate(list_datasets(datasets)[0].split("train").shards).astype(np.int64)
    return tokens[: len(tokens) // LENGTH * LENGTH].reshape(-1, LENGTH)


def as_table(results: dict[str, tuple[Tally, Flips]]) -> str:
    """Return the results in Markdown, one column a program."""
    lines: dict[str, Callable[[Tally, Flips], object]] = {
        "kills by SIGKILL": lambda t, _: t.kills.total(),
        "… between first and last step, outside saves": lambda t, _: t.kills["steps"],
        "… while a save was under way": lambda t, _: t.kills["save"],
        "… at the start or the end": lambda t, _: t.kills["elsewhere"],
        "resumes that went on, as documented": lambda t, _: t.worked,
        "resumes that ended with an error": lambda t, _: in_words(t.failed.total(), t.errors),
        "… of them after a kill in a save": lambda t, _: t.failed["save"],
        "resumes killed before their first step": lambda t, _: t.undecided,
        "checkpoints removed by hand to go on": lambda t, _: t.removed,
        "steps done twice": lambda t, _: t.repeated,
        "logged losses that differ from the uninterrupted run's": lambda t, _: f"{t.different} of {t.losses}",
        "largest difference of a loss, nats": lambda t, _: f"{t.largest:.3g}",
        "ends with the same SHA-256 of the weights": lambda t, _: f"{t.equal_ends} of {t.ends}",
        "control: two uninterrupted runs, bit for bit": lambda t, _: "equal" if t.control else "differ",
        "newest checkpoint with one flipped bit": lambda _, f: f.outcomes.total(),
        "… noticed and said, and the run went on": lambda _, f: f.outcomes["noticed"],
        "… noticed, yet other losses or weights at the end": lambda _, f: f.changed["noticed"],
        "… the resume ended with an error": lambda _, f: f.outcomes["stopped"],
        "… loaded without a word": lambda _, f: f.outcomes["silent"],
        "… without a word, and other losses or weights at the end": lambda _, f: f.changed["silent"],
    }
    head = ["| | " + " | ".join(results) + " |", "|---|" + "---|" * len(results)]
    body = [f"| {what} | " + " | ".join(str(tell(*r)) for r in results.values()) + " |" for what, tell in lines.items()]
    return "\n".join(head + body)


def in_words(total: int, kinds: Counter[str]) -> str:
    return f"{total} ({', '.join(f'{kind} {n}' for kind, n in kinds.most_common())})" if kinds else str(total)


def page(asked: argparse.Namespace, table: str, ours: dict[str, Any], peers: dict[str, Any]) -> str:
    """Return the page of documentation: table, command, settings, machine, how to read it."""
    machine = this_machine()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "accelerate"))
    return PAGE.format(
        table=table,
        command=f"python bench/peer_kills.py --kills {asked.kills} --flips {asked.flips} --seed {asked.seed}",
        gnomon=json.dumps(ours),
        trainer=", ".join(f"`{key}={value!r}`" for key, value in peers.items()),
        machine=f"{machine.processor}, {machine.cores} cores, Python {platform.python_version()}, {versions}",
        steps=STEPS,
        length=LENGTH,
        in_saves=SHARE_IN_SAVES,
        any_time=SHARE_ANY_TIME,
    )


PAGE = """# Killed and started again, beside the `transformers` Trainer

{table}

Measured with

    pip install -e ".[bench]" -c constraints.txt
    {command} --write docs/kill_test.md

on {machine}.

## How it is done

Each program trains the same text in rows of {length} tokens, with a model of the same shape, {steps} steps, on one
thread, on the CPU and in float32: first twice without an interruption, then under `SIGKILL`. After a kill the same
program is started again and resumes by its own means. Instants are drawn from the seed: {any_time:.0%} of the kills are
aimed at any time after the start, {in_saves:.0%} at a save (up to 10 ms after its first trace on the disk), the others
at a random time after a first step. Where a kill really fell is read from the disk that the dead process left: a save
is under way from its first trace until the checkpoint is complete and the oldest one removed. The draws follow the
seed, but where they fall depends on the machine's speed, so that another run gives other counts. A run that ends before
its kill is compared with the uninterrupted one, and a new one is begun.

A resume *went on, as documented* if it took a step or came to the end. If it ended with an error, the newest
checkpoint was removed by hand, as its user would, and the run was started again.

Each flip takes a copy of a run killed at 70 % of its steps, draws a file of the newest checkpoint (each file with the
same chance, however small), a byte and a bit of it, flips it and resumes to the end. *Noticed* means that the program
went on and said something that it does not say when the checkpoint is whole.

## What was set

Gnomon, `python -m gnomon train`: `{gnomon}`.

Trainer: {trainer}; `trainer.train(resume_from_checkpoint=get_last_checkpoint(output_dir))`; the seed is set before the
model is made. These are the settings that its documentation names for an exact resume. Its exact losses are written by
a callback after each step, since its own log rounds them. Gnomon has no dropout; the Trainer is shown also with an
attention dropout of 0.1, where a resume must restore the random state.

## How to read it

Each program is compared with itself only: first weights, order of rows and learning-rate schedule are its own.

The Trainer's errors, where there are some, come from a checkpoint folder without weights (ValueError) or without
`trainer_state.json` (FileNotFoundError), which is the newest and therefore chosen.

How many resumes failed follows from how many kills were aimed at saves, here far more than chance would give. Read it
beside the number of kills in saves: it says what happens *if* a process dies there, not how often one does.

Gnomon writes its checkpoints beside training, so that a save is over within milliseconds and few kills meet one; a save
that was in flight is lost with the process. `tests/faults/test_sigkill.py` aims at saves longer and harder.

No different loss and equal weights in a column mean that the resumes that went on were exact, on this machine and with
one thread. Steps done twice are the price of the distance between checkpoints, and of a checkpoint that had to be
removed.

`SIGKILL` leaves the kernel and its cache alive: this page says nothing about a loss of power. A flipped bit that
changes nothing at the end lay in a place that the resume does not use.
"""


if __name__ == "__main__":
    main()
