"""The options of a run, as a user writes them: every one of them is in `options.py`."""

from gnomon.config.amounts import TOKENS_DO, parse_budget, parse_tokens
from gnomon.config.load import load_config, make_config, read_written
from gnomon.config.options import (
    MAX_THREADS,
    Config,
    DataConfig,
    DecontaminateConfig,
    DedupConfig,
    DomainConfig,
    Dtype,
    MixConfig,
    ModelConfig,
    OptimizerKind,
    ShardingKind,
    SlurmConfig,
    SourceConfig,
    TokenizerConfig,
)

__all__ = [
    "MAX_THREADS",
    "TOKENS_DO",
    "Config",
    "DataConfig",
    "DecontaminateConfig",
    "DedupConfig",
    "DomainConfig",
    "Dtype",
    "MixConfig",
    "ModelConfig",
    "OptimizerKind",
    "ShardingKind",
    "SlurmConfig",
    "SourceConfig",
    "TokenizerConfig",
    "load_config",
    "make_config",
    "parse_budget",
    "parse_tokens",
    "read_written",
]
