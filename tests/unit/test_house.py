"""Laws about the tree itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import ROOT

FILES = sorted((ROOT / "gnomon").rglob("*.py"))
MAY_CATCH_ALL = {"cli.py", "events/bus.py", "tokenizer/tokenizer.py"}  # the last: its library raises nothing finer
PRINTERS = {"cli.py", "observe/console.py"}
LONGEST_FUNCTION, LONGEST_FILE = 100, 450


def named(path: Path) -> str:
    return path.relative_to(ROOT / "gnomon").as_posix()


@pytest.mark.parametrize("module", ["gnomon", "gnomon.config", "gnomon.events.bus", "gnomon.store.runs", "gnomon.cli"])
def test_importing_it_leaves_torch_unloaded(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_is_small_explained_and_catches_only_what_it_knows(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= LONGEST_FILE
    assert ast.get_docstring(tree), "the file does not say what it holds"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, node.name
        if isinstance(node, ast.ExceptHandler) and named(path) not in MAY_CATCH_ALL:
            kinds = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"everything"}
            assert not kinds & {"Exception", "BaseException", "everything"}, f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert named(path) in PRINTERS, f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_what_is_public_says_what_it_is(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or named(path) == "base/errors.py", node.name


def test_the_reference_is_what_the_code_says() -> None:
    checked = subprocess.run([sys.executable, "scripts/make_docs.py", "--check"], cwd=ROOT, check=False)
    assert checked.returncode == 0
