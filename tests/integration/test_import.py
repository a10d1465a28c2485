"""Ids from elsewhere are imported and trained on from a config that names the version, as prepared text is."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gnomon.base.files import read_json
from gnomon.base.progress import silent
from gnomon.cli import app
from gnomon.data.exchange.export import export_ids
from tests.world import small_config, small_dataset


def said(*arguments: object) -> dict[str, Any]:
    """Return what a verb says as JSON."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output.splitlines()[-1])


def test_a_pair_of_megatrons_is_imported_and_trained_on(tmp_path: Path) -> None:
    export_ids(small_dataset(tmp_path), "megatron", tmp_path / "pair", [], [], silent)
    (tmp_path / "pair" / "gnomon.json").unlink()  # as it comes from elsewhere
    pair, tokenizer = tmp_path / "pair" / "train" / "texts.bin", tmp_path / "pair" / "tokenizer.json"
    made = said("data", "import", pair, "--tokenizer", tokenizer, "--name", "pair", "--root", tmp_path)
    train = {"compile": False, "supervise": False, "threads": 1, "dtype": "fp32"}
    config = read_json(small_config(tmp_path, budget="4K tokens", export={"gguf": [], "hf": False}, train=train))
    config["data"], config["tokenizer"] = {"prepared": made["dataset"]}, {}
    (tmp_path / "config.json").write_text(json.dumps(config))
    result = said("train", tmp_path / "config.json")
    assert result["dataset"] == made["dataset"]
    assert 0 < result["val_loss"] < 6 and 0 < result["val_bits_per_byte"] < 8
    plan = read_json(tmp_path / "run" / "plan.json")
    assert (plan["dataset"], plan["shape"]["vocabulary"]) == (made["digest"], 512)
    assert (Path(made["dataset"]) / "report.html").exists()
    moved = Path(made["dataset"]).rename(tmp_path / "moved")
    again = said("train", tmp_path / "config.json", f"data.prepared={moved}")
    assert again["val_loss"] == result["val_loss"]
