"""A thousand real and difficult lines, for comparing tokenizers."""

import random

from gnomon.config import DataConfig
from gnomon.data.read import find_sources, read_documents
from tests.world import ROOT

DIFFICULT = (
    "1234567890 3.14159 1,000,000 0x1F 2026-11-21 12:30:45",
    "naïve café Ünïcödé Ελληνικά русский العربية हिन्दी 日本語 한국어 ไทย",
    "🦊🏽 👨‍👩‍👧‍👦 🇫🇷 ❤️ e\u0301 \u200b\u200d\ufeff \u00a0\u2003 ﬁ ½ ²",
    "   three spaces\tand\ttabs  \t mixed   ",
    "line\nbreaks\r\nof\rall kinds\n\n\n  and indents",
    "it's I'm WE'LL they'Re don'T 'tis ’quoted’ —dash– …",
    "<|endoftext|> <|im_start|>user <tool_call>{} </tool_call> <pad> <|reserved_3|>",
    'def f(x): return {"a": [1, 2, 3], "b": x**2}  # comment\n\treturn',
    "!!!??? ... --- === ~~~ ``` $$$ %%% ^^^ &&& *** ((())) [[]] {{}}",
)


def thousand_lines() -> list[str]:
    """Return 1,000 lines: some of the demo's text, some random mixtures of difficult parts and characters."""
    draw = random.Random(7)
    lines = draw.sample(sorted({line for line in demo_text().splitlines() if line.strip()}), 500)
    while len(lines) < 1000:
        first, second = draw.choices(DIFFICULT, k=2)
        strange = "".join(chr(_character(draw)) for _ in range(12))
        cut = draw.randrange(1, 40)
        lines.append(first[-cut:] + strange + second[:cut])
    return lines


def demo_text() -> str:
    """Return the text of the demo's corpus."""
    data = DataConfig.model_validate({"train": str(ROOT / "examples" / "texts")})
    sources = find_sources(data.train)
    return "\n".join(d.text for s in sources for d in read_documents(s, "text", None, lambda _: None, lambda _: None))


def _character(draw: random.Random) -> int:
    while True:
        code = draw.choice((draw.randrange(1, 0x250), draw.randrange(1, 0x3000), draw.randrange(1, 0x1FFFF)))
        if not 0xD800 <= code <= 0xDFFF:
            return code
