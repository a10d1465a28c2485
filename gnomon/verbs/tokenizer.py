"""The verbs of `gnomon tokenizer`: train one, compare several, bring one along. `cli.py` adds them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.base.errors import ConfigError, DataError
from gnomon.verbs.common import Json, print_json

if TYPE_CHECKING:
    from gnomon.base.progress import Progress
    from gnomon.data.document import Document
    from gnomon.tokenizer.report import Report
    from gnomon.tokenizer.tokenizer import Tokenizer

tokenizer_app = typer.Typer(help="Train, compare and import tokenizers.", no_args_is_help=True, rich_markup_mode=None)

Files = Annotated[
    list[str],
    typer.Argument(help="Text: files and folders. NAME=PATH puts it in a domain; else its name is the domain."),
]
Out = Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")]
Field = Annotated[str, typer.Option(help="The key that holds the text in .jsonl.")]


@tokenizer_app.command("train")
def train(
    files: Files,
    vocabulary: Annotated[int, typer.Option(help="Ids in all, special tokens and bytes among them.")] = 32768,
    out: Out = Path("tokenizer.json"),
    domain: Annotated[
        list[str] | None, typer.Option(help="Share of a domain in the sample, such as code=0.3.", metavar="NAME=SHARE")
    ] = None,
    kind: Annotated[str, typer.Option(help="bpe; or words: the most frequent whole, all others in bytes.")] = "bpe",
    pretokenizer: Annotated[
        str | None, typer.Option(help="How text is cut: qwen2, llama-bpe or gpt-2; words always as llama-bpe.")
    ] = None,
    sample_bytes: Annotated[int, typer.Option(min=1, help="Of text that is learned from.")] = 64 << 20,
    text_field: Field = "text",
    as_json: Json = False,
) -> None:
    """Learn a tokenizer from a sample of text. Domains without --domain weigh as much as they have text.

    Examples:

      gnomon tokenizer train books/ --vocabulary 32768 --out tokenizer.json

      gnomon tokenizer train prose=books/ code=src.jsonl --domain prose=0.7 --domain code=0.3
    """
    from gnomon.data.sample import Sample, SharedSample
    from gnomon.observe.console import Console
    from gnomon.tokenizer.train import SMALLEST, train_tokenizer

    cutting = _cutting(kind, pretokenizer)
    if vocabulary < SMALLEST:
        raise ConfigError("too small to learn", where="--vocabulary", do=f"ask for {SMALLEST} ids or more")
    domains, shares = _domains(files), _shares(domain or [])
    if shares and set(shares) != set(domains):
        do = f"give a share for each of {', '.join(domains)}, or for none"
        raise ConfigError("shares and domains differ", where="--domain", do=do)
    console = Console()
    seen: set[str] = set()
    sample, shared = Sample(sample_bytes), SharedSample(sample_bytes, shares or {"all": 1})
    for name, paths in domains.items():
        for document in _documents(paths, text_field, console.progress):
            if document.id not in seen:
                seen.add(document.id)
                shared.add(document, name) if shares else sample.add(document)
    chosen = shared.texts() if shares else {"all": sample.texts()}
    texts = sorted(entry for ones in chosen.values() for entry in ones)
    if not texts:
        raise DataError("the text is empty", where=", ".join(files), do="give files that hold text")
    learned = train_tokenizer((text for _, text in texts), vocabulary, cutting, console.progress, kind=kind)
    console.finish()
    learned.save(out)
    sizes = {name: sum(len(text.encode()) for _, text in ones) for name, ones in chosen.items()}
    _say_what_was_made(learned, out, {"sample_bytes": sizes}, as_json)
    if learned.tokens < vocabulary and not as_json:
        typer.echo(f"  the text supports no more: {vocabulary:,} ids were asked for")


@tokenizer_app.command("eval")
def evaluate(
    tokenizer: Annotated[list[str], typer.Argument(help="tokenizer.json or what import takes, then text files.")],
    text_field: Field = "text",
    limit_bytes: Annotated[int, typer.Option(help="Of text of each domain that is read.")] = 64 << 20,
    as_json: Json = False,
) -> None:
    """Compare tokenizers on text: bytes a token, tokens a word, and what is lost. Text: .txt .md .jsonl.

    What is no tokenizer is taken for text, so several of both can be named.

    Example:  gnomon tokenizer eval ours.json gpt2/tokenizer.json prose=books/ code=src.jsonl
    """
    from gnomon.base.progress import silent
    from gnomon.observe.console import Console
    from gnomon.tokenizer.foreign import any_tokenizer
    from gnomon.tokenizer.report import report

    named = [word for word in tokenizer if _is_tokenizer(word)]
    domains = _domains([word for word in tokenizer if not _is_tokenizer(word)])
    if not named or not domains:
        do = "name a tokenizer.json and then files or folders of text"
        raise ConfigError("a tokenizer and some text are needed", where=" ".join(tokenizer), do=do)
    console = Console()
    found: dict[str, Report] = {}
    for word in named:
        texts = {
            name: _first_texts(_documents(paths, text_field, silent), limit_bytes) for name, paths in domains.items()
        }
        found[word] = report(any_tokenizer(Path(word)), texts, console.progress)
    console.finish()
    if as_json:
        print_json({"tokenizers": {word: one.as_dict() for word, one in found.items()}})
    else:
        typer.echo(_side_by_side(found))


@tokenizer_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A Hugging Face folder, tokenizer.json, .model or .tiktoken file.")],
    out: Out = Path("tokenizer.json"),
    pattern: Annotated[
        str | None, typer.Option(help="For .tiktoken: the expression that cuts text, or qwen2, llama-bpe, gpt-2.")
    ] = None,
    special: Annotated[
        list[str] | None, typer.Option(help="For .tiktoken: a special token and its id.", metavar="NAME=ID")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a tokenizer from elsewhere as a tokenizer.json to train with. Its ids stay; special tokens that it lacks
    come after them.

    Examples:

      gnomon tokenizer import models/llama-3/ --out tokenizer.json

      gnomon tokenizer import cl100k_base.tiktoken
    """
    from gnomon.tokenizer.foreign import import_tokenizer

    try:
        pairs = [word.rpartition("=") for word in special or []]
        ids = {name: int(number) for name, _, number in pairs} if special else None
    except ValueError:
        raise ConfigError("an id is a number", where="--special", do="write NAME=ID, as in <|end|>=100257") from None
    brought = import_tokenizer(source, pattern, ids)
    brought.save(out)
    _say_what_was_made(brought, out, {"source": str(source)}, as_json)


def _say_what_was_made(made: "Tokenizer", out: Path, more: dict[str, Any], as_json: bool) -> None:
    from gnomon.export.fit import why_unfit

    unfit = why_unfit(made)
    facts = {
        "tokenizer": str(out), "kind": made.kind, "digest": made.digest, "tokens": made.tokens,
        "vocabulary": made.vocabulary, "end_of_text": made.end_name, "pretokenizer": made.pretokenizer,
        "unfit_for_gguf": unfit,
    }  # fmt: skip
    if as_json:
        print_json(facts | more)
        return
    gguf = f"no GGUF holds it: {unfit}" if unfit else "llama.cpp gives the same ids"
    typer.echo(f"{out}: {made.tokens:,} tokens, {made.end_name} ends a text, {gguf}")


def _cutting(kind: str, asked: str | None) -> str:
    """Return the name of the rule that text is cut by before it is learned from."""
    from gnomon.tokenizer.pretokenizer import PRETOKENIZERS

    if kind not in ("bpe", "words"):
        raise ConfigError(f"there is no tokenizer of kind {kind!r}", where="--kind", do="choose bpe or words")
    if asked is not None and asked not in PRETOKENIZERS:
        do = f"choose {', '.join(PRETOKENIZERS)}"
        raise ConfigError(f"there is no pre-tokenizer {asked!r}", where="--pretokenizer", do=do)
    if kind == "words" and asked not in (None, "llama-bpe"):
        do = "leave --pretokenizer out"
        raise ConfigError("words are cut as llama-bpe, where llama.cpp takes them whole", where="--pretokenizer", do=do)
    return asked or ("llama-bpe" if kind == "words" else "qwen2")


def _domains(words: list[str]) -> dict[str, list[str]]:
    """Return the paths of each domain; `NAME=PATH` names it, else the path's own name without its endings does."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, mark, path = word.partition("=")
        if not mark or Path(word).exists():
            name, path = Path(word).name.split(".")[0] or word, word
        found.setdefault(name, []).append(path)
    return found


def _shares(words: list[str]) -> dict[str, float]:
    try:
        found = {name: float(share) for name, _, share in (word.partition("=") for word in words)}
    except ValueError:
        found = {"": -1.0}
    if any(not 0 <= share < float("inf") for share in found.values()) or (found and not any(found.values())):
        do = "write NAME=SHARE, as in code=0.3; not all may be 0"
        raise ConfigError("a share is a number from 0 up", where="--domain", do=do)
    return found


def _documents(paths: list[str], text_field: str, progress: "Progress") -> Iterator["Document"]:
    from gnomon.data.reading.read import find_sources, read_documents

    sources = find_sources(paths)
    total, done = sum(source.bytes for source in sources), 0
    for source in sources:
        before = done
        yield from read_documents(
            source,
            text_field,
            None,
            lambda bad: None,
            lambda at, before=before: progress("reading text", before + at, total, "bytes"),
        )
        done += source.bytes
        progress("reading text", done, total, "bytes")


def _first_texts(documents: Iterator["Document"], limit: int) -> Iterator[str]:
    done = 0
    for document in documents:
        yield document.text
        done += len(document.text.encode())
        if done >= limit:
            return


def _is_tokenizer(word: str) -> bool:
    path = Path(word)
    holds = path.is_dir() and any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model"))
    return holds or (path.is_file() and path.suffix in (".json", ".model", ".tiktoken"))


def _side_by_side(found: dict[str, "Report"]) -> str:
    lines = []
    for word, one in found.items():
        lines += [f"{word}: {one.tokens:,} tokens, {len(one.unused):,} unused here", _HEAD]
        for name, fit in [*one.domains.items(), *([("all", one.total)] if len(one.domains) > 1 else [])]:
            said = fit.as_dict()
            figures = (said["bytes_per_token"] or 0, said["tokens_per_word"] or 0, 100 * (said["fragment_share"] or 0))
            lines.append(
                f"  {name:<20}{fit.bytes / 1e6:>10,.2f}{figures[0]:>13.3f}{figures[1]:>13.3f}{figures[2]:>12.3f}"
                f"{fit.used:>10,}{fit.changed:>10,}"
            )
        names = ", ".join(f"{name} {count:,} times" for name, count in one.total.special_names.items())
        lines.append(f"  longest: {' '.join(repr(text) for text in one.longest)}")
        if names:
            lines.append(f"  names of special tokens in the text, kept as text: {names}")
    return "\n".join(lines)


_HEAD = "  domain                      MB  bytes/token  tokens/word fragments %  ids used   changed"
