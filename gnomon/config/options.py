"""Every option of a run on one page: default, unit, meaning. Four lines are enough; the plan derives the rest.

None means: derived by the plan, which says why. `load.py` reads them from a file.
"""

import difflib
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gnomon.base.names import PLAIN, no_domain
from gnomon.config.adaptive import AdaptiveConfig, why_impossible
from gnomon.config.amounts import parse_budget, parse_tokens
from gnomon.config.heads import HeadsConfig, why_not_measured
from gnomon.config.world import WorldConfig
from gnomon.presets import HEADS, MAX_LOOPS, PRESETS, BlockKind, HaltingKind, PositionKind

Dtype = Literal["bf16", "fp16", "fp32"]
"""Number formats that matrix products run in; weights stay float32."""


OptimizerKind = Literal["muon", "adamw"]

AbstainKind = Literal["always", "evidence", "never"]
"""Which questions that cannot be answered end in abstention: all, those with passages, none."""

ShardingKind = Literal["none", "optimizer", "full"]

MAX_THREADS = 1 << 16


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SourceConfig(_Section):
    """One source of training text, where `data.sources` tells several apart."""

    paths: list[str] = Field(min_length=1)  # files and folders, as in data.train
    name: str | None = None  # None: the first path's name
    domain: str | None = None  # what kind of text it is, such as books or code
    licence: str | None = None  # under which it may be used
    text_field: str | None = None  # None: data.text_field
    separator: str | None = None  # None: data.separator
    form: Literal["text", "chat", "questions"] = "text"  # what .jsonl records are: see docs/data.md
    question_loss: bool = True  # form questions: the question's own tokens bear loss
    evidence_loss: bool = False  # form questions: its passages' tokens do; so a small model learns to read sooner
    abstain: AbstainKind = "always"  # form questions: what cannot be answered says so;
    # evidence: where passages are given, else it ends without an answer, and only heads learn that it has none
    recite: bool = False  # form questions: without passages, what a record has as `recitation` is said from memory
    # before the answer, and asking the model lets it do so
    tokens: int | None = Field(default=None, gt=0)  # to train on at most, such as "50M"; lowest hashes first

    @field_validator("paths", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("tokens", mode="before")
    @classmethod
    def _amount(cls, value: Any) -> Any:
        return parse_tokens(str(value)) if isinstance(value, str | int | float) else value


class DomainConfig(_Section):
    """A rule: texts of which all that it asks is true are of its domain. The first such rule of `data.domains` counts,
    and each domain is a source of its own, named as `web/news`; what no rule is true of stays `web`.
    """

    domain: str = Field(min_length=1, max_length=100)  # a plain name
    source: str | None = None  # only texts of this source
    path: str | None = None  # pattern of the file's name, as below the folder that was given, such as news/*.jsonl
    field: str | None = None  # key of .jsonl or column of .parquet, such as url or meta.kind; null: the text
    matches: str | None = None  # regular expression found in it, or in an entry of a list; null: it is not empty

    @model_validator(mode="after")
    def _possible_rule(self) -> "DomainConfig":
        if fault := no_domain(self.domain):
            raise ValueError(f"{fault}: use a plain name, as {PLAIN}")
        if not (self.source or self.path or self.field or self.matches):
            raise ValueError("a rule needs source, path, field or matches")
        try:
            re.compile(self.matches or "")
        except re.error as e:
            raise ValueError(f"matches is no regular expression: {e}") from None
        return self


class CleanConfig(_Section):
    """What is mended in each text, and by which rules texts are left out."""

    repair: bool = True  # broken Unicode: control characters, text decoded wrongly, characters in pieces
    pii: bool = False  # e-mail and IP addresses, telephone, card and account numbers, keys: replaced and counted
    rules: list[str] = []  # families of quality rules: gopher-quality gopher-repetition c4 fineweb
    thresholds: dict[str, float] = {}  # of single rules, where they shall differ from the published ones
    scores: bool = False  # measure every text for the rules, also where none is asked for
    languages: list[str] | None = None  # to keep, as en de, with und for unknown; []: only counted (gnomon[lang])
    language_confidence: float = Field(default=0.5, ge=0, le=1)  # below it a text's language counts as unknown

    @field_validator("languages", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class DedupConfig(_Section):
    """Which texts count as the same. Equal ones always do."""

    near: float | None = Field(default=0.7, ge=0.2, le=1)  # Jaccard similarity of word 5-grams; null: only equal texts
    semantic: float | None = Field(default=None, ge=0.5, le=1)  # cosine of what texts say; null: not compared
    embedder: str = "static"  # static: learned from the text; else a sentence model, a folder or name@commit on the Hub
    lines: int | None = Field(default=None, ge=1)  # records that a line may stand in: of more, only the first keeps it
    line_characters: int = Field(default=30, ge=1)  # that a line must have to count, white space apart


class DecontaminateConfig(_Section):
    """Which evaluation suites must not be in the training text."""

    against: list[str] = []  # suites as .jsonl, also .gz and .zst, or folders of them
    action: Literal["drop", "cut", "flag"] = "drop"  # the document; cut: the item and 200 characters around it
    threshold: float = Field(default=0.4, gt=0, le=1)  # share of an item that must be there
    fields: list[str] = []  # of the suites, the question's first; empty: those that are known
    contexts: bool = False  # search for passages that questions are about too

    @field_validator("against", "fields", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class SlurmConfig(_Section):
    """What a preparation asks Slurm for, with data.engine=slurm."""

    partition: str | None = None  # None: the cluster's own
    time: str = "4:00:00"  # that a task may take
    tasks: int = Field(default=32, ge=1)  # at once; a stage is at most four times as many
    cpus: int = Field(default=1, ge=1)  # of a task, each with a process
    memory: int | None = Field(default=4, ge=1)  # of a cpu, in GB; None: the cluster's own
    sbatch: dict[str, str] = {}  # more options of sbatch: {"account": "nlp", "qos": "long"}; "" where one has no value
    setup: str = ""  # shell commands before each task: "module load python; source /shared/venv/bin/activate"

    @field_validator("sbatch")
    @classmethod
    def _not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        ours = {"array", "dependency", "error", "export", "job-name", "output", "wrap"} & value.keys()
        if ours:
            raise ValueError(f"{sorted(ours)[0]!r} is set by the preparation itself")
        return value


class DataConfig(_Section):
    """Where the text is and what becomes of it."""

    train: list[str] = []  # files, folders, hf:NAME?…: .txt .md .jsonl .parquet, also .gz .zst; one source
    sources: list[SourceConfig] = []  # instead of `train`: several sources, kept apart and mixed in training
    prepared: str | None = None  # instead of both: a dataset version that is there, as datasets/books/3f9c0a1b2c3d
    validation: list[str] = []  # own validation text; empty: a share of the training text is held out
    validation_share: float = Field(default=0.02, gt=0, lt=0.5)  # of documents, chosen by their hash
    text_field: str = "text"  # the key that holds the text in .jsonl
    id_field: str | None = "id"  # the key of a record's own id, by which it is found again; null: they have none
    separator: str | None = None  # cuts .txt and .md files into documents; None: a file is a document
    domains: list[DomainConfig] = []  # rules that say of which domain a text is; each domain is a source of its own
    domain_classifier: str | None = None  # file of gnomon data classify train, for texts that no rule is true of
    max_bad_share: float = Field(default=0.01, ge=0, le=1)  # of records that may be unreadable before preparation stops
    name: str | None = None  # of the dataset; None: the first path's name
    root: str = "datasets"  # folder that holds all datasets
    clean: CleanConfig = CleanConfig()
    dedup: DedupConfig = DedupConfig()
    decontaminate: DecontaminateConfig = DecontaminateConfig()
    workers: int | None = Field(default=None, ge=1, le=4096)  # processes that prepare; None: one a core
    engine: Literal["local", "ray", "slurm"] = "local"  # who runs them
    slurm: SlurmConfig = SlurmConfig()
    keep_blocks: bool = True  # what was read and measured, so that other rules or one more file do not read it all anew

    @field_validator("train", "validation", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _text_from_one_place(self) -> "DataConfig":
        if self.prepared is not None:
            if self.train or self.sources or self.validation:
                raise ValueError('has "prepared" and names text: a version holds its own, and what is held out')
            return self
        if not self.train and not self.sources:
            raise ValueError('names no text: give files or folders in "train"')
        if self.train and self.sources:
            raise ValueError('has both "train" and "sources": name every file in one of them')
        return self

    @property
    def named(self) -> list[SourceConfig]:
        """The sources, each with its name; what `train` lists is one, named as the dataset is."""
        if self.train:
            return [SourceConfig(paths=self.train, name=self.name or _name_of(self.train[0]))]
        return [s.model_copy(update={"name": s.name or _name_of(s.paths[0])}) for s in self.sources]


def _name_of(path: str) -> str:
    plain = path.partition("?")[0].removeprefix("hf:") if path.startswith("hf:") else path
    return Path(plain).resolve().name.split(".")[0] or "text"


class TokenizerConfig(_Section):
    """How text becomes ids: byte-level BPE or words, learned from the run's own text, or one that is there already."""

    path: str | None = None  # of a tokenizer to use: folder, tokenizer.json, .model, .tiktoken; None: one is trained
    kind: Literal["bpe", "words"] = "bpe"  # what is learned; words: the most frequent ones whole, all others in bytes
    vocabulary: int | None = None  # ids in all, a multiple of 64; None: the size's own
    pretokenizer: Literal["qwen2", "llama-bpe"] = "qwen2"  # qwen2: single digits; llama-bpe: 1 to 3, as for words
    sample_bytes: int = Field(default=64 << 20, gt=0)  # of text to learn from; weights are idle where there is less
    sample_weights: dict[str, float] | Literal["mix"] | None = None  # of sources in it; mix: as in mix; None: by size
    sample_temperature: float | None = None  # of sources in it: (share of the tokens)^(1/temperature)

    @field_validator("sample_weights", mode="before")
    @classmethod
    def _weights_or_mix(cls, value: Any) -> Any:
        if value is not None and value != "mix" and not isinstance(value, dict):
            raise ValueError(f'{value!r:.40} is neither mix nor weights of sources, such as {{"books": 2, "code": 1}}')
        return value

    @model_validator(mode="before")
    @classmethod
    def _words_are_cut_as_llama_cpp_finds_them(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("kind") == "words":
            return {"pretokenizer": "llama-bpe"} | value
        return value

    @model_validator(mode="after")
    def _possible_sample(self) -> "TokenizerConfig":
        if self.kind == "words" and self.pretokenizer != "llama-bpe":
            raise ValueError(
                "words are cut as llama-bpe does, where llama.cpp takes them whole; leave pretokenizer out"
            )
        if isinstance(self.sample_weights, dict):
            _refuse_weights(self.sample_weights)
        if self.sample_temperature is not None and self.sample_weights is not None:
            raise ValueError("sample_weights and sample_temperature exclude each other")
        if self.sample_temperature is not None and not self.sample_temperature > 0:
            raise ValueError("sample_temperature must be above 0")
        return self


class ModelConfig(_Section):
    """The shape, where it shall differ from the size's preset."""

    block: BlockKind | None = None  # None: qwen3; gpt-neox: LayerNorm and GELU, 4 times as wide, beside the attention
    width: int | None = Field(default=None, gt=0)  # of the stream, a multiple of 32
    layers: int | None = Field(default=None, gt=0)  # blocks of attention and feed-forward
    heads: int | None = Field(default=None, gt=0)  # query heads
    kv_heads: int | None = Field(default=None, gt=0)  # key/value heads; each serves heads / kv_heads query heads
    head_width: int | None = Field(default=None, gt=0)  # of one head, even
    feed_forward: int | None = Field(default=None, gt=0)  # inner width of the feed-forward, a multiple of 32
    context: int | None = Field(default=None, ge=8)  # tokens in a row of training
    rope_theta: float | None = Field(default=None, gt=0)  # base of the rotary angles
    positions: PositionKind | None = None  # None: rotary; learned: a vector for each place of the context
    loops: int | None = Field(default=None, ge=1, le=MAX_LOOPS)  # passes of all layers but the first and last, at most
    halting: HaltingKind | None = None  # None: act, the mean of the loops' states; ponder: the state at the stop
    halt_at: float | None = Field(default=None, gt=0, le=1)  # chance of having stopped at which a token does
    mark_width: int | None = Field(default=None, ge=0, le=65536)  # inner width of heads read at marks; None: the width


class MixConfig(_Section):
    """How often each source is read: as often as it has tokens, unless something here says otherwise."""

    weights: dict[str, float] = {}  # of the sources by name, in any unit; one that is left out is not read
    temperature: float | None = None  # each has (its share of the tokens)^(1/temperature); above 1 helps the small
    schedule: list[tuple[float, dict[str, float]]] = []  # other weights from a share of the run on: [[0.8, {...}]]
    max_epochs: float | dict[str, float] | None = None  # how often a source is read at most; the others take the rest
    rebalance: Literal["none", "loss"] = "none"  # loss: more of sources whose validation loss is above the reference
    reference: dict[str, float] = {}  # losses to come to, in nats a token; a source's own best one where none is given

    @model_validator(mode="after")
    def _possible_mix(self) -> "MixConfig":
        places = [share for share, _ in self.schedule]
        for weights in (*([self.weights] if self.weights else []), *(weights for _, weights in self.schedule)):
            _refuse_weights(weights)
        if self.weights and self.temperature:
            raise ValueError("weights and temperature exclude each other")
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError("temperature must be above 0")
        if any(not 0 < share < 1 for share in places) or places != sorted(set(places)):
            raise ValueError("the shares of schedule must rise, between 0 and 1")
        limits = self.max_epochs.values() if isinstance(self.max_epochs, dict) else [self.max_epochs]
        if any(limit is not None and not limit > 0 for limit in limits):
            raise ValueError("max_epochs must be above 0")
        if any(not loss > 0 for loss in self.reference.values()):
            raise ValueError("a reference loss must be above 0")
        return self


def _refuse_weights(weights: dict[str, float]) -> None:
    for name, weight in weights.items():
        if not weight >= 0:
            raise ValueError(f"the weight of {name!r} is {weight}, and must be 0 or more")
    if not any(weights.values()):
        raise ValueError("no source has a weight above 0")


class TrainConfig(_Section):
    """How the weights are found."""

    optimizer: Literal["auto", "muon", "adamw"] = "auto"  # of the matrices; embedding and gains are always AdamW's
    lr: float | None = Field(default=None, gt=0)  # peak learning rate
    schedule: Literal["wsd", "cosine"] = "wsd"  # wsd: warm up, stay, decay linearly
    warmup_steps: int | None = Field(default=None, ge=0)  # over which the rate rises from 0
    decay_share: float = Field(default=0.4, ge=0, le=1)  # of the steps, at the end of wsd
    lr_floor: float = Field(default=0.05, ge=0, le=1)  # of the peak, at the last step
    batch_tokens: int | None = Field(default=None, gt=0)  # tokens in one optimizer step
    micro_rows: int | None = Field(default=None, gt=0)  # rows in one forward pass
    batch_ramp: Literal["none", "fixed", "noise"] = "none"  # fewer rows at first; doubled by plan, or as noise allows
    ramp_from: float = Field(default=0.125, gt=0, lt=1)  # of the batch at the start: a half, a quarter, an eighth, …
    ramp_share: float = Field(default=0.3, gt=0, le=1)  # of the run's tokens until a fixed ramp has the whole batch
    length_ramp: Literal["none", "fixed"] = "none"  # pieces cut short at first, doubled in length by plan
    length_from: int = Field(default=32, ge=8)  # tokens of the longest pieces at the start
    length_share: float = Field(default=0.3, gt=0, le=1)  # of the run's tokens until pieces are as long as the context
    stride: int | None = Field(default=None, gt=0)  # from one window of a long document to the next; None: no overlap
    weight_decay: float = Field(default=0.1, ge=0)  # of matrices; the embedding and gains do not decay
    momentum: float = Field(default=0.85, ge=0, lt=1)  # Muon's memory of gradients
    beta1: float = Field(default=0.9, ge=0, lt=1)  # AdamW's memory of gradients
    beta2: float = Field(default=0.95, ge=0, lt=1)  # AdamW's memory of squared gradients
    clip: float = Field(default=1.0, gt=0)  # gradient norm above which a step is scaled down
    z_loss: float = Field(default=0.0, ge=0)  # weight of log²Z, which keeps logits from drifting
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"  # of the matrix products; weights stay fp32
    compile: bool | Literal["auto"] = "auto"  # kernels made for this processor; auto: where the run is long enough
    threads: int | None = Field(default=None, gt=0, le=MAX_THREADS)  # of the processor; part of a run's identity
    log_every: int = Field(default=10, gt=0)  # steps between the record's log points
    validate_every: int | None = Field(default=None, gt=0)  # steps between validations
    validation_tokens: int | None = Field(default=None, gt=0)  # read at each validation; at the end all are read
    save_every: int | None = Field(default=None, gt=0)  # steps between rolling checkpoints
    keep_last: int = Field(default=3, ge=1)  # rolling checkpoints; the best one is kept beside them
    keep_every: int | None = Field(default=None, gt=0)  # steps; a checkpoint at a multiple of it is kept for good
    result: Literal["best", "newest"] = "best"  # which checkpoint is the model; newest: to know text by heart
    background_saves: bool = True  # by a process of its own, from a copy: 12 bytes a parameter of memory
    loader_workers: int = Field(default=1, ge=0)  # threads that prepare batches ahead
    dropout: float = Field(default=0.0, ge=0, lt=1)  # of what attention and feed-forward add to the stream
    exact: bool = False  # sums in an order that gives the same bits with 1, 2, 4, … processes
    patience: int | None = Field(
        default=None, gt=0
    )  # validations without a better loss before the run stops; None: never
    supervise: bool = True  # a small parent process starts training again after a crash or a hang
    processes: int = Field(default=1, gt=0)  # that train together on this machine
    sharding: ShardingKind = "none"  # what each process holds a share of; optimizer: its state; full: weights too
    restarts: int = Field(default=5, ge=0)  # after crashes, without progress in between, before giving up
    hang_seconds: int | None = Field(default=None, gt=0)  # of silence that count as a hang; None: learned, 300 or more

    @model_validator(mode="after")
    def _possible_sharding(self) -> "TrainConfig":
        if self.sharding == "full" and self.exact:
            raise ValueError("sharding=full sums in an order of its own; with exact, use sharding=optimizer or none")
        if self.sharding == "full" and self.compile is True:
            raise ValueError("sharding=full has no compiled kernels; set compile=false, or sharding=optimizer or none")
        if self.sharding == "full" and self.batch_ramp == "noise":
            raise ValueError("sharding=full has no gradients of single passes; set batch_ramp=fixed, or other sharding")
        return self


class ExportConfig(_Section):
    """What the finished model is written as."""

    gguf: list[Literal["f32", "f16", "bf16", "q8_0"]] = ["f16", "q8_0"]  # f32 f16 bf16 q8_0, for llama.cpp and Ollama
    hf: bool = True  # a folder that transformers loads, in float32


class Config(_Section):
    """A run as the user wrote it, complete with defaults."""

    data: DataConfig
    size: str = "5M"  # 1M 5M 15M 40M 124M 350M 1B 1.3B 3B 7B unified-164m adaptive-25m codette-1.3b -2.7b -5.3b
    budget: str = "10m"  # a time ("90s", "10m", "2h") or an amount ("400K tokens", "2B tokens")
    out: str = "runs/model"  # the run's folder
    init: str | None = (
        None  # earlier run, or checkpoint of one, whose weights, tokenizer, shape and heads it begins with
    )
    seed: int = Field(default=1337, ge=0, lt=2**63)  # of weights, order of text and samples
    worlds: list[WorldConfig] = []  # made-up ones, written before the text is read: see docs/world.md
    prompts: list[str] = []  # sampled during and after training; empty: the openings of validation documents
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    adaptive: AdaptiveConfig = AdaptiveConfig()
    mix: MixConfig = MixConfig()
    train: TrainConfig = TrainConfig()
    heads: HeadsConfig = HeadsConfig()
    export: ExportConfig = ExportConfig()

    @model_validator(mode="before")
    @classmethod
    def _heads_of_the_size(cls, value: Any) -> Any:
        own = HEADS.get(str(value.get("size")), ()) if isinstance(value, dict) else ()
        said = value.get("heads", {}) if own else None
        return value | {"heads": dict.fromkeys(own, True) | said} if isinstance(said, dict) else value

    @field_validator("data", mode="before")
    @classmethod
    def _path_is_enough(cls, value: Any) -> Any:
        return {"train": value} if isinstance(value, str | list) else value

    @field_validator("size")
    @classmethod
    def _known_size(cls, value: str) -> str:
        if value not in PRESETS:
            raise ValueError(f"unknown size {value[:40]!r}{nearest(value, PRESETS)}; the sizes are {' '.join(PRESETS)}")
        return value

    @field_validator("budget")
    @classmethod
    def _meant_budget(cls, value: str) -> str:
        parse_budget(value)
        return value

    @model_validator(mode="after")
    def _possible_loops(self) -> "Config":
        preset = PRESETS[self.size]
        loops, positions = self.model.loops or preset.loops, self.model.positions or preset.positions
        asked = (self.adaptive.budget, self.train.sharding, self.train.compile)
        if why := why_impossible(loops, positions, *asked):
            raise ValueError(why)
        return self

    @model_validator(mode="after")
    def _possible_measurements(self) -> "Config":
        texts = {path for source in self.data.named for path in source.paths}
        if why := why_not_measured(self.heads, self.train.sharding, texts):
            raise ValueError(why)
        return self

    @property
    def learned(self) -> TokenizerConfig:
        """How the tokenizer is made, with the weights or temperature of training in place of `mix`."""
        if self.tokenizer.sample_weights != "mix":
            return self.tokenizer
        of_mix = {"sample_weights": self.mix.weights or None, "sample_temperature": self.mix.temperature}
        return self.tokenizer.model_copy(update=of_mix)


def nearest(word: str, known: Any) -> str:
    """Return `, did you mean '…'?` with the known name that is most like a word; nothing where none is."""
    close = difflib.get_close_matches(word.lower(), {k.lower(): k for k in known}, n=1, cutoff=0.5)
    return f", did you mean {next(k for k in known if k.lower() == close[0])!r}?" if close else ""
