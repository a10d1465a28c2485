"""From heads to words, by the command line alone: a run, what its heads say, a stage that says it, llama.cpp."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from gnomon.base.files import read_json
from gnomon.bundle import load_bundle
from gnomon.data.questions.question import Question, read_questions
from gnomon.data.questions.spoken import decision_of, read_spoken, user_words
from gnomon.evaluate.agreement import asked_ids
from gnomon.events.journal import read_events
from gnomon.model.generate import Sampling, generate
from tests.clients.llama import LlamaCpp
from tests.world import gnomon, small_config, write_corpus

FORMS = {"Who met {}?": "HUM:ind", "When did {} begin?": "NUM:date", "How many had {}?": "NUM:count"}


def questions(count: int, seed: int) -> list[dict[str, Any]]:
    """Return questions whose first words say the type, and whose name says how matters stand."""
    draw, found = random.Random(seed), list[dict[str, Any]]()
    for i in range(count):
        form, fine = draw.choice(list(FORMS.items()))
        letters = draw.choice(["abcdef", "ghijkl", "mnopqr", "stuvwx"])
        question = form.format("".join(draw.choices(letters, k=4)))
        known, retrieve, posed = letters[0] == "a", letters[0] == "g", letters[0] != "s"
        labels = {"known": known, "retrieve": retrieve, "well_posed": posed}
        record = {"id": f"q{i}", "question": question, "fine_type": fine, "labels": labels}
        found.append(record | ({"answers": ["seven"]} if known else {"answerable": False}))
    return found


def write(path: Path, records: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def said_by(done: Any) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `run`, which has heads, and `spoken`, which begins from it and has learned to say what they do."""
    folder = tmp_path_factory.mktemp("stages")
    write_corpus(folder / "texts", 40)
    asked = {"paths": write(folder / "asked.jsonl", questions(500, 1)), "form": "questions"}
    common = {
        "data": {"train": [], "sources": [asked], "dedup": {"near": None}},
        "train": {"batch_tokens": 1024, "threads": 1},
    }
    heads = {"router": True, "types": True, "gradient_share": 1.0}
    texts = {"paths": str(folder / "texts")}
    first = {"data": common["data"] | {"sources": [asked, texts]}, "mix": {"weights": {"asked": 5, "texts": 1}}}
    done = gnomon("train", small_config(folder, **first, heads=heads, budget="100K tokens",
                                        train=common["train"], export={"gguf": [], "hf": False}))  # fmt: skip
    assert done.returncode == 0, done.stderr
    spoken, labels = folder / "spoken.jsonl", folder / "said.jsonl"
    found = said_by(gnomon("questions", "speak", folder / "run", folder / "asked.jsonl", "--out", spoken,
                           "--labels", labels, "--json"))  # fmt: skip
    assert found["questions"] + found["no_answer"] == 500 and len(found["states"]) >= 3, found
    sources = [{"paths": str(spoken), "form": "chat"}, {"paths": str(labels), "form": "questions"}]
    second = {"init": str(folder / "run"), "data": common["data"] | {"sources": sources, "root": str(folder / "d")}}
    second |= {"budget": "100K tokens", "out": str(folder / "stage"), "train": common["train"] | {"lr": 3e-3}}
    second |= {"export": {"gguf": ["f32"], "hf": False}, "mix": {"weights": {"spoken": 3, "said": 1}}}
    (folder / "stage.json").write_text(json.dumps(second))
    done = gnomon("train", folder / "stage.json")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_stage_has_taken_over_shape_tokenizer_and_heads_and_says_from_where(stages: Path) -> None:
    before, after = load_bundle(stages / "run"), load_bundle(stages / "stage")
    assert after.shape == before.shape and after.tokenizer.digest == before.tokenizer.digest
    assert after.model.heads is not None and after.model.heads.kinds == ["router", "types"]
    (started,) = [e for e in read_events(after.run.events_path) if e["kind"] == "run_started"]
    assert started["init"] == read_json(after.run.plan_path)["init"] and started["init"]["run"] == str(stages / "run")
    assert gnomon("train", stages / "stage.json").returncode == 0, "and it is done"


def test_what_is_written_says_what_heads_say_and_gives_only_answers_that_are_known(stages: Path) -> None:
    for line in (stages / "spoken.jsonl").read_text().splitlines():
        (_, said) = json.loads(line)["messages"]
        assert bool(said["content"]) == decision_of(said["control"]).answers and said["content"] in ("", " seven")


def test_it_says_of_new_questions_what_its_heads_do(stages: Path) -> None:
    new = write(stages / "new.jsonl", questions(200, 2))
    found = said_by(gnomon("eval", stages / "stage", "--spoken", new, "--json"))["spoken"]
    print(found)
    assert found["questions"] == 200 and found["spoken"] > 0.97 and set(found["thresholds"].values()) == {0.5}
    assert found["type"] > 0.95 and found["answer"] > 0.9 and found["retrieve"] > 0.9
    done = gnomon("eval", stages / "run", "--spoken", new, "--json")
    assert done.returncode == 3 and "no conversations" in done.stdout


@pytest.mark.client
def test_llama_cpp_says_it_word_for_word_and_shows_it(stages: Path, llama_cpp: LlamaCpp) -> None:
    bundle = load_bundle(stages / "stage")
    asked: list[Question] = list(read_questions(stages / "new.jsonl"))[:40]
    spoken = 0
    with llama_cpp.server(bundle.run.export_folder / "stage-f32.gguf", threads=1) as server:
        ends = server.end_tokens()
        for prompt, question in zip(asked_ids(bundle, asked), asked, strict=True):
            steps = generate(bundle.model, [prompt], 12, Sampling(temperature=0, banned=ends))
            assert [row[0] for row in steps] == server.greedy(prompt, 12)
            messages = [{"role": "user", "content": user_words(question)}]
            body = {"messages": messages, "temperature": 0, "max_tokens": 12}
            shown = server.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"]
            ours = generate(bundle.model, [prompt], 12, Sampling(temperature=0), frozenset(ends))
            text = bundle.tokenizer.decode([t for row in ours if (t := row[0]) is not None], specials=True)
            assert shown == text
            spoken += read_spoken(shown)[0] is not None
    assert spoken >= 38
