"""Which questions a run's answers may be judged by."""

import json
from pathlib import Path

from gnomon.evaluate.answers import judged_questions


def test_without_evidence_nothing_is_judged_by_what_only_its_evidence_lacked(tmp_path: Path) -> None:
    asked = {"question": "Who wrote Emma?"}
    records = [
        {**asked, "id": "closed", "answers": ["Jane Austen"], "answerable": True},
        {**asked, "id": "short", "evidence": ["Emma is a novel."], "answers": [], "answerable": False},
        {**asked, "id": "gold", "evidence": ["Jane Austen wrote Emma."], "answers": ["Jane Austen"]},
        {"question": "Who wrote it?", "id": "odd", "evidence": ["Emma."], "well_posed": False},
        {"question": "Who wrote Xyz?", "id": "never", "answerable": False},
        {"question": "Who?", "id": "unknown"},
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    shown = judged_questions(path, "shown")
    assert [q.id for q in shown] == ["closed", "short", "gold", "odd", "never"]
    closed = judged_questions(path, "none")
    assert {q.question: q.answers for q in closed} == {
        "Who wrote Emma?": ("Jane Austen",),
        "Who wrote it?": (),
        "Who wrote Xyz?": (),
    }
    assert not any(q.evidence for q in closed) and len(closed) == 3
