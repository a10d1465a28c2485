"""Randomness without state: every draw is a function of the run's seed and a name, on any machine, in any year."""

import hashlib

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for one purpose, such as `derive(1337, "step", 12)`; equal arguments, equal seed."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def permutation(count: int, seed: int) -> np.ndarray:
    """Return a fixed shuffle of 0..count-1 (int64). Own arithmetic, so that no library release can change it."""
    return np.argsort(scatter(np.arange(count, dtype=np.uint64), seed), kind="stable")


def scatter(values: np.ndarray, seed: int) -> np.ndarray:
    """Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014): a bijection on 64 bits."""
    with np.errstate(over="ignore"):
        z = (values + np.uint64(seed & 0xFFFFFFFFFFFFFFFF)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
