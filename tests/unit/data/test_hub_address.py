"""An address says all that is asked of the Hub, comes back from its own text, and a wrong one is told what is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError
from gnomon.data.reading.hub_address import HubAddress

values = st.text("aé&=?#%+ /\n", min_size=1, max_size=8)
either = st.one_of(
    st.tuples(st.none() | values, st.none()), st.tuples(st.none(), values.map(lambda text: "{a}" + text + "{b}"))
)


@settings(max_examples=40)
@given(st.sampled_from(["squad", "openai/gsm8k"]), st.none() | values, values, st.none() | values, either)
def test_an_address_comes_back_from_its_text(
    dataset: str, config: str | None, split: str, revision: str | None, text: tuple[str | None, str | None]
) -> None:
    address = HubAddress(dataset, config, split, revision, *text)
    again = HubAddress.parse(str(address))
    assert again == address
    assert again.digest == address.digest
    assert HubAddress(dataset, config, split + "!", revision, *text).digest != address.digest


def test_a_template_is_filled_from_its_columns_and_nothing_else() -> None:
    address = HubAddress.parse(r"hf:openai/gsm8k?config=main&template=Q: {question}\nA: {answer} ({question})")
    assert address == HubAddress("openai/gsm8k", "main", template="Q: {question}\nA: {answer} ({question})")
    assert address.columns == ["question", "answer"]
    assert address.fill({"question": "{answer}", "answer": 3}) == "Q: {answer}\nA: 3 ({answer})"
    assert HubAddress.parse("hf:a/b?field=x").columns == ["x"]
    assert HubAddress.parse("hf:a/b") == HubAddress("a/b", None, "train", None, None, None)


@pytest.mark.parametrize(
    ("text", "says", "do"),
    [
        ("openai/gsm8k", "is no address of a data set", "write it as hf:openai/gsm8k?config=main"),
        ("hf:", "is no address of a data set", "write it as"),
        ("hf:../etc/passwd", "is no address of a data set", "write it as"),
        ("hf:a/b?confg=x", "unknown key 'confg'", "use config"),
        ("hf:a/b?zzz=x", "unknown key 'zzz'", "use config split revision field template; write & in a value as %26"),
        ("hf:a/b?split=", "split has no value", "as in hf:"),
        ("hf:a/b?split=x&split=y", "split comes twice", "as in hf:"),
        ("hf:a/b?field=x&template={y}", "field and template exclude each other", "give one of them"),
        ("hf:a/b?template=x", "the template names no column", "give one of them"),
    ],
)
def test_a_wrong_address_is_told_what_is_wrong(text: str, says: str, do: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        HubAddress.parse(text)
    assert caught.value.where == text
    assert do in str(caught.value.do)
