"""A run's checkpoints as people look at them: one row each, and those that were set aside."""

from dataclasses import dataclass

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.manifest import Damage


@dataclass(frozen=True)
class Row:
    """One checkpoint. `bytes` and `reason` are None where its manifest is damaged, `whole` where nobody looked."""

    name: str
    sequence: int
    step: int
    reason: str | None
    bytes: int | None
    best: bool
    pinned: bool
    whole: bool | None
    damage: str | None

    @property
    def marks(self) -> str:
        """What is special about it, in words."""
        words = {"best": self.best, "pinned": self.pinned, "whole": self.whole is True}
        return ", ".join([word for word, so in words.items() if so] + ([self.damage] if self.damage else []))


def inventory(store: CheckpointStore, *, verify: bool) -> list[Row]:
    """Return a row for each visible checkpoint, oldest first; with `verify` every byte of them is read.

    Raises IntegrityError when the list of pins cannot be read.
    """
    best, pinned, rows = store.best(), store.pins(), []
    for checkpoint in store.all():
        name, damage = checkpoint.path.name, list[Damage]()
        try:
            reason, size = checkpoint.manifest.reason, checkpoint.size
            damage = checkpoint.damage() if verify else damage
        except IntegrityError as e:
            reason, size, damage = None, None, [Damage("manifest.json", None, e.what)]
        whole = False if damage else True if verify else None
        told = f"damaged: {damage[0]}" if damage else None
        is_best = best is not None and name == best.path.name
        rows.append(Row(name, checkpoint.sequence, checkpoint.step, reason, size, is_best, name in pinned, whole, told))
    return rows


def set_pin(store: CheckpointStore, name: str, *, keep: bool) -> None:
    """Pin a checkpoint of this name, or take the pin away. Raises ConfigError when there is none, StorageError."""
    known = [c.path.name for c in store.all()] if keep else store.pins()
    if name not in known:
        raise ConfigError(
            f"there is no {'' if keep else 'pinned '}checkpoint {name}",
            where=str(store.folder),
            do=f"name one of: {', '.join(known) or 'none there'}",
        )
    store.pin(name, keep=keep)
