"""Laws about the tree itself: what loads torch, how long things are, who may print, who may catch all."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gnomon

PACKAGE = Path(gnomon.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
PRINTERS = ("cli.py", "observe/")
CATCHERS = ("cli.py", "events/bus.py")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text("utf-8"), file)


def functions(file: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def public(node: ast.Module | Definition, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield the functions and classes that a reader of the docs would look for, with dotted names."""
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


def says_itself(definition: Definition) -> bool:
    """Whether name and annotations say all: the body is one statement, or a list of fields."""
    if isinstance(definition, ast.ClassDef):
        return all(isinstance(statement, ast.Assign | ast.AnnAssign | ast.Pass) for statement in definition.body)
    return len(definition.body) == 1


@pytest.mark.parametrize(
    "module",
    [
        "gnomon",
        "gnomon.base.files",
        "gnomon.cli",
        "gnomon.config",
        "gnomon.events.types",
        "gnomon.store.runs",
        "gnomon.train.supervise",
    ],
)
def test_importing_it_in_a_fresh_process_leaves_torch_unloaded(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_module_of_the_lower_floors_together_leaves_torch_unloaded() -> None:
    floors = ("base/", "embed/", "events/", "store/", "config/", "presets.py", "taxonomy.py")
    names = ["gnomon." + f.removesuffix(".py").replace("/", ".") for f in FILES if f.startswith(floors)]
    code = f"import sys; [__import__(n) for n in {names}]; sys.exit('torch' in sys.modules)"
    assert len(names) > 10
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("file", FILES)
def test_no_file_is_over_450_lines_and_no_function_over_100(file: str) -> None:
    assert len((PACKAGE / file).read_text("utf-8").splitlines()) <= 450
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(file)}
    assert {name: length for name, length in lengths.items() if length > 100} == {}


@pytest.mark.parametrize("file", FILES)
def test_every_module_and_every_public_name_says_what_it_is(file: str) -> None:
    module = tree(file)
    assert ast.get_docstring(module) or file == "__main__.py"
    silent = [name for name, node in public(module) if not ast.get_docstring(node) and not says_itself(node)]
    assert silent == []


@pytest.mark.parametrize("file", FILES)
def test_every_signature_is_annotated(file: str) -> None:
    bare = []
    for function in functions(file):
        arguments = function.args
        every = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]
        named = [a for a in every if a is not None and a.arg not in ("self", "cls", "ctx")]
        if function.returns is None or any(a.annotation is None for a in named):
            bare.append(function.name)
    assert bare == []


@pytest.mark.parametrize("file", [f for f in FILES if not f.startswith(PRINTERS)])
def test_only_the_command_line_and_the_observers_print(file: str) -> None:
    calls = (node for node in ast.walk(tree(file)) if isinstance(node, ast.Call))
    assert [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"] == []


@pytest.mark.parametrize("file", [f for f in FILES if f not in CATCHERS])
def test_only_the_border_catches_every_exception(file: str) -> None:
    handlers = (node for node in ast.walk(tree(file)) if isinstance(node, ast.ExceptHandler))
    swallowing = [h for h in handlers if catches_all(h) and not isinstance(h.body[-1], ast.Raise)]
    assert [h.lineno for h in swallowing] == []


def catches_all(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds
    )


def test_the_reference_is_what_the_code_says() -> None:
    root = PACKAGE.parent
    checked = subprocess.run([sys.executable, "scripts/make_docs.py", "--check"], cwd=root, check=False)
    assert checked.returncode == 0
