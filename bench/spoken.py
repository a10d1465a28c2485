"""What a GGUF says of held-out questions in llama.cpp, with no line of Gnomon, beside what heads say of them.

    python bench/spoken.py runs/spoken questions.jsonl --before runs/knowing --llama .clients/llama.cpp/bin

Each question is asked as a person asks it: its words, by the chat template in the file, in a conversation of its own,
greedily. What comes back is text, read as such. Heads are those of the run behind what llama.cpp recited; and, where a
model recites, as the run itself recites when it is asked in the layout of questions (`asked`).
"""

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from gnomon.base.progress import silent
from gnomon.bundle import load_bundle
from gnomon.data.questions.question import Question, read_questions
from gnomon.data.questions.spoken import Decision, Thresholds, read_spoken, user_words
from gnomon.evaluate.agreement import agreement, asked_ids, heads_behind, most_said, rights, said_of, thresholds_of
from gnomon.evaluate.speaking import speak
from gnomon.model.generate import Sampling, generate
from tests.clients.llama import LlamaCpp, LlamaServer

MOST_TOKENS = 24
"""Of a decision and an answer, behind what is recited."""
COMPARED = 50
"""Questions of which every token of llama.cpp's answer is compared with ours."""


def main() -> None:
    """Ask, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("questions", type=Path, nargs="+")
    parser.add_argument("--before", type=Path, help="the run that it begins from")
    parser.add_argument("--gguf", type=Path, help="of the run; its export/NAME-f32.gguf otherwise")
    parser.add_argument("--llama", type=Path, help="folder of llama.cpp's programs")
    parser.add_argument("--limit", type=int, default=1000, help="questions, drawn at random")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    every = [question for path in asked.questions for question in read_questions(path)]
    bundle = load_bundle(asked.run)
    most = most_said(bundle) + MOST_TOKENS
    room = bundle.shape.context - most
    fitting = [q for q, ids in zip(every, asked_ids(bundle, every), strict=True) if len(ids) <= room]
    questions = random.Random(0).sample(fitting, min(asked.limit, len(fitting)))
    gguf = asked.gguf or bundle.run.export_folder / f"{bundle.name}-f32.gguf"
    found = LlamaCpp(asked.llama) if asked.llama else LlamaCpp.find()
    if found is None:
        sys.exit("no llama.cpp here: scripts/install-llama-cpp.sh brings one")
    with found.server(gguf, context=2 * bundle.shape.context, threads=1) as server:
        texts = [ask(server, question, most) for question in questions]
        equal = same_tokens(server, bundle, questions[:COMPARED], most)
    said = [read_spoken(text)[0] for text in texts]
    at = thresholds_of(bundle, asked.questions[0])
    result: dict[str, Any] = {
        "gguf": gguf.name,
        "questions": len(questions),
        "too_long": len(every) - len(fitting),
        "same_tokens": equal,
    }
    runs = {"its own heads": bundle} | ({"heads of the run before": load_bundle(asked.before)} if asked.before else {})
    for name, one in runs.items():
        result[name] = agreement(said, heads_behind(one, questions, texts, at, silent))
        if one.plan.get("recites") is True:
            result[f"{name}, asked"] = agreement(said, heads_of(one, questions, at))
    ours = [read_spoken(text)[0] for text in said_of(bundle, questions, silent)]
    result["our own decoding"] = agreement(said, ours)
    result["rights"] = rights(questions, texts)
    if asked.json:
        print(json.dumps(result))
        return
    print(f"{len(questions):,} questions asked of {gguf.name}; all tokens as ours in {equal[0]} of {equal[1]}")
    print(", ".join(f"{count:,} {name}" for name, count in result.pop("rights").items()))
    for name in (name for name, one in result.items() if isinstance(one, dict)):
        shares = ", ".join(f"{key} {100 * value:.1f} %" for key, value in result[name].items() if key != "questions")
        print(f"{name:<30} {shares}")


def ask(server: LlamaServer, question: Question, most: int) -> str:
    """Return what llama.cpp answers to a plain question, as its chat interface prints it."""
    messages = [{"role": "user", "content": user_words(question)}]
    body = {"messages": messages, "temperature": 0, "max_tokens": most, "cache_prompt": False}
    return server.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"] or ""


def heads_of(bundle: Any, questions: list[Question], at: Thresholds) -> list[Decision | None]:
    """Return what the heads of a run make of each question."""
    return [one.decision for one in speak(bundle, questions, at, silent)]


def same_tokens(server: LlamaServer, bundle: Any, questions: list[Question], most: int) -> tuple[int, int]:
    """Return of how many questions all tokens of a greedy answer are ours, and of how many."""
    equal = 0
    for prompt in asked_ids(bundle, questions):
        ours = [row[0] for row in generate(bundle.model, [prompt], most, Sampling(
            temperature=0, banned=server.end_tokens()))]  # fmt: skip
        equal += ours == server.greedy(prompt, most)
    return equal, len(questions)


if __name__ == "__main__":
    main()
