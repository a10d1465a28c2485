"""The page of a dataset shows what was removed beside what was kept, and no text can break it."""

import json
from html.parser import HTMLParser
from pathlib import Path

from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
from gnomon.observe.preparation import preparation_html
from tests.world import write_corpus


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.headings, self.marked, self.tags, self._in = list[str](), list[str](), list[str](), ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._in = tag
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self._in == "h2" and data.strip():
            self.headings.append(data)
        if self._in == "mark":
            self.marked.append(data.strip())
            self._in = ""


def test_the_page_shows_sources_flow_and_removed_texts_beside_their_keepers(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a")
    write_corpus(tmp_path / "b", seed=1)
    text = json.loads((tmp_path / "a" / "stories.jsonl").read_text().splitlines()[2])["text"]
    unlike = f"<script>alert('x')</script> {text} Unlike."
    (tmp_path / "b" / "more.jsonl").write_text(json.dumps({"text": unlike}) + "\n")
    sources = [
        {"name": "<b>old", "paths": str(tmp_path / "a"), "licence": "CC0"},
        {"name": "new", "paths": str(tmp_path / "b")},
    ]
    data = DataConfig.model_validate({"sources": sources, "root": str(tmp_path / "datasets"), "name": "both"})
    dataset = prepare(data, TokenizerConfig(), 512, silent)
    page = Page()
    page.feed(html := preparation_html(dataset))
    assert page.headings == [
        "Where the text went", "Tokens of a document", "How like the compared pairs are", "Sources",
        "Removed: near duplicate", "Files",
    ]  # fmt: skip
    assert page.marked == ["<script>alert('x')</script>"], "what only the kept text has is marked"
    assert "<script>alert" not in html
    assert "<b>old" not in html
    assert "CC0" in html
    assert "not said" in html
    assert f"{dataset.split('train').documents:,}" in html
