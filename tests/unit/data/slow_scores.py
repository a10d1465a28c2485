"""The scores of one text again, one at a time, written from their definitions without any array."""

import re
from collections import Counter

SPACE = " \t\n\v\f\r"
ENDS = (".", "!", "?")
QUOTES = ('"', "'", "”", "’")
POLICY = ("javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies")
POLICY += ("use cookies",)


def words_of(text: str) -> list[str]:
    return re.findall(r"[^ \t\n\v\f\r]+", text)


def lines_of(text: str) -> list[str]:
    return [line.strip(SPACE) for line in text.split("\n") if line.strip(SPACE)]


def paragraphs_of(text: str) -> list[str]:
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip(SPACE):
            found[-1].append(line)
        else:
            found.append([])
    return ["\n".join(lines).strip(SPACE) for lines in found if lines]


def is_letter(c: str) -> bool:
    return (c.isascii() and c.isalpha()) or "\u00c0" <= c < "\u2000" or "\u3000" <= c < "\ue000"


def ends_a_sentence(word: str) -> bool:
    closed = word[:-1] if word.endswith((*QUOTES, ")", "]")) else word
    return closed.endswith(ENDS)


def duplicates(items: list[str]) -> tuple[int, int]:
    seen: set[tuple[str, ...]] = set()
    count = characters = 0
    for item in items:
        key = tuple(words_of(item))
        if key in seen:
            count += 1
            characters += len(item)
        seen.add(key)
    return count, characters


def top(words: list[str], n: int) -> int:
    counts = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    most = max(counts.values(), default=0)
    return most * max(len(gram) for gram, count in counts.items() if count == most) if most > 1 else 0


def later_characters(words: list[str], n: int) -> int:
    seen: set[str] = set()
    covered: set[int] = set()
    for i in range(len(words) - n + 1):
        gram = " ".join(words[i : i + n])
        if gram in seen:
            covered.update(range(i, i + n))
        seen.add(gram)
    return sum(len(words[i]) for i in covered)


def c4_sentences(lines: list[str]) -> int:
    total = 0
    for line in lines:
        words = words_of(line)
        prose = line.endswith((*ENDS, *QUOTES)) and not line.endswith("...") and len(words) >= 3
        low = "".join(chr(ord(c) | 32) if "A" <= c <= "Z" else c for c in line)
        if prose and max(map(len, words)) <= 1000 and not any(phrase in low for phrase in POLICY):
            total += sum(map(ends_a_sentence, words))
    return total


def slow_scores(text: str) -> dict[str, float]:
    words, lines, paragraphs = words_of(text), lines_of(text), paragraphs_of(text)
    if not words:
        return {}
    n, size, ascii_letters = len(words), len(text), re.findall("[A-Za-z]", text)
    runs = re.findall(r"[A-Za-z\u0080-\U0010ffff]+", text)
    of_lines, of_paragraphs = duplicates(lines), duplicates(paragraphs)

    def share(ends: tuple[str, ...]) -> float:
        return sum(line.endswith(ends) for line in lines) / len(lines)

    stops = "the be to of and that have with".split()
    return {
        "characters": size,
        "words": n,
        "mean_word_length": sum(map(len, words)) / n,
        "letter_words": sum(any(map(is_letter, word)) for word in words) / n,
        "stop_words": len({run.lower() for run in runs if run.isascii()} & set(stops)),
        "hashes_per_word": text.count("#") / n,
        "ellipses_per_word": (text.count("...") + text.count("…")) / n,
        "lines": len(lines),
        "bullet_lines": sum(line.startswith(("•", "-", "*")) for line in lines) / len(lines),
        "ellipsis_lines": share(("...", "…")),
        "terminal_lines": share((*ENDS, *QUOTES, "…", "。", "！", "？")),
        "short_lines": sum(len(line) <= 30 for line in lines) / len(lines),
        "newlines_per_word": text.count("\n") / n,
        "duplicate_lines": of_lines[0] / len(lines),
        "duplicate_line_characters": of_lines[1] / size,
        "duplicate_paragraphs": of_paragraphs[0] / len(paragraphs),
        "duplicate_paragraph_characters": of_paragraphs[1] / size,
        **{f"top_{k}gram": top(words, k) / size for k in (2, 3, 4)},
        **{f"duplicate_{k}gram": later_characters(words, k) / size for k in range(5, 11)},
        "sentences": c4_sentences(lines),
        "lorem_ipsum": float(re.search("lorem ipsum", text, re.IGNORECASE | re.ASCII) is not None),
        "curly_brackets": text.count("{"),
        "capitals": sum(c.isupper() for c in ascii_letters) / max(len(ascii_letters), 1),
        "digits": len(re.findall("[0-9]", text)) / size,
        "non_ascii": sum(c > "\x7f" for c in text) / size,
    }
