"""The two programs of the kill test, each as a user starts it: `gnomon train`, and the `transformers` Trainer."""

import json
import os
import re
import signal
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils.logging import disable_progress_bar

from gnomon.base.files import STAGING_PREFIX, read_lines, sha256_bytes
from gnomon.bundle import load_bundle
from gnomon.events.journal import read_events
from gnomon.store.runs import Run

ROOT = Path(__file__).parent.parent
TEXT = ROOT / "examples" / "texts" / "henry-vi-part-3.jsonl"
STEPS, ROWS, LENGTH, SAVE_EVERY, KEEP, SEED, LR = 200, 8, 64, 7, 2, 1337, 3e-3
SHAPE = {"width": 64, "layers": 2, "heads": 4, "kv_heads": 2, "head_width": 16, "feed_forward": 96, "context": LENGTH}
VOCABULARY = 512
WAIT_SECONDS = 120.0


class Child:
    """A training process of ours, by its id."""

    def __init__(self, pid: int) -> None:
        self.pid, self.code = pid, None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        if self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if done else None
        return self.code

    def wait(self, until: Callable[[], bool] = lambda: False, every_seconds: float = 0.002) -> int | None:
        """Wait for the end, or for `until`; return as `poll`. Raises TimeoutError after two minutes."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self.poll() is None and not until():
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"a training did not end in {WAIT_SECONDS:.0f} s")
            time.sleep(every_seconds)
        return self.poll()

    def kill(self) -> bool:
        """Send SIGKILL and return whether that is what ended it."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code == -signal.SIGKILL


class Program(ABC):
    """A program under test. `out` is a run's folder; what a process says goes to the file `out`.log beside it."""

    name: str

    @abstractmethod
    def start(self, out: Path) -> Child:
        """Start the training of `out`, or its resume: the command is the same."""

    @abstractmethod
    def record(self, out: Path) -> Path:
        """Return the file of JSON lines, at least one for each step."""

    @abstractmethod
    def newest(self, out: Path) -> Path | None:
        """Return the checkpoint that a resume takes first."""

    @abstractmethod
    def unfinished(self, out: Path) -> set[str]:
        """Return what a save, or the removal of old checkpoints after it, has on the disk while it is under way."""

    @abstractmethod
    def weights(self, out: Path) -> dict[str, Tensor]:
        """Return the weights of the last checkpoint."""

    @abstractmethod
    def complaints(self, out: Path, quiet: str) -> list[str]:
        """Return what a resume said about damage; `quiet` is what trainings say where there is none."""

    def steps(self, out: Path) -> list[tuple[int, float]]:
        """Return (step, loss) in the order in which they were done, steps done twice as well."""
        lines = read_lines(self.record(out)) if self.record(out).exists() else ()
        return [(line["step"], line["loss"]) for line in lines if line.get("kind") == "step"]

    def losses(self, out: Path) -> dict[int, float]:
        """Return each step's loss, where it was done twice that of its newest attempt."""
        return dict(self.steps(out))

    def digest(self, out: Path) -> str:
        """Return the SHA-256 over all weights, by name."""
        tensors = sorted(self.weights(out).items())
        return sha256_bytes(b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in tensors))


class Gnomon(Program):
    """`python -m gnomon train`, as a user starts it."""

    name = "Gnomon"

    def __init__(self, folder: Path) -> None:
        self._config = folder / "config.json"
        self.set = {
            "model": SHAPE,
            "tokenizer": {"vocabulary": VOCABULARY},
            "train": {
                "batch_tokens": ROWS * LENGTH, "micro_rows": ROWS, "optimizer": "adamw", "lr": LR,
                "dtype": "fp32", "threads": 1,
                "save_every": SAVE_EVERY, "keep_last": KEEP, "log_every": 1, "validate_every": 10**6,
                "validation_tokens": 2000, "supervise": False,
            },
        }  # fmt: skip
        rest = {
            "data": {"train": str(TEXT), "root": str(folder / "datasets")},
            "size": "1M",
            "budget": f"{STEPS * ROWS * LENGTH} tokens",
            "seed": SEED,
            "export": {"gguf": [], "hf": False},
        }
        self._config.write_text(json.dumps({**rest, **self.set}))

    def start(self, out: Path) -> Child:
        command = [sys.executable, "-m", "gnomon", "train", str(self._config), f"out={out}", "--json"]
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        to_log = (os.POSIX_SPAWN_OPEN, 1, f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        redirect = [to_log, (os.POSIX_SPAWN_DUP2, 1, 2)]
        environment = {**os.environ, "PYTHONPATH": paths}
        return Child(os.posix_spawn(sys.executable, command, environment, file_actions=redirect))

    def record(self, out: Path) -> Path:
        return Run(out).events_path

    def newest(self, out: Path) -> Path | None:
        found = Run(out).checkpoints.all()
        return found[-1].path if found else None

    def unfinished(self, out: Path) -> set[str]:
        folder = Run(out).checkpoints.folder
        return {n for n in os.listdir(folder) if n.startswith(STAGING_PREFIX)} if folder.is_dir() else set()

    def weights(self, out: Path) -> dict[str, Tensor]:
        return load_bundle(Run(out).checkpoints.all()[-1].path).model.state_dict()

    def complaints(self, out: Path, quiet: str) -> list[str]:
        return [e["why"] for e in read_events(self.record(out)) if e["kind"] == "checkpoint_damaged"]


class Losses(TrainerCallback):
    """Appends each finished step and its exact loss to a file, since the Trainer's own log rounds."""

    def __init__(self, path: Path) -> None:
        self.path, self.loss = path, 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        with self.path.open("a") as f:
            f.write(json.dumps({"kind": "step", "step": state.global_step, "loss": self.loss}) + "\n")


class Recorded(Trainer):
    """The Trainer, which also tells each step's loss to its Losses."""

    told: Losses

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(*args, **kwargs)
        self.told.loss = loss.item()
        return loss


class HuggingFace(Program):
    """The `transformers` Trainer on a Qwen3 model of the same shape, with attention dropout where asked."""

    def __init__(self, rows: np.ndarray, dropout: float) -> None:
        self.name = "Trainer" + (f", dropout {dropout}" if dropout else "")
        self._rows = [{"input_ids": row, "labels": row} for row in rows.tolist()]
        self._dropout = dropout
        self.set = {
            "max_steps": STEPS, "per_device_train_batch_size": ROWS, "learning_rate": LR, "weight_decay": 0.1,
            "adam_beta2": 0.95, "optim": "adamw_torch_fused", "save_strategy": "steps", "save_steps": SAVE_EVERY,
            "save_total_limit": KEEP, "seed": SEED, "data_seed": SEED, "full_determinism": True,
            "ignore_data_skip": False, "dataloader_num_workers": 0, "use_cpu": True, "logging_strategy": "no",
            "report_to": "none", "disable_tqdm": True,
        }  # fmt: skip

    def start(self, out: Path) -> Child:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                log = os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.dup2(log, 1)
                os.dup2(log, 2)
                self._train(out)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        return Child(pid)

    def _train(self, out: Path) -> None:
        out.mkdir(exist_ok=True)
        disable_progress_bar()  # its rates would be taken for something new that was said
        set_seed(SEED)  # before the weights are drawn, as the Trainer's documentation asks
        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=VOCABULARY, hidden_size=SHAPE["width"], intermediate_size=SHAPE["feed_forward"],
                num_hidden_layers=SHAPE["layers"], num_attention_heads=SHAPE["heads"],
                num_key_value_heads=SHAPE["kv_heads"], head_dim=SHAPE["head_width"], max_position_embeddings=LENGTH,
                tie_word_embeddings=True, use_cache=False, attention_dropout=self._dropout,
            )
        )  # fmt: skip
        losses = Losses(self.record(out))
        arguments = TrainingArguments(output_dir=str(out), **self.set)
        trainer = Recorded(model=model, args=arguments, train_dataset=cast(Any, self._rows), callbacks=[losses])
        trainer.told = losses
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)))

    def record(self, out: Path) -> Path:
        return out / "steps.jsonl"

    def newest(self, out: Path) -> Path | None:
        found = get_last_checkpoint(str(out)) if out.is_dir() else None
        return Path(found) if found else None

    def unfinished(self, out: Path) -> set[str]:
        folders = sorted(out.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
        return {p.name for p in folders if not _is_json(p / "trainer_state.json")} | {p.name for p in folders[:-KEEP]}

    def weights(self, out: Path) -> dict[str, Tensor]:
        newest = self.newest(out)
        return load_file(newest / "model.safetensors") if newest else {}

    def complaints(self, out: Path, quiet: str) -> list[str]:
        """Return the lines of its output that are not in `quiet`, numbers aside."""
        usual = {re.sub(r"[\d.]+", "", line) for line in quiet.splitlines()}
        return [line for line in said(out).splitlines() if re.sub(r"[\d.]+", "", line) not in usual]


def _is_json(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return False


def said(out: Path) -> str:
    """Return what the newest process of `out` printed."""
    return Path(f"{out}.log").read_text(errors="replace")


def error_in(text: str) -> str:
    """Return the kind of the last error that a process printed, or its last line."""
    named = re.findall(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception))\b", text, re.M)
    return named[-1] if named else (text.strip().splitlines() or ["nothing said"])[-1]
