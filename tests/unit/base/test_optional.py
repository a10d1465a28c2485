"""A library that cannot be had is one error that says why; a folder of its name in the way is no obstacle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAME = "somelib"
ASK = f"""
from gnomon.base.errors import DependencyError
from gnomon.base.optional import need
try:
    print("GOT", need("{NAME}.part", extra="data", why="reading tables").VALUE)
except DependencyError as e:
    print(e)
"""
REAL = {"somelib/__init__.py": "", "somelib/part.py": "VALUE = 'the library'"}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def ask(tmp_path: Path, *, installed: dict[str, str] | None = None, script: str = ASK, **environment: str) -> str:
    """Return what a script in a folder `work` says that asks for the library, started there."""
    write(tmp_path / "desk", {"script.py": script})
    path = [str(Path(__file__).parents[3])]
    if installed:
        path.append(str(write(tmp_path / "lib" / "site-packages", installed)))
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path / "desk",
        env={"PYTHONPATH": os.pathsep.join(path), "PATH": "/usr/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "namesake",
    [{}, {"somelib/3f9c/manifest.json": "{}"}, {"somelib/__init__.py": ""}, {"somelib.py": "VALUE = 'mine'"}],
    ids=["nothing", "a folder without code", "a package", "a file"],
)
def test_the_installed_library_is_found_whatever_shares_its_name(tmp_path: Path, namesake: dict[str, str]) -> None:
    write(tmp_path / "desk", namesake)
    assert ask(tmp_path, installed=REAL) == "GOT the library"
    assert f"library {NAME}, which is not installed" in (said := ask(tmp_path))
    assert "do  pip install 'gnomon[data]'" in said
    assert ("only shares its name" in said) == bool(namesake)
    assert not namesake or str(tmp_path / "desk" / next(iter(namesake)).split("/")[0]) in said


def test_a_namesake_that_the_program_has_loaded_is_named(tmp_path: Path) -> None:
    write(tmp_path / "desk", {"somelib.py": "VALUE = 'mine'"})
    said = ask(tmp_path, installed=REAL, script="import somelib" + ASK)
    assert "has loaded something else of that name" in said
    assert f"in  {tmp_path}/desk/somelib.py" in said
    assert "do  rename somelib.py" in said


def test_a_library_for_another_python_is_named_with_the_one_that_runs(tmp_path: Path) -> None:
    other = write(tmp_path / "other" / "lib" / "python3.99" / "site-packages", REAL)
    for said in (
        ask(tmp_path, PATH=str(tmp_path / "other" / "bin")),
        ask(tmp_path, VIRTUAL_ENV=str(tmp_path / "other")),
    ):
        assert f"installed for another Python ({other})" in said
        assert f"do  {sys.executable} -m pip install 'gnomon[data]'" in said


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import otherlib", "it needs otherlib, which is not installed"),
        ("from os import nothing_of_the_kind", "ImportError: cannot import name 'nothing_of_the_kind' from 'os'"),
        ("raise RuntimeError('wrong ABI')", "RuntimeError: wrong ABI"),
    ],
)
def test_a_library_that_does_not_load_says_what_is_broken(tmp_path: Path, code: str, says: str) -> None:
    said = ask(tmp_path, installed={"somelib/__init__.py": code, "somelib/part.py": ""})
    assert "installed but does not load" in said
    assert says in said
    assert f"in  {tmp_path}/lib/site-packages/somelib" in said
    assert "do  pip install --force-reinstall somelib" in said
