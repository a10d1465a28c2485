"""What is exported in Hugging Face layout is, in `transformers`, the same model and the same tokenizer."""

from pathlib import Path

import pytest
import torch

from gnomon.base.progress import silent
from gnomon.bundle import Bundle
from gnomon.export.verify import probe
from gnomon.export.write import export
from gnomon.model.generate import Sampling, generate
from tests.parity.lines import thousand_lines
from tests.world import TINY, noisy_model

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export")
    export(bundle, out, [], True, silent)
    return out / "hf"


def test_a_model_with_lively_weights_has_the_logits_of_transformers_qwen3() -> None:
    model = noisy_model()
    config = transformers.Qwen3Config(
        vocab_size=TINY.vocabulary, hidden_size=TINY.width, intermediate_size=TINY.feed_forward,
        num_hidden_layers=TINY.layers, num_attention_heads=TINY.heads, num_key_value_heads=TINY.kv_heads,
        head_dim=TINY.head_width, rms_norm_eps=TINY.norm_epsilon, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": TINY.rope_theta},
    )  # fmt: skip
    theirs = transformers.Qwen3ForCausalLM(config).eval()
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    theirs.load_state_dict(weights | {"lm_head.weight": model.head})
    tokens = torch.randint(TINY.vocabulary, (4, TINY.context))
    with torch.no_grad():
        assert (model.logits(model(tokens).hidden) - theirs(tokens).logits).abs().max() <= 1e-4


def test_the_folder_loads_without_custom_code_and_says_the_same(bundle: Bundle, folder: Path) -> None:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    assert type(theirs).__name__ == "Qwen3ForCausalLM"
    assert theirs.lm_head.weight.data_ptr() == theirs.model.embed_tokens.weight.data_ptr()
    tokens = probe(bundle)
    with torch.no_grad():
        difference = (bundle.model.logits(bundle.model(tokens).hidden) - theirs(tokens).logits).abs().max()
    print(f"largest logit difference {difference:.1e}")
    assert difference <= 1e-4
    prompt = [bundle.tokenizer.end_of_text, *bundle.tokenizer.encode("The ")]
    greedy = Sampling(temperature=0, banned=frozenset([bundle.tokenizer.end_of_text]))
    ours = [t[0] for t in generate(bundle.model, [prompt], 40, greedy)]
    made = theirs.generate(torch.tensor([prompt]), max_new_tokens=40, min_new_tokens=40, do_sample=False)
    assert made[0, len(prompt) :].tolist() == ours


def test_the_tokenizer_gives_the_same_ids_and_text(bundle: Bundle, folder: Path) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for line in thousand_lines():
        ids = bundle.tokenizer.encode(line)
        assert theirs(line, add_special_tokens=False, split_special_tokens=True).input_ids == ids
        assert theirs.decode(ids) == line
    assert theirs("Once").input_ids[0] == theirs.bos_token_id == theirs.eos_token_id == bundle.tokenizer.end_of_text
