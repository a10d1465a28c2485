"""The chat template, rendered by others, gives the ids that training encoded; what is said is shown, and ends."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.base.files import pretty_json, read_json, write_atomic
from gnomon.bundle import Bundle, load_bundle
from gnomon.data.forms.chat import asked_parts, chat_parts
from gnomon.data.parts import encode_parts
from gnomon.data.questions.spoken import EVERY
from gnomon.export.gguf import token_kinds, write_gguf
from gnomon.export.hf import write_hf
from gnomon.export.modelfile import modelfile
from gnomon.export.verify import verify_gguf, verify_hf
from gnomon.taxonomy import ROUTER, SPECIAL_TOKENS, TYPES
from gnomon.tokenizer.train import train_tokenizer
from tests.clients.llama import LlamaCpp
from tests.world import SENTENCES, TINY, noisy_model, saved_bundle

transformers = pytest.importorskip("transformers", reason="pip install transformers")


@pytest.fixture(scope="module", params=["qwen2", "llama-bpe"])
def bundle(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Bundle:
    folder = tmp_path_factory.mktemp("run") / "noisy"
    tokenizer = train_tokenizer([*SENTENCES * 5, *["user\nassistant\nsystem\n\n"] * 9], 500, request.param)
    saved_bundle(folder, noisy_model(TINY), tokenizer)
    plan: Any = read_json(folder / "plan.json")
    write_atomic(folder / "plan.json", pretty_json(plan | {"chat": True}))
    return load_bundle(folder)


@pytest.fixture(scope="module")
def words(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Any:
    write_hf(bundle, folder := tmp_path_factory.mktemp("hf"), "f32")
    verify_hf(bundle, folder, "hf", "f32")
    return transformers.AutoTokenizer.from_pretrained(folder)


def plain(text: str) -> bool:
    return "\x00" not in text and not any(name in text for name in SPECIAL_TOKENS)


text = st.one_of(st.text(max_size=12), st.sampled_from(SENTENCES), st.sampled_from(["\n", "\n\n x", " \n", "é\r\n"]))
text = text.filter(plain)
answer = text.filter(lambda said: not set("\r\n") & set(said[: len(said) - len(said.lstrip())]))
"""An answer behind `assistant\\n`, of which a line's end at the start would become one token with that."""
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.floats(-9, 9), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=6,
)
mappings = st.dictionaries(text, values, max_size=3)
content = st.one_of(text, st.lists(text.map(lambda t: {"type": "text", "text": t}), max_size=3))
call = st.one_of(
    st.builds(lambda name, given: {"function": {"name": name, "arguments": given}}, text, mappings),
    st.builds(lambda name, given: {"name": name, "arguments": given}, text, mappings),
    st.builds(lambda name: {"function": {"name": name, "arguments": '{"a":  [1,2]}'}}, text),
    st.builds(lambda name: {"function": {"name": name}}, text),
)
turns = st.one_of(
    st.builds(lambda role, said: {"role": role, "content": said}, st.sampled_from(["user", "tool", "function"]),
              content),
    st.builds(lambda said: {"role": "assistant", "content": said}, answer),
    st.builds(lambda said, calls: {"role": "assistant", "content": said, "tool_calls": calls}, answer,
              st.lists(call, min_size=1, max_size=2)),
    st.builds(lambda made, recited: {"role": "assistant", "control": list(made.control),
              "content": "\n1912" * made.answers} | ({"recitation": recited} if recited else {}),
              st.sampled_from(list(EVERY.values())), st.one_of(st.none(), text.filter(str.strip))),
)  # fmt: skip
first = st.one_of(st.just([]), st.builds(lambda role, said: [{"role": role, "content": said}],
                                         st.sampled_from(["system", "developer"]), content))  # fmt: skip
tool = st.one_of(
    st.builds(lambda name, said, takes: {"type": "function", "function": {"name": name, "description": said,
              "parameters": takes}}, text, text, mappings),
    st.builds(lambda name: {"type": "function", "function": {"name": name}}, text),
)  # fmt: skip
LAST = [{"role": "assistant", "content": "Well."}]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(head=first, said=st.lists(turns, max_size=4), tools=st.one_of(st.none(), st.lists(tool, min_size=1, max_size=2)))
def test_transformers_renders_the_ids_that_training_encoded(
    bundle: Bundle, words: Any, head: list[dict[str, Any]], said: list[dict[str, Any]], tools: list[Any] | None
) -> None:
    messages = head + said + LAST
    ((ids, _),) = encode_parts([chat_parts({"messages": messages, "tools": tools})], bundle.tokenizer)
    assert rendered(words, messages, tools=tools) == [bundle.tokenizer.end_of_text, *ids]


def rendered(words: Any, messages: list[dict[str, Any]], **more: Any) -> list[int]:
    return words.apply_chat_template(messages, tokenize=True, return_dict=False, **more)


def test_a_prompt_is_what_training_has_before_the_answer(bundle: Bundle, words: Any) -> None:
    for said in SENTENCES:
        ((ids, _),) = encode_parts([asked_parts(said)], bundle.tokenizer)
        asked = [{"role": "user", "content": said}]
        assert rendered(words, asked, add_generation_prompt=True) == [bundle.tokenizer.end_of_text, *ids]


def test_what_is_said_is_shown_and_all_other_marks_are_not(bundle: Bundle, tmp_path: Path) -> None:
    write_gguf(bundle, path := tmp_path / "noisy.gguf", "f32")
    verify_gguf(bundle, path, path.name, "f32")
    names = bundle.tokenizer.token_texts
    kinds = [kind.name for kind in token_kinds(bundle.tokenizer, len(names), chat=True)]
    seen = {names[i] for i in bundle.tokenizer.special_ids if kinds[i] == "USER_DEFINED"}
    assert seen == {*TYPES, *ROUTER, "<tool_call>", "</tool_call>", "<|fact|>", "<|/fact|>"}
    assert {kinds[i] for i in bundle.tokenizer.special_ids if names[i] not in seen} == {"CONTROL"}
    assert not any(k.name == "USER_DEFINED" for k in token_kinds(bundle.tokenizer, len(names)))
    said = modelfile(bundle, "noisy.gguf")
    assert 'PARAMETER stop "<|im_end|>"' in said and "PARAMETER temperature 0\n" in said and ".Messages" in said


@pytest.mark.client
def test_llama_cpp_reads_a_conversation_with_the_same_ids(bundle: Bundle, llama_cpp: LlamaCpp, tmp_path: Path) -> None:
    write_gguf(bundle, path := tmp_path / "noisy.gguf", "f32")
    tools = [{"type": "function", "function": {"name": "weather", "description": "How warm", "parameters": {
        "type": "object", "properties": {"town": {"type": "string"}, "day": {"type": "integer"}}}}}]  # fmt: skip
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Rome", "day": 2}'}}
    messages = [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "31", "tool_call_id": "1"},
        {"role": "assistant", "content": "<|fact|> It is.<|/fact|><|type:number|><|known|>31"},
        {"role": "user", "content": "When?"},
    ]  # fmt: skip
    spelled = {
        "role": "assistant",
        "recitation": "It is.",
        "control": ["<|type:number|>", "<|known|>"],
        "content": "31",
    }
    record = {"messages": [*messages[:4], spelled, messages[5]], "tools": tools}
    ((ids, _),) = encode_parts([chat_parts(record)], bundle.tokenizer)
    with llama_cpp.server(path, threads=1) as server:
        said = server.ask("/apply-template", {"messages": messages, "tools": tools})["prompt"]
        found = server.tokenize(said, special=True)
        assert bundle.tokenizer.special_id("<|im_end|>") in server.end_tokens()
        shown = server.detokenize([bundle.tokenizer.special_id(mark) for mark in ("<|/fact|>", "<|known|>")])
    tail = bundle.tokenizer.encode("assistant\n")
    assert found == [*ids, bundle.tokenizer.special_id("<|im_start|>"), *tail]
    assert shown == "<|/fact|><|known|>"
