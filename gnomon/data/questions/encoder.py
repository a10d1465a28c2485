"""A sentence encoder that has learned to tell answer types: its layers and one matrix behind the mean of the last one.

`transformers` runs it. The embeddings of words stay those of the encoder's own folder, so that words that no question
of these had keep what they mean, and that folder is needed later; what has learned is kept as float16. Products are
bfloat16 where the processor is fast at it: there a teacher's probabilities are others, by less than a hundredth, than
on a machine where they are float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.machine import has_fast_bf16, this_machine
from gnomon.base.progress import Progress, silent
from gnomon.embed.minilm import SentenceEmbedder, batches, one_thread
from gnomon.taxonomy import FINE_TYPES

EPOCHS, ROWS = 4, 32
RATE, HEAD_RATE, WARM = 1e-4, 1e-3, 0.1
"""Rates of the layers and of the matrix behind them, and the share of steps in which they rise; then they fall to 0."""
DROPOUT, DECAY, CLIP = 0.1, 0.01, 1.0
LIKE = 8
"""Batches whose questions are sorted by length, so that few tokens are padding."""
LABEL_ROWS, STEP = 16, 8
"""Rows and multiples of tokens of a batch to label: always the same, so that each question's scores are its own."""
SEED = 0
WHY = "--encoder names a sentence model, which"

_HEAD = ("types.weight", "types.bias")


@dataclass(frozen=True)
class TaughtEncoder:
    """The encoder that it comes from, and what has learned, float16 by name."""

    base: SentenceEmbedder
    weights: dict[str, np.ndarray]

    def scores(self, questions: Sequence[str]) -> np.ndarray:
        """Return the scores of the fine types of questions, float32 [questions, 50], each the same in any company."""
        found = np.zeros((len(questions), len(FINE_TYPES)), np.float32)
        with one_thread(torch), torch.inference_mode():
            for rows, ids, mask in batches(self.base.tokens(questions), self.base.longest, LABEL_ROWS, STEP):
                said = _said(self._model, self._head, torch.from_numpy(ids), torch.from_numpy(mask), 0.0)
                found[rows] = said[: len(rows)].numpy()
        return found

    @cached_property
    def data(self) -> bytes:
        """What has learned, as a file of safetensors."""
        return save(self.weights)

    @cached_property
    def _model(self) -> Any:
        model = self.base.fresh().eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in self.weights:
                    parameter.copy_(torch.from_numpy(self.weights[name]))
        return model

    @cached_property
    def _head(self) -> list[torch.Tensor]:
        return [torch.from_numpy(self.weights[name].astype(np.float32)) for name in _HEAD]


def open_encoder(where: str) -> SentenceEmbedder:
    """Return the encoder in a folder or of `name@commit`. Raises as `SentenceEmbedder.open`."""
    return SentenceEmbedder.open(where, why=WHY, option="--encoder")


def read_encoder(base: SentenceEmbedder, data: bytes, where: str) -> TaughtEncoder:
    """Return the encoder whose `data` this was. Raises IntegrityError where it does not fit the one it comes from."""
    try:
        weights = load(data)
    except SafetensorError as e:
        raise IntegrityError(f"this is no taught encoder: {e}", where=where) from None
    meant = {name: tuple(parameter.shape) for name, parameter in base.fresh().named_parameters()}
    meant |= {"types.weight": (len(FINE_TYPES), base.width), "types.bias": (len(FINE_TYPES),)}
    for name in {*weights, *_HEAD}:
        if name not in weights or weights[name].shape != meant.get(name):
            raise IntegrityError(f"{name} is not what the encoder has", where=where, do="teach the teacher anew")
    return TaughtEncoder(base, weights)


def teach_encoder(
    base: SentenceEmbedder, questions: Sequence[str], true: np.ndarray, progress: Progress = silent
) -> TaughtEncoder:
    """Return the encoder taught by questions and their fine types, numbers in FINE_TYPES. Equal questions make equal
    weights on one machine. Raises DataError for an encoder whose weights do not stay finite.
    """
    ids, head = base.tokens(questions), [torch.zeros(len(FINE_TYPES), base.width), torch.zeros(len(FINE_TYPES))]
    with one_thread(torch), torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = base.fresh().train()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith("embeddings."))
        for parameter in head:
            parameter.requires_grad_()
        layers = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            [{"params": layers, "rate": RATE}, {"params": head, "rate": HEAD_RATE}],
            betas=(0.9, 0.98),
            weight_decay=DECAY,
        )
        order = _order([len(each) for each in ids])
        for step, rows in enumerate(order):
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * min(1, step / (WARM * len(order)), 1 - step / len(order))
            ids_BT, mask_BT = _padded([ids[i] for i in rows])
            cost = F.cross_entropy(_said(model, head, ids_BT, mask_BT, DROPOUT), torch.from_numpy(true[rows]))
            optimizer.zero_grad()
            cost.backward()
            torch.nn.utils.clip_grad_norm_([*layers, *head], CLIP)
            optimizer.step()
            progress("teaching the encoder", step + 1, len(order), "steps")
    learned = {name: one for name, one in model.named_parameters() if one.grad is not None}
    learned |= dict(zip(_HEAD, head, strict=True))
    weights = {name: one.detach().numpy().astype(np.float16) for name, one in learned.items()}
    if not all(np.isfinite(one).all() for one in weights.values()):
        raise DataError("this encoder cannot be taught: its weights do not stay finite", where=str(base.folder))
    return TaughtEncoder(base, weights)


def _said(model: Any, head: Sequence[torch.Tensor], ids_BT: Any, mask_BT: Any, dropout: float) -> torch.Tensor:
    """Return the scores of a batch, of the mean of the last layer over what is no padding: float32."""
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16(this_machine())):
        hidden_BTD = model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state.float()
    kept_BT1 = mask_BT[:, :, None].float()
    mean_BD = (hidden_BTD * kept_BT1).sum(1) / kept_BT1.sum(1)
    return F.linear(F.dropout(mean_BD, dropout, dropout > 0), *head)


def _order(lengths: Sequence[int]) -> list[np.ndarray]:
    """Return the questions of each step: every one once an epoch, in batches of like length."""
    draw, found = np.random.default_rng(SEED), list[np.ndarray]()
    sizes = np.array(lengths)
    for _ in range(EPOCHS):
        drawn, epoch = draw.permutation(len(sizes)), list[np.ndarray]()
        for first in range(0, len(drawn), LIKE * ROWS):
            some = drawn[first : first + LIKE * ROWS]
            some = some[np.argsort(sizes[some], kind="stable")]
            epoch += [some[i : i + ROWS] for i in range(0, len(some), ROWS)]
        found += [epoch[i] for i in draw.permutation(len(epoch))]
    return found


def _padded(every: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token numbers of one length, and which of them are no padding."""
    ids, mask = (torch.zeros(len(every), max(map(len, every)), dtype=torch.int64) for _ in range(2))
    for row, each in enumerate(every):
        ids[row, : len(each)], mask[row, : len(each)] = torch.tensor(each), 1
    return ids, mask
