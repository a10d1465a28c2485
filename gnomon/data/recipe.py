"""What decides the content of a dataset, and the version that was made by it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.base.files import STAGING_PREFIX, canonical_json, sha256_bytes, sha256_file
from gnomon.base.names import PLAIN, is_plain
from gnomon.base.progress import Progress
from gnomon.config import DataConfig, DedupConfig, SourceConfig, TokenizerConfig
from gnomon.data.blocks import stamp_of
from gnomon.data.classification.classifier import load_classifier
from gnomon.data.classification.language import identifier
from gnomon.data.classification.languages import check_languages
from gnomon.data.contamination import decontaminate
from gnomon.data.contamination.suites import suite_files
from gnomon.data.duplicates import lines, minhash
from gnomon.data.forms.form import TEXT, Form, form_of
from gnomon.data.reading.hub import hub_source
from gnomon.data.reading.hub_address import PREFIX, HubAddress
from gnomon.data.reading.read import Source, find_sources
from gnomon.embed import static
from gnomon.embed.minilm import SentenceEmbedder
from gnomon.store.datasets import FORMAT, Dataset, open_dataset
from gnomon.store.manifest import NAME
from gnomon.store.packed import on_disk
from gnomon.tokenizer.foreign import import_tokenizer
from gnomon.tokenizer.tokenizer import BLOCK, Tokenizer
from gnomon.tokenizer.train import SMALLEST

OPTIONS: dict[str, Any] = {
    **dict.fromkeys(("validation_share", "text_field", "id_field", "separator", "max_bad_share", "clean"), True),
    "dedup": {"near", "semantic", "lines", "line_characters"},
    "domains": True,
    "decontaminate": {"action", "threshold", "fields", "contexts"},
}
"""Keys of `data` that decide what a dataset holds; the others say where things lie."""
STRUCTURED = 1
"""How conversations and questions are rendered: raised when the same record would give other tokens or labels."""
VALIDATION = "validation"  # names the source that text of data.validation is


@dataclass(frozen=True)
class Input:
    """A file of the corpus with its hash, the split and source that it belongs to, and how it is read."""

    file: Source
    name: str  # that tells it from the others of its source
    origin: str  # that tells it from all others
    sha256: str
    split: str  # "train" or "validation"
    source: str
    text_field: str
    separator: str | None
    stamp: list[int]  # size and time, before it was hashed
    form: Form = TEXT

    def described(self) -> dict[str, Any]:
        """Return what the manifest says of it: no more of where it lies than tells it from others."""
        names = {"split": self.split, "source": self.source, "name": self.name}
        return names | {"bytes": self.file.bytes, "sha256": self.sha256}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a dataset holds; its digest is what a prepared version is found by."""

    folder: Path  # of all versions of this name
    name: str
    inputs: list[Input]  # validation text first, then source by source
    data: DataConfig
    tokenizer: TokenizerConfig
    vocabulary: int
    suites: list[tuple[Path, str]]  # that must not be in the training text, with their hashes
    brought: Tokenizer | None  # that is used instead of learning one
    embedder: str | None  # digest of the sentence model that semantic duplicates are found by
    digest: str

    @classmethod
    def of(cls, data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int, progress: Progress) -> "Recipe":
        """Return the recipe of a config. Reads every file once, for its hash; raises as `prepare` does."""
        brought = _brought(tokenizer)
        _check_sample(tokenizer, data)
        check_languages(data.clean.languages or [])
        _check_domains(data)
        classifier = load_classifier(Path(data.domain_classifier))[1] if data.domain_classifier else None
        embedder = _embedder(data.dedup)
        suites = [(p, sha256_file(p)) for p in suite_files(map(Path, data.decontaminate.against))]
        name = _name(data)
        _refuse_inside(Path(data.root) / name, data)
        held = [SourceConfig(paths=data.validation, name=VALIDATION)] if data.validation else []
        root = Path(data.root)
        found = [("validation", s, files_of(s.paths, root, progress)) for s in held]
        found += [("train", s, files_of(s.paths, root, progress)) for s in _distinct(data.named)]
        total, done = sum(f.bytes for _, _, files in found for f in files), 0
        names = [told_apart(files) for _, _, files in found]
        origins = _origins([source.name or "" for _, source, _ in found], names)
        inputs: list[Input] = []
        for (split, source, files), plain, full in zip(found, names, origins, strict=True):
            here = []
            for file, short, origin in zip(files, plain, full, strict=True):
                field = file.text_field or source.text_field or data.text_field
                separator = source.separator or data.separator
                stamp = stamp_of(file.path)
                sha256 = file.sha256()
                form, whose = form_of(source), source.name or ""
                here.append(Input(file, short, origin, sha256, split, whose, field, separator, stamp, form))
                done += file.bytes
                progress("checking files", done, total, "bytes")
            inputs += sorted(here, key=lambda i: i.name)
        content = {
            "format": FORMAT,
            "suites": [[path.name, sha256] for path, sha256 in suites],
            "classifier": classifier,
            "inputs": [i.described() for i in inputs],
            "sources": [_said(s) for s in data.named],
            "data": data.model_dump(include=OPTIONS),
            "tokenizer": brought.digest if brought else tokenizer.model_dump(exclude={"path"}),
            "embedder": embedder,
            "vocabulary": (vocabulary := brought.vocabulary if brought else vocabulary),
            "forms": _forms(data),
        }
        digest = sha256_bytes(canonical_json(content))
        return cls(root / name, name, inputs, data, tokenizer, vocabulary, suites, brought, embedder, digest)


def _said(source: SourceConfig) -> dict[str, Any]:
    """Return what of a source decides what a dataset holds; of one of plain text, nothing about other forms."""
    forms = {"form", "question_loss", "evidence_loss", "abstain", "recite"}
    return source.model_dump(exclude={"paths", *forms}) | form_of(source).said


def _forms(data: DataConfig) -> dict[str, Any]:
    """Return the form of each way to look at texts that this preparation takes: its results change with that."""
    used = {
        "near": minhash.FORM if data.dedup.near is not None else None,
        "semantic": static.FORM if data.dedup.semantic is not None and data.dedup.embedder == "static" else None,
        "lines": lines.FORM if data.dedup.lines is not None else None,
        "languages": identifier() if data.clean.languages is not None else None,
        "suites": decontaminate.FORM if data.decontaminate.against else None,
        "structured": STRUCTURED if any(s.form != "text" for s in data.named) else None,
    }
    return {name: form for name, form in used.items() if form is not None}


def _embedder(dedup: DedupConfig) -> str | None:
    """Return the digest of the sentence model that texts are compared by; None where there is none."""
    if dedup.semantic is None or dedup.embedder == "static":
        return None
    return SentenceEmbedder.open(dedup.embedder).digest


def files_of(paths: list[str], root: Path, progress: Progress) -> list[Source]:
    """Return the files that paths name, after what lies on the Hugging Face Hub has been fetched."""
    there = [path for path in paths if path.startswith(PREFIX)]
    here = [path for path in paths if path not in there]
    fetched = [hub_source(HubAddress.parse(path), root, progress) for path in there]
    return (find_sources(here) if here else []) + list({file.path: file for file in fetched}.values())


def told_apart(files: list[Source]) -> list[str]:
    """Return a name for each file: its own, and before it, where others have the same, as few folders of its path as
    tell them apart.
    """
    names = [file.name for file in files]
    while len(set(names)) < len(names):
        count = Counter(names)
        for i in [i for i, name in enumerate(names) if count[name] > 1]:
            parts = files[i].path.absolute().parts
            names[i] = PurePosixPath(*parts[max(0, len(parts) - len(PurePosixPath(names[i]).parts) - 1) :]).as_posix()
    return names


def _origins(sources: list[str], names: list[list[str]]) -> list[list[str]]:
    """Return what tells the files from all others, source by source: their names, with the source's before those that
    several sources have.
    """
    count = Counter(name for here in names for name in here)
    full = [[f"{source}/{n}" if count[n] > 1 else n for n in here] for source, here in zip(sources, names, strict=True)]
    if len({name for here in full for name in here}) < sum(map(len, full)):  # a folder of one has the name of another
        return [[f"{source}/{n}" for n in here] for source, here in zip(sources, names, strict=True)]
    return full


def _distinct(sources: list[SourceConfig]) -> list[SourceConfig]:
    """Return the sources; ConfigError where two have one name."""
    names = [s.name for s in sources]
    for name in names:
        if not is_plain(name) or name == VALIDATION:
            do = f"use a plain name, as {PLAIN}, and not {VALIDATION!r}: name it with data.name or in data.sources"
            raise ConfigError(f"{name!r} cannot name a source", where="data", do=do)
        if names.count(name) > 1:
            do = "give each a name of its own"
            raise ConfigError(f"two sources have the name {name!r}", where="data.sources", do=do)
    return sources


def _name(data: DataConfig) -> str:
    name = data.name if data.name is not None or data.sources else data.named[0].name
    if name is None:
        names = [s.name or "" for s in data.named]
        name = names[0] if len(names) == 1 else "-".join(names)[:60]
    return plain_name(name, "data.name")


def plain_name(name: str | None, where: str) -> str:
    """Return the name of a dataset or source. Raises ConfigError for one that cannot be a folder's."""
    if name is None or not is_plain(name):
        raise ConfigError(f"{name!r} cannot name a dataset or source", where=where, do=f"use a plain name, as {PLAIN}")
    return name


def find_version(recipe: Recipe) -> Dataset | None:
    """Return the version made by this recipe, unless there is none or a file of it is missing or of
    another size.
    """
    return version_made_by(recipe.folder, recipe.digest)


def version_made_by(folder: Path, digest: str) -> Dataset | None:
    """Return the version below a dataset's folder whose recipe has this digest, as `find_version` does."""
    for manifest in sorted(folder.glob(f"*/{NAME}")):
        if manifest.parent.name.startswith(STAGING_PREFIX):
            continue
        try:
            dataset = open_dataset(manifest.parent)
        except IntegrityError:
            continue
        if dataset.manifest["recipe"] == digest and all(
            (path := dataset.folder / f["path"]).is_file() and path.stat().st_size == f["bytes"]
            for f in on_disk(dataset.manifest)
        ):
            return dataset
    return None


def _brought(options: TokenizerConfig) -> Tokenizer | None:
    """Return the tokenizer that the config names; None where one is to be learned, of a vocabulary that can be.

    Raises as `import_tokenizer` does, and ConfigError where another vocabulary is asked for than it has.
    """
    if options.path is None:
        _check_vocabulary(options.vocabulary)
        return None
    brought = import_tokenizer(Path(options.path))
    if options.vocabulary not in (None, brought.vocabulary):
        raise ConfigError(
            f"a vocabulary of {options.vocabulary:,} is asked for, and this tokenizer has {brought.vocabulary:,} ids",
            where=f"tokenizer.path {options.path}",
            do="leave tokenizer.vocabulary out",
        )
    return brought


def _check_sample(options: TokenizerConfig, data: DataConfig) -> None:
    """Raise ConfigError for weights of sources that there are not."""
    names, weights = [s.name or "" for s in data.named], options.sample_weights
    if weights == "mix":
        why = "the weights of training are not known here"
        raise ConfigError(why, where="tokenizer.sample_weights", do="give them by the names of the sources")
    if unknown := sorted(w for w in weights or {} if w.partition("/")[0] not in names):
        do = f"name some of {', '.join(names)}"
        raise ConfigError(f"there is no source {unknown[0]!r}", where="tokenizer.sample_weights", do=do)


def _check_domains(data: DataConfig) -> None:
    """Raise ConfigError for a rule of a source that there is not."""
    names = [*(s.name or "" for s in data.named), *([VALIDATION] if data.validation else [])]
    if unknown := [rule.source for rule in data.domains if rule.source is not None and rule.source not in names]:
        do = f"name one of {', '.join(names)}"
        raise ConfigError(f"there is no source {unknown[0]!r}", where="data.domains", do=do)


def _refuse_inside(folder: Path, data: DataConfig) -> None:
    """Raise ConfigError where a dataset would lie in its own text, and be read as such the next time."""
    paths = [path for source in data.named for path in source.paths] + data.validation
    for path in (path for path in paths if not path.startswith(PREFIX)):
        if folder.resolve().is_relative_to(Path(path).resolve()):
            do = "name another folder in data.root, or another data.name"
            raise ConfigError(f"the dataset {folder} would lie in its own text", where=path, do=do)


def _check_vocabulary(asked: int | None) -> None:
    if asked is not None and (asked < SMALLEST or asked % BLOCK):
        why = f"is no multiple of {BLOCK}" if asked % BLOCK else "is too small for the special tokens and the 256 bytes"
        raise ConfigError(
            f"a vocabulary of {asked:,} {why}",
            where="tokenizer.vocabulary",
            do=f"ask for {max(SMALLEST, round(asked / BLOCK) * BLOCK):,}",
        )
