"""A teacher with a sentence encoder that learns too: what it says, alone and in company, its files, and its errors."""

import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gnomon.base.errors import DataError, DependencyError, IntegrityError
from gnomon.base.files import sha256_bytes
from gnomon.data.questions import encoder as encoders
from gnomon.data.questions.encoder import open_encoder, teach_encoder
from gnomon.data.questions.knowledge import Knowledge, load_knowledge
from gnomon.data.questions.question import Question
from gnomon.data.questions.teacher import Teacher, load_teacher, teach
from gnomon.embed.minilm import SentenceEmbedder
from gnomon.taxonomy import FINE_TYPES
from gnomon.verbs.questions import questions_app

transformers: Any = pytest.importorskip("transformers", reason="pip install 'gnomon[minilm]'")

ASKS = {"HUM:ind": "who {} {}", "LOC:other": "where did they {} {}", "NUM:date": "what year did they {} {}"}
VERBS = ("paint", "find", "build", "sell", "wash", "carry")
THINGS = ("emma", "bridges", "houses", "paris", "lamps")
GOLD = [
    Question(f"{fine} {verb} {thing}", ask.format(verb, thing), fine_type=fine)
    for (fine, ask), verb, thing in product(ASKS.items(), VERBS, THINGS)
]
TEXTS = [*(question.question for question in GOLD), "", "who", "when did " + "unheard of " * 30]


def write_model(folder: Path, seed: int, **shape: Any) -> Path:
    """Write a sentence encoder with random weights, as `save_pretrained` does."""
    words = sorted({word for text in TEXTS for word in text.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64} | shape
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=40, num_hidden_layers=2, **shape
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"), 3)


@pytest.fixture(scope="module")
def teacher(model: Path) -> Teacher:
    return teach(GOLD, load_knowledge(None, None, str(model)))


def test_each_question_has_the_same_probabilities_in_any_company(teacher: Teacher) -> None:
    labels = teacher.label(TEXTS)
    assert np.allclose(labels.fine.sum(1), 1, atol=1e-4)
    turned = teacher.label(TEXTS[::-1])
    assert turned.fine[::-1].tobytes() == labels.fine.tobytes()
    for i in (0, 7, 40, len(TEXTS) - 3, len(TEXTS) - 2, len(TEXTS) - 1):
        assert teacher.label([TEXTS[i]]).fine[0].tobytes() == labels.fine[i].tobytes()
    assert teacher.label([]).fine.shape == (0, len(FINE_TYPES))
    assert not np.allclose(replace(teacher, share=0.0).label(TEXTS).fine, labels.fine)


def test_the_encoder_learns_above_the_embeddings_and_its_scores_are_those_of_transformers(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "EPOCHS", 40)
    monkeypatch.setattr(encoders, "RATE", 1e-3)
    monkeypatch.setattr(encoders, "HEAD_RATE", 1e-2)
    texts, true = TEXTS[:90], np.array([FINE_TYPES.index(str(question.fine_type)) for question in GOLD])
    steps = list[tuple[int, int | None]]()
    taught = teach_encoder(
        open_encoder(str(model)), texts, true, lambda stage, done, total, unit: steps.append((done, total))
    )
    assert steps == [(i + 1, 40 * 3) for i in range(40 * 3)]
    scores = taught.scores(texts)
    assert (scores.argmax(1) == true).mean() > 0.9
    assert not any(name.startswith(("embeddings.", "pooler.")) for name in taught.weights)
    theirs, tokenizer = (
        getattr(transformers, kind).from_pretrained(model).eval() if kind == "AutoModel" else
        getattr(transformers, kind).from_pretrained(model)
        for kind in ("AutoModel", "AutoTokenizer")
    )  # fmt: skip
    before = {name: one.detach().clone() for name, one in theirs.named_parameters()}
    learned = {name: torch.from_numpy(one).float() for name, one in taught.weights.items() if name in before}
    assert len(learned) == 2 * 16 and not any(torch.equal(one, before[name]) for name, one in learned.items())
    theirs.load_state_dict(learned, strict=False)
    weight, bias = (taught.weights[f"types.{name}"].astype(np.float32) for name in ("weight", "bias"))
    for text, said in zip(texts[::9], scores[::9], strict=True):
        with torch.inference_mode():
            mean = theirs(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy()
        assert np.abs(mean @ weight.T + bias - said).max() < 0.02 * np.abs(said).max()  # bfloat16


def test_equal_questions_make_equal_teachers_and_files_read_back(teacher: Teacher, model: Path, tmp_path: Path) -> None:
    torch.rand(1)  # whatever was drawn before
    state = torch.random.get_rng_state()
    assert teach(GOLD, load_knowledge(None, None, str(model))).digest == teacher.digest
    assert torch.equal(torch.random.get_rng_state(), state)
    assert teach(GOLD).digest != teacher.digest
    teacher.save(tmp_path / "t")
    shutil.copytree(model, tmp_path / "moved")
    again = load_teacher(tmp_path / "t", load_knowledge(None, None, str(tmp_path / "moved")))
    assert again.digest == teacher.digest and again.share == teacher.share > 0
    assert again.label(TEXTS).fine.tobytes() == teacher.label(TEXTS).fine.tobytes()


def test_another_encoder_none_and_damaged_weights_are_refused(teacher: Teacher, model: Path, tmp_path: Path) -> None:
    teacher.save(folder := tmp_path / "t")
    known = load_knowledge(None, None, str(model))
    with pytest.raises(DataError, match="was taught with --encoder"):
        load_teacher(folder)
    with pytest.raises(DataError, match="was taught with another --encoder"):
        load_teacher(folder, load_knowledge(None, None, str(write_model(tmp_path / "other", 4))))
    teach(GOLD).save(tmp_path / "plain")
    with pytest.raises(DataError, match="was taught without --encoder"):
        load_teacher(tmp_path / "plain", known)
    path, head = folder / "encoder.safetensors", json.loads((folder / "teacher.json").read_bytes())
    whole = path.read_bytes()
    narrow = teach_encoder(
        open_encoder(str(write_model(tmp_path / "narrow", 5, intermediate_size=48))), TEXTS[:9], np.arange(9)
    )
    for data, match in ((whole[:-1], "no taught encoder"), (narrow.data, "is not what the encoder has")):
        path.write_bytes(data)
        with pytest.raises(IntegrityError, match="not the weights"):
            load_teacher(folder, known)
        (folder / "teacher.json").write_text(json.dumps(head | {"encoder_sha256": sha256_bytes(data)}))
        with pytest.raises(IntegrityError, match=match):
            load_teacher(folder, known)
        (folder / "teacher.json").write_text(json.dumps(head))


def test_what_is_no_encoder_and_a_missing_library_are_told(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="neither a folder") as e:
        load_knowledge(None, None, str(tmp_path / "nowhere"))
    assert e.value.where == "--encoder"
    with pytest.raises(DataError, match="are near each other"):
        teach([replace(GOLD[0], id=str(i)) for i in range(60)], load_knowledge(None, None, str(model)))
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:200])
    with pytest.raises(DataError, match="cannot load this model"):
        teach(GOLD, load_knowledge(None, None, str(broken)))

    def missing(module: str, *, extra: str, why: str) -> None:
        raise DependencyError(f"{why} needs the library {module}")

    monkeypatch.setattr("gnomon.embed.minilm.need", missing)
    with pytest.raises(DependencyError, match=r"^--encoder names a sentence model, which needs"):
        teach(GOLD, Knowledge(encoder=SentenceEmbedder.open(str(model), why=encoders.WHY)))


def test_the_verbs_teach_and_label_with_an_encoder(model: Path, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    lines = (json.dumps({"question": one.question, "fine_type": one.fine_type}) + "\n" for one in GOLD)
    gold.write_text("".join(lines))
    folder, out = str(tmp_path / "t"), tmp_path / "out.jsonl"
    with_it = ["--encoder", str(model)]
    taught = CliRunner().invoke(questions_app, ["teach", str(gold), "--out", folder, "--json", *with_it])
    assert taught.exit_code == 0, taught.output
    (tmp_path / "new.jsonl").write_text('{"question": "who build houses"}\n')
    call = ["label", str(tmp_path / "new.jsonl"), "--teacher", folder, "--out", str(out)]
    assert isinstance(CliRunner().invoke(questions_app, call).exception, DataError)
    done = CliRunner().invoke(questions_app, [*call, *with_it])
    assert done.exit_code == 0, done.output
    assert next(iter(json.loads(out.read_text())["labels"]["fine"])) == "HUM:ind"
