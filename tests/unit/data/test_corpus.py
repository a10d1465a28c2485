"""Documents by their numbers: what is asked of a few of them opens their blocks and no others."""

import json
from pathlib import Path

import numpy as np
import pytest

from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data import blocks, corpus
from gnomon.data.account import flow_of, samples_of
from gnomon.data.corpus import Corpus
from gnomon.data.engine import open_engine
from gnomon.data.recipe import Recipe
from gnomon.data.work import Work


def test_what_is_asked_of_few_documents_opens_few_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in ((blocks, "FRAME_BYTES", 200), (blocks, "BLOCK_BYTES", 200), (corpus, "OPEN_BLOCKS", 2)):
        monkeypatch.setattr(module, name, value)
    for source, count in (("z", 50), ("a", 30)):
        texts = [f"text {i} of {source}, and {i * i % 97} more: " + "sea " * (i % 30) for i in range(count)]
        (tmp_path / f"{source}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    said = [{"name": name, "paths": str(tmp_path / f"{name}.jsonl"), "tokens": 500} for name in "za"]
    data = DataConfig.model_validate(
        {"sources": said, "name": "s", "root": str(tmp_path / "made"), "dedup": {"near": None}, "workers": 1}
    )
    recipe, opened, block = Recipe.of(data, TokenizerConfig(), 512, silent), list[int](), Corpus.block
    recipe.folder.mkdir(parents=True)
    monkeypatch.setattr(Corpus, "block", lambda self, number: opened.append(number) or block(self, number))
    with open_engine("local", 1, data.slurm, tmp_path) as engine:
        work = Work(recipe, engine, silent)
        every = work.read()
        total = len(every.places)
        assert total > 20
        all_numbers = np.arange(every.count)
        rows, texts = every.rows(all_numbers), list(every.texts(all_numbers))
        few = np.array([every.starts[3], every.starts[3] + 1, every.starts[10], every.count - 1])
        wanted = [every.locate(n)[0] for n in few.tolist()]
        for name in ("rows", "texts", "sources_of"):
            every.documents(7), every.documents(8), opened.clear()  # none of theirs is open
            found = getattr(every, name)(few)
            assert name != "rows" or np.array_equal(found, rows[few])
            assert name != "texts" or list(found) == [texts[n] for n in few.tolist()]
            assert name != "sources_of" or [found[0][i] for i in found[1]] == list("zzza")
            assert opened == sorted(set(wanted)), name
        work.decide(every)
        work.encode(every, work.learn(every))
        assert [r.reason for r in every.removals] == ["over the budget of its source"]
        assert (np.diff(every.removals[0].numbers) > 0).all()
        opened.clear()
        flow_of(every), list(samples_of(every))
        assert len(opened) < 8 * total
