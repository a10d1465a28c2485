"""Heads learned anew on a model that stays as it is: its states at the marks are read once, heads learn from these.

What nobody labels stays as it was: heads of a kind without labels keep their weights and their mix of layers; a signal
of the router without labels is taught by what the router said of it before.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnomon.base.progress import Progress
from gnomon.base.seeds import derive, permutation
from gnomon.data.streaming.targets import READ
from gnomon.model.head_loss import head_losses
from gnomon.model.heads import Heads, Marks
from gnomon.model.lm import LanguageModel, first_weight
from gnomon.store.labels import COARSE, FINE, ROUTER, WEIGHT
from gnomon.taxonomy import HEAD_OUTPUTS, MIXES, OPENING, SIGNAL_KINDS, HeadKind

TOKENS = 8192
"""Read in one batch, of texts about as long."""
SURE = 0.999
"""A question one of whose fine types is at least so likely has a gold type; another's are a teacher's."""
GOLD = 4
"""Times as often as others come questions with a gold type, where they are few."""
LEAST = 50
"""Places to judge by; fewer of them say too little."""
SCALES = tuple(0.5 * 1.03**n for n in range(48))
"""Of logits, from a half to twice."""


@dataclass(frozen=True)
class Places:
    """Marks at which something is known: the states there, float16 [N, layers + 1, W], each brought to a root mean
    square of 1; what is known, float32 [N, labels.WIDTH]; of which text each is; and of which kind.
    """

    states: Tensor
    known: Tensor
    text: np.ndarray
    kind: np.ndarray

    def some(self, which: np.ndarray) -> "Places":
        """Return those that are chosen by number or by truth."""
        chosen = torch.from_numpy(np.arange(len(self.text))[which])
        return Places(self.states[chosen], self.known[chosen], self.text[which], self.kind[which])

    def said(self, heads: Heads) -> dict[str, Tensor]:
        """Return what heads say here, as `Heads.forward`. They are where the states are."""
        return heads(self.states.float().unbind(1), torch.from_numpy(self.kind).to(heads.device))


@dataclass(frozen=True)
class Lessons:
    """How heads learn: AdamW's rate, falling to a tenth by a cosine, and decay; places a step; the most epochs, and
    after how many without a better loss on what is held out they end.
    """

    rate: float = 2e-3
    decay: float = 0.05
    rows: int = 256
    epochs: int = 40
    patience: int = 6
    dropout: float = 0.1
    seed: int = 1337


@dataclass(frozen=True)
class Learned:
    """How it went: the epoch whose weights were kept, the losses on what was held out before and after, and by how much
    the logits of types were scaled to make probabilities of them.
    """

    epoch: int
    loss_before: float
    loss: float
    scales: dict[str, float]


def with_heads(model: LanguageModel, kinds: Sequence[HeadKind], seed: int) -> LanguageModel:
    """Return a copy of a model, in evaluation mode, with heads of these kinds: its own where it has them, else new."""
    found = LanguageModel(model.shape, heads=kinds)
    own = model.state_dict()
    weights = {
        name: own[name] if name in own else first_weight(name, tensor.shape, seed)
        for name, tensor in found.state_dict().items()
    }
    found.load_state_dict(weights)
    return found.to(model.head.device).eval()


@torch.no_grad()
def read_places(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    known: np.ndarray,
    kinds: Mapping[int, int],
    progress: Progress,
    *,
    all_marks: bool = False,
) -> Places:
    """Return the places in texts, which have marks of `kinds` by id, at which something of `known` [texts,
    labels.WIDTH] is read, or all. The model, which has heads, is in evaluation mode.
    """
    assert model.heads is not None and not model.training
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    states, tables, whose, kind_of = list[Tensor](), list[np.ndarray](), list[int](), list[int]()
    kept = list[Sequence[Tensor]]()
    hook = model.heads.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    try:
        first = 0
        while first < len(order):
            count = next(
                (n for n in range(1, len(order) - first) if (n + 1) * len(texts[order[first + n]]) > TOKENS),
                len(order) - first,
            )
            some = order[first : first + count]
            longest = len(texts[some[-1]])
            tokens = np.zeros((len(some), longest), np.int64)  # what follows a token does not change it
            marked = list[tuple[int, int, int]]()
            for row, i in enumerate(some):
                tokens[row, : len(texts[i])] = texts[i]
                here = marks_in(texts[i], known[i], kinds, all_marks=all_marks)
                marked += [(row * longest + at, i, kind) for at, kind in here]
            if marked:
                there = torch.tensor([(place, kind) for place, _, kind in marked], device=model.head.device)
                model(torch.from_numpy(tokens).to(model.head.device), marks=Marks(*there.unbind(1)))
                every = torch.stack(list(kept.pop()), 1).float()
                states.append(F.rms_norm(every, every.shape[-1:], eps=model.shape.norm_epsilon).half().cpu())
                tables += [np.where(READ[kind], known[i], np.float32(np.nan)) for _, i, kind in marked]
                whose += [i for _, i, _ in marked]
                kind_of += [kind for _, _, kind in marked]
            first += count
            progress("reading questions", first, len(order), "questions")
    finally:
        hook.remove()
    width = (model.shape.states, model.shape.width)
    return Places(
        torch.cat([torch.zeros(0, *width, dtype=torch.float16), *states]),
        torch.from_numpy(np.array(tables, np.float32).reshape(len(tables), known.shape[1])),
        np.array(whose, np.int64),
        np.array(kind_of, np.int64),
    )


def marks_in(
    text: Sequence[int], known: np.ndarray, kinds: Mapping[int, int], *, all_marks: bool = False
) -> list[tuple[int, int]]:
    """Return place and kind of the marks in a text at which something of what is known of it is read, or of all."""
    found = [(at, kinds[token]) for at, token in enumerate(text) if token in kinds]
    return [(at, kind) for at, kind in found if all_marks or not np.isnan(known[READ[kind]]).all()]


def fit_heads(
    heads: Heads, places: Places, held_out: np.ndarray, had: Sequence[HeadKind], lessons: Lessons, progress: Progress
) -> Learned:
    """Return how the heads learned from places; `held_out` says of each text whether it is kept to judge by.

    `had` are the kinds that said something before. What is held out says when to end and how sure types are; then the
    heads learn once more from all places for as long.
    """
    known = with_what_was_said(heads, places, had)
    places = Places(places.states.to(heads.device), known.to(heads.device), places.text, places.kind)
    kinds = taught(places)
    learning = _moving(places)
    moving = [p for name, p in heads.named_parameters() if name.removeprefix("mix.").partition(".")[0] in learning]
    kept = held_out[places.text]
    if kept.all() or not kept.any():  # too few to part: all teach, and all judge
        kept, rest = np.ones(len(kept), bool), places
    else:
        rest = places.some(~kept)
    gold = kept & _gold(places)
    judged = places.some(gold if gold.sum() >= LEAST else kept)
    before, first = loss_at(heads, judged), copy.deepcopy(heads.state_dict())
    best, loss, scales = 0, before, dict[str, float]()
    for epoch in _epochs(heads, moving, rest, lessons):
        now = loss_at(heads, judged)
        if now < loss:
            best, loss, scales = epoch, now, scales_of(heads, judged) if "types" in kinds else {}
        progress("teaching heads", epoch, None, "epochs")
        if epoch - best >= lessons.patience:
            break
    heads.load_state_dict(first)
    if best:
        for epoch in _epochs(heads, moving, places, lessons):
            if epoch == best:
                break
        scale_by(heads, scales)
    return Learned(best, before, loss, scales)


def taught(places: Places) -> list[HeadKind]:
    """Return the kinds of heads of which anything is known at the places."""
    there = ~places.known.isnan()
    parts: dict[HeadKind, bool] = {
        "router": bool(there[:, ROUTER].any()),
        "types": bool(there[:, COARSE].any() or there[:, FINE].any()),
    }
    return [kind for kind, known in parts.items() if known]


def _moving(places: Places) -> set[str]:
    """Return the heads that learn, and their mixes: of what is known at the places, those that say it there."""
    router, opening = (~places.known[:, ROUTER].isnan()).any(1).cpu().numpy(), places.kind == OPENING
    there = {"router": router & ~opening, "opening": router & opening}
    found = {name for name, places_of in there.items() if places_of.any()}
    return found | ({*MIXES["types"], *HEAD_OUTPUTS["types"]} if "types" in taught(places) else set())


@torch.no_grad()
def with_what_was_said(heads: Heads, places: Places, had: Sequence[HeadKind], *, all_kinds: bool = False) -> Tensor:
    """Return what is known, and of signals without any label what a router that was there before says of them.

    With `all_kinds` also where no signal has one; and where nothing is known of types, what heads of these say.
    """
    known = places.known.clone()
    labelled = (~known[:, ROUTER].isnan()).any(0).tolist()
    router = "router" in had and (all_kinds or any(labelled))
    types = "types" in had and all_kinds and "types" not in taught(places)
    if not router and not types:
        return known
    every = zip(places.states.split(TOKENS), torch.from_numpy(places.kind).split(TOKENS), strict=True)
    parts = [heads(states.to(heads.device).unbind(1), kind.to(heads.device)) for states, kind in every]
    if types:
        here = torch.from_numpy(places.kind == 0)
        known[here, COARSE] = torch.cat([part["coarse"].sigmoid().cpu() for part in parts])[here]
        known[here, FINE] = torch.cat([part["fine"].softmax(1).cpu() for part in parts])[here]
    if not router:
        return known
    said = torch.cat([part["router"].sigmoid().cpu() for part in parts])
    for signal, kinds in enumerate(SIGNAL_KINDS):
        if not labelled[signal]:
            here = torch.from_numpy(np.isin(places.kind, kinds))
            known[here, ROUTER.start + signal] = said[here, signal]
            known[here, WEIGHT.start + signal] = 1.0
    return known


def _epochs(heads: Heads, moving: Sequence[nn.Parameter], places: Places, lessons: Lessons) -> Iterator[int]:
    """Yield the number of each epoch, from 1, after it. Gold types come up GOLD times as often where most are none."""
    gold = np.flatnonzero(_gold(places))
    often = GOLD if GOLD * len(gold) < len(places.text) else 1
    every = np.concatenate([np.arange(len(places.text)), *[gold] * (often - 1)])
    optimizer = torch.optim.AdamW(moving, lr=lessons.rate, weight_decay=lessons.decay, fused=True)
    steps = -(-len(every) // lessons.rows)
    device = heads.device
    kinds = torch.from_numpy(places.kind).to(device)
    generator = torch.Generator(device).manual_seed(derive(lessons.seed, "dropout"))
    for epoch in range(lessons.epochs):
        order = every[permutation(len(every), derive(lessons.seed, "epoch", epoch))]
        for step, first in enumerate(range(0, len(order), lessons.rows)):
            turn = (epoch + step / steps) / lessons.epochs
            optimizer.param_groups[0]["lr"] = lessons.rate * (0.1 + 0.45 * (1 + math.cos(math.pi * turn)))
            some = torch.from_numpy(order[first : first + lessons.rows]).to(device)
            states = places.states[some].float()
            stays = torch.rand(states.shape, generator=generator, device=device) >= lessons.dropout
            optimizer.zero_grad()
            mean_loss(heads((states * stays).unbind(1), kinds[some]), places.known[some]).backward()
            optimizer.step()
        yield epoch + 1


def mean_loss(said: Mapping[str, Tensor], known: Tensor) -> Tensor:
    """Return the sum over HEAD_LOSSES of each one's mean over its labels, of logits by the head's name."""
    sums = head_losses(said, known[:, ROUTER], known[:, WEIGHT], known[:, COARSE], known[:, FINE])
    there = ~known.isnan()
    types = [there[:, COARSE].any(1).sum(), there[:, FINE].any(1).sum(), there[:, COARSE].any(1).sum()]
    counts = torch.stack([*there[:, ROUTER].sum(0).unbind(), *types])
    return (sums / counts.clamp(min=1)).sum()


@torch.no_grad()
def loss_at(heads: Heads, places: Places) -> float:
    """Return the heads' loss at places; infinite where there are none."""
    return float(mean_loss(places.said(heads), places.known)) if len(places.text) else math.inf


def _gold(places: Places) -> np.ndarray:
    """Return at which places a fine type is known for certain."""
    return (places.known[:, FINE].amax(1) >= SURE).cpu().numpy()


def scales_of(heads: Heads, places: Places) -> dict[str, float]:
    """Return by how much the logits of each head of types must be scaled, so that it is as sure as it is right."""
    with torch.no_grad():
        logits = {name: one.double() for name, one in places.said(heads).items()}
    found = {}
    for name, part in (("coarse", COARSE), ("fine", FINE)):
        here = ~places.known[:, part].isnan().any(1)
        if int(here.sum()) < LEAST:
            continue
        wanted, said = places.known[here][:, part].double(), logits[name][here]
        costs = []
        for scale in SCALES:
            each = (
                F.binary_cross_entropy_with_logits(scale * said, wanted, reduction="none")
                if name == "coarse"
                else -(wanted * (scale * said).log_softmax(1))
            )
            costs.append(float(each.sum()))
        found[name] = SCALES[int(np.argmin(costs))]
    return found


@torch.no_grad()
def scale_by(heads: Heads, scales: Mapping[str, float]) -> None:
    """Multiply the logits of heads by these, by name."""
    for name, scale in scales.items():
        for parameter in heads.get_submodule(f"{name}.down_proj").parameters():
            parameter *= scale
