"""Writes docs/reference from the code itself: every config key, every verb, every kind of error.

python scripts/make_docs.py            write the pages
python scripts/make_docs.py --check    exit with 1 when a page is not what the code says
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from gnomon.presets import LATER, PRESETS, Shape

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "reference"
VERBS = (
    "train", "plan", "eval", "calibrate", "ask", "generate", "chat", "export", "verify", "checkpoints", "report",
    "data prepare", "data ls", "data show", "data verify", "data report", "data diff", "data trace", "data dedup",
    "data decontaminate", "data fetch", "data synth", "data world", "data explain", "data check",
    "data import", "data export", "data stats", "data plan", "data classify train",
    "mix simulate",
    "tokenizer train", "tokenizer eval", "tokenizer import",
    "questions teach", "questions label", "questions speak", "heads fit",
    "bench speed", "bench loss", "bench generate",
)  # fmt: skip
MADE = "<!-- made by `make docs`; edit the code instead -->\n\n"


def main() -> int:
    """Write or check the pages; return the exit code."""
    pages = {
        "config.md": config_page(),
        "verbs.md": verbs_page(),
        "errors.md": errors_page(),
        "sizes.md": sizes_page(),
    }
    stale = [n for n, t in pages.items() if not (PAGES / n).exists() or (PAGES / n).read_text() != t]
    if "--check" in sys.argv:
        print("\n".join(f"docs/reference/{n} is not what the code says: run `make docs`" for n in stale))
        return int(bool(stale))
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (PAGES / name).write_text(text)
    return 0


def config_page() -> str:
    """Return the table of every key of a config, from the fields and comments of gnomon/config."""
    files = (ROOT / "gnomon" / "config" / f"{name}.py" for name in ("options", "adaptive", "heads", "world"))
    source = "".join(f"{file.read_text()}\n\n" for file in files)
    parts = ("sources[]", "domains[]", "clean", "dedup", "decontaminate", "slurm")
    names = ("data", *(f"data.{part}" for part in parts), "tokenizer", "model", "adaptive", "mix", "train", "heads")
    names += ("heads.measured", "worlds[]", "export")
    sections = {_class_of(name): f"{name}." for name in names} | {"Config": ""}
    page = (
        MADE + "# Every key of a config\n\n`null` means: derived by the plan, which says why (`gnomon plan CONFIG`).\n"
    )
    for name, prefix in sections.items():
        body = re.search(
            rf'class {name}\((?:_Section|BaseModel)\):\n    """(.*?)"""\n(.*?)(?=\n\n\n|\n    @)', source, re.S
        )
        assert body, name
        page += f"\n## {prefix.rstrip('.') or 'top level'}\n\n{body[1]}\n\n| key | default | meaning |\n|---|---|---|\n"
        for line in body[2].splitlines():
            if field := re.match(r"    (\w+): [^=#]+(?:= (.*?))?(?:  # (.*))?$", line):
                key, default, meaning = field[1], field[2] or "required", field[3] or "see its section"
                default = re.sub(r"^Field\((?:default=)?(.*?)(?:, \w+=.*)?\)$", r"\1", default).replace("None", "null")
                if "Config()" not in default:
                    default = "required" if "min_length" in default else default
                    page += f"| `{prefix}{key}` | `{default}` | {meaning} |\n"
    return page


def _class_of(section: str) -> str:
    """Return the name of the class that describes a section of the config."""
    return f"{section.split('.')[-1].removesuffix('s[]').title()}Config"


def verbs_page() -> str:
    """Return the help of every verb, as the command prints it."""
    page = MADE + "# Every verb\n"
    for verb in VERBS:
        said = subprocess.run(
            [sys.executable, "-m", "gnomon", *verb.split(), "--help"],
            capture_output=True, text=True, check=True, env={"COLUMNS": "100", "PATH": "", "PYTHONPATH": str(ROOT)},
        ).stdout  # fmt: skip
        page += f"\n## gnomon {verb}\n\n```\n{said.strip()}\n```\n"
    return page


def errors_page() -> str:
    """Return the tree of errors and exit codes, from the docstring that draws it."""
    tree = (ROOT / "gnomon" / "base" / "errors.py").read_text().split('"""')[1]
    return MADE + "# Errors and exit codes\n\n```\n" + tree.strip() + "\n```\n"


def sizes_page() -> str:
    """Return the shape of every preset, and the exact parameters of each of its parts."""
    sizes = [field.name for field in fields(Shape) if field.name not in ("rope_theta", "norm_epsilon", "block", *LATER)]
    page = MADE + "# Sizes\n\n`size` names one of these shapes; any key of `model` changes it.\n" + _table(
        ["size", *(name.replace("_", " ") for name in sizes)],
        ([name, *(f"{getattr(shape, part):,}" for part in sizes)] for name, shape in PRESETS.items()),
    )  # fmt: skip
    page += (
        "\nThe parameters of each part. The output head is the embedding, and counts once. `unified-164m` has rows for"
        " 50,304 ids, of which its tokenizer uses 50,257 at most.\n"
    )
    parts = list(dict.fromkeys(part for shape in PRESETS.values() for part in shape.parameter_table()))
    page += _table(
        ["size", *(part.replace("_", " ") for part in parts), "parameters"],
        (
            [name, *(f"{shape.parameter_table().get(part, 0):,}" for part in parts), f"{shape.parameters:,}"]
            for name, shape in PRESETS.items()
        ),
    )
    return page + (
        "\n`adaptive-25m` has learned positions and four layers that a token passes up to four times. It is made for"
        "\n25.6 million parameters: 52 % embeddings, 42 % blocks; what the table leaves is for heads and adapters."
        "\n\nThe others are of the default block. With `model.block=gpt-neox` a size keeps vocabulary, width, layers"
        "\nand heads; `kv_heads` is then `heads`, `head_width` is `width / heads` and `feed_forward` 4 times `width`,"
        "\nunless they are given. `gnomon plan` prints the table of either, with memory for training and inference,"
        "\nFLOPs, time and disk, also of a model that this machine could not hold.\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    sys.exit(main())
