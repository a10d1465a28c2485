"""Libraries that not every installation has: given where they are needed, or an error that says why they are not."""

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from gnomon.base.errors import DependencyError

_importing = threading.Lock()  # `sys.path` is everybody's


def need(module: str, *, extra: str, why: str) -> ModuleType:
    """Return the module, imported. `extra` is Gnomon's extra that installs it, `why` what it is for.

    A file or folder with the library's name in the working directory, or beside the script that runs, is passed
    over: Gnomon itself writes a folder `datasets`.

    Raises DependencyError for a library that is missing, installed for another Python, hidden by a module of the
    same name that is loaded already, or broken.
    """
    name = module.partition(".")[0]
    loaded = _place(getattr(sys.modules.get(name), "__spec__", None))
    if loaded is not None and loaded.parent.resolve() in _own_folders():
        raise DependencyError(
            f"{why} needs the library {name}, but this program has loaded something else of that name",
            where=str(loaded),
            do=f"rename {loaded.name}, and import it by its new name",
        )
    with _importing, _without(_own_folders()):
        if loaded is None:
            sys.modules.pop(name, None)  # a folder without code counts as a package until the library is there
            if _place(PathFinder.find_spec(name)) is None and not _known_elsewhere(name):
                _missing(name, extra, why)
        try:
            return importlib.import_module(module)
        except Exception as e:
            raise _broken(name, extra, why, e) from e


def _place(spec: ModuleSpec | None) -> Path | None:
    """Return the file or folder that a module is; None for none, and for a folder that only shares its name."""
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent if spec.submodule_search_locations is not None else Path(spec.origin)


def _known_elsewhere(name: str) -> bool:
    """Whether something other than the search path knows the module, as after `pip install -e`."""
    finders = [finder for finder in sys.meta_path if finder is not PathFinder]
    return any(_place(finder.find_spec(name, None)) is not None for finder in finders)


@contextmanager
def _without(folders: list[Path]) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if Path(entry or ".").resolve() not in folders]
    try:
        yield
    finally:
        sys.path[:] = before


def _own_folders() -> list[Path]:
    """Return the folders on the search path that hold somebody's work, not libraries."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = [Path().resolve(), *([Path(script).resolve().parent] if script else [])]
    return [folder for folder in folders if folder.name not in ("site-packages", "dist-packages")]


def _missing(name: str, extra: str, why: str) -> NoReturn:
    """Raise DependencyError for a library that this Python has not."""
    what, do = f"{why} needs the library {name}, which is not installed", f"pip install 'gnomon[{extra}]'"
    if elsewhere := _for_another_python(name):
        what = f"{why} needs the library {name}, which is installed for another Python ({elsewhere}), not for this one"
        do = f"{sys.executable} -m {do}"
    for folder in dict.fromkeys([*_own_folders(), *map(Path, sys.path)]):
        for namesake in (folder / name, folder / f"{name}.py"):
            if namesake.exists():
                raise DependencyError(f"{what}; {namesake} only shares its name", where=sys.executable, do=do)
    raise DependencyError(what, where=sys.executable, do=do)


def _for_another_python(name: str) -> Path | None:
    """Return where the library lies for a Python that the shell would find; none of them is run."""
    environments = [os.environ.get("VIRTUAL_ENV"), os.environ.get("CONDA_PREFIX")]
    roots = [Path(e) for e in environments if e] + [Path(folder).parent for folder in os.get_exec_path()]
    searched = {Path(entry or ".").resolve() for entry in sys.path}
    for root in dict.fromkeys(roots):
        for pattern in (f"lib/python3*/*-packages/{name}/__init__.py", f"Lib/site-packages/{name}/__init__.py"):
            for found in sorted(root.glob(pattern)):
                if found.parents[1].resolve() not in searched:
                    return found.parents[1]
    return None


def _broken(name: str, extra: str, why: str, error: Exception) -> DependencyError:
    """Return the error that says which part of an installed library does not load."""
    cause = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != name:
        cause = f"it needs {error.name}, which is not installed"
    return DependencyError(
        f"{why} needs the library {name}, which is installed but does not load: {cause}",
        where=str(_place(PathFinder.find_spec(name)) or name),
        do=f"pip install --force-reinstall {name}; if that does not help, 'gnomon[{extra}]' in a new environment",
    )
