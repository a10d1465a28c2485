"""Gnomon trains small language models that know what they know.

    import gnomon
    result = gnomon.train({"data": "texts/", "size": "1M", "budget": "60s", "out": "runs/first"})
    print(gnomon.generate("runs/first", "Once upon a time"))

Names below are found on first use: `import gnomon` loads no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "train": "gnomon.api",
    "train_async": "gnomon.api",
    "plan_run": "gnomon.api",
    "generate": "gnomon.api",
    "load": "gnomon.api",
    "export_run": "gnomon.api",
    "Config": "gnomon.config",
    "GnomonError": "gnomon.base.errors",
}
__all__ = [
    "Config",
    "GnomonError",
    "__version__",
    "export_run",
    "generate",
    "load",
    "plan_run",
    "train",
    "train_async",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home = import_module(_HOMES[name])
        # all of them at once: what was imported with them has put a package named `train` here
        globals().update({n: getattr(home, n) for n, h in _HOMES.items() if h == _HOMES[name]})
        return globals()[name]
    raise AttributeError(f"module 'gnomon' has no attribute {name!r}")
