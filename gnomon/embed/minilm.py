"""Sentence encoders such as MiniLM, run by `transformers`: the mean of the last layer over a text's tokens.

A model comes from a folder, or by name and commit from the Hugging Face Hub, kept in that library's own cache. Only the
first tokens of a text count, as many as the model was made for (all-MiniLM-L6-v2: 256, about 1,200 characters).

A text has the same vector in any company: it is padded to a multiple of 32 tokens, stands in a batch of always 16 rows
of one length, and one thread multiplies. Another processor or version of torch may differ in the last digit.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from gnomon.base.errors import ConfigError, DataError, DependencyError
from gnomon.base.files import canonical_json, read_json, sha256_bytes, sha256_file
from gnomon.base.optional import need
from gnomon.embed.embedder import to_units

ROWS = 16
STEP = 32
"""Tokens: lengths are rounded up to a multiple."""
ANSWER_SECONDS, FETCH_SECONDS = 10, 600
"""For one answer of the Hub, and for the whole model."""
FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What of a folder decides its vectors, or is needed for them."""
OPTION = "data.dedup.embedder"
WHY = f"{OPTION} names a sentence model, which"

_FETCH = """
import sys
from huggingface_hub import snapshot_download
name, revision, seconds, here, *files = sys.argv[1:]
print(snapshot_download(name, revision=revision, etag_timeout=float(seconds), local_files_only=here == "here",
                        allow_patterns=[*files, "1_Pooling/*"], ignore_patterns=["onnx/*", "openvino/*"]))
"""


@dataclass(frozen=True)
class SentenceEmbedder:
    """A sentence encoder in a folder of `transformers`."""

    folder: Path
    why: str = WHY

    @classmethod
    def open(cls, where: str, why: str = WHY, option: str = OPTION) -> "SentenceEmbedder":
        """Return the model in a folder, or that of `name@commit`, fetched unless it is in the cache.

        `why` is what it is for and `option` what names it, for errors. Raises DataError for a folder or name without
        such a model, ConfigError for a name without a commit, DependencyError for a missing library or network. It
        waits 10 minutes at most.
        """
        folder = Path(where)
        if not folder.is_dir():
            folder = _fetched(where, why, option)
        if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
            do = (
                "name a folder that transformers' save_pretrained wrote, with config.json, model.safetensors, tokenizer"
            )
            raise DataError("this folder holds no model of transformers", where=str(folder), do=do)
        pooling = folder / "1_Pooling" / "config.json"
        if pooling.is_file() and not read_json(pooling).get("pooling_mode_mean_tokens", True):
            do = "use a model that takes the mean, such as all-MiniLM-L6-v2"
            raise DataError("this model does not take the mean of its tokens", where=str(pooling), do=do)
        return cls(folder, why)

    @property
    def digest(self) -> str:
        """The hash of the model's files."""
        paths = sorted({path for kind in FILES for path in self.folder.glob(kind)})
        return sha256_bytes(canonical_json([[path.name, sha256_file(path)] for path in paths] + [[ROWS, STEP]]))

    @property
    def width(self) -> int:
        """Numbers of a text's vector."""
        return int(self._model.config.hidden_size)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return a vector for each text, int16 [texts, width]."""
        torch: Any = need("torch", extra="minilm", why=self.why)
        found = np.zeros((len(texts), self.width), np.int16)
        with one_thread(torch), torch.inference_mode():
            for rows, ids, mask in batches(self.tokens(texts), self.longest, ROWS, STEP):
                ids_BT, mask_BT = torch.from_numpy(ids), torch.from_numpy(mask)
                hidden_BTD = self._model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state.float()
                kept = mask_BT[:, :, None].to(hidden_BTD.dtype)
                means = ((hidden_BTD * kept).sum(1) / kept.sum(1).clamp(min=1)).numpy()
                found[rows] = to_units(means[: len(rows)])
        return found

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts, with the marks that the model wants around them, at most `longest`."""
        if not len(texts):
            return []
        return self._tokenizer(list(texts), truncation=True, max_length=self.longest)["input_ids"]

    def fresh(self) -> Any:
        """Return a model of `transformers` with the folder's weights, nobody else's."""
        return self._load("AutoModel", attn_implementation="eager")

    @cached_property
    def longest(self) -> int:
        """Tokens that the model reads."""
        said = self.folder / "sentence_bert_config.json"
        wanted = read_json(said).get("max_seq_length") if said.is_file() else None
        limits = [wanted, self._tokenizer.model_max_length, self._model.config.max_position_embeddings]
        return int(min(limit for limit in limits if limit))

    @cached_property
    def _model(self) -> Any:
        return self.fresh().eval()

    @cached_property
    def _tokenizer(self) -> Any:
        return self._load("AutoTokenizer")

    def _load(self, kind: str, **options: Any) -> Any:
        transformers: Any = need("transformers", extra="minilm", why=self.why)
        transformers.utils.logging.disable_progress_bar()  # a model of some megabytes is there at once
        try:
            return getattr(transformers, kind).from_pretrained(str(self.folder), local_files_only=True, **options)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as e:
            first = str(e).strip().splitlines()[0]
            raise DataError(f"transformers cannot load this model: {first}", where=str(self.folder)) from e


@contextmanager
def one_thread(torch: Any) -> Iterator[None]:
    """Have torch, which nothing here loads, multiply with one thread, with which sums have one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def batches(
    encoded: Sequence[Sequence[int]], longest: int, count: int, step: int
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
    """Yield `count` rows of one length, a multiple of `step` unless that is beyond `longest`: the numbers of the texts,
    their tokens, and which of these are no padding. Rows without a text fill up.
    """
    sizes = [min(-(-max(len(ids), 1) // step) * step, max(longest, len(ids))) for ids in encoded]
    for size in sorted(set(sizes)):
        mine = [i for i, own in enumerate(sizes) if own == size]
        for first in range(0, len(mine), count):
            rows = mine[first : first + count]
            ids, mask = np.zeros((count, size), np.int64), np.zeros((count, size), np.int64)
            for row, i in enumerate(rows):
                ids[row, : len(encoded[i])], mask[row, : len(encoded[i])] = encoded[i], 1
            mask[len(rows) :, 0] = 1
            yield rows, ids, mask


def _fetched(where: str, why: str, option: str) -> Path:
    """Return the folder of `name@commit` in the Hub's cache, fetched by a process of its own unless it is there."""
    name, _, commit = where.partition("@")
    if name.count("/") != 1 or where.startswith((".", "/")):
        raise DataError(
            f"{where!r} is neither a folder nor the name of a model",
            where=option,
            do="name a folder, or a model and its commit, as in sentence-transformers/all-MiniLM-L6-v2@COMMIT",
        )
    if not commit:
        do = f"name it, as in {name}@COMMIT: what lies under a name alone changes, and the duplicates with it"
        raise ConfigError(f"the model {name} is named without a commit", where=option, do=do)
    need("huggingface_hub", extra="minilm", why=why)
    said = ""
    for place in ("here", "there"):
        call = [sys.executable, "-c", _FETCH, name, commit, str(ANSWER_SECONDS), place, *FILES]
        try:
            done = subprocess.run(call, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            said = f"it did not come within {FETCH_SECONDS} seconds"
            break
        if done.returncode == 0:
            return Path(done.stdout.strip().splitlines()[-1])
        said = (done.stderr.strip().splitlines() or ["the process that fetches ended without a word"])[-1]
    kind = DataError if "RepositoryNotFound" in said or "RevisionNotFound" in said else DependencyError
    raise kind(
        f"the model {name} could not be fetched: {said[:300]}",
        where=f"https://huggingface.co/{name}/tree/{commit}",
        do="see whether name, commit and network are right; or copy its folder here and name that",
    )
