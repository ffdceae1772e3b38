"""Typed configuration. Default values are defined only here."""

from nmt.config.benchmark import BenchmarkConfig, Task, Variant
from nmt.config.cluster import ClusterConfig, Queue
from nmt.config.compare import CompareConfig
from nmt.config.data import DataConfig, PhrasebookConfig, SubwordType, TextFiles, TokenizerConfig
from nmt.config.diagnose import DiagnoseConfig, Diagnosis, Side
from nmt.config.distil import DistilConfig
from nmt.config.doctor import DoctorConfig
from nmt.config.model import (
    Architecture,
    AttentionKind,
    BridgeKind,
    Cell,
    DecoderKind,
    ModelConfig,
    PositionKind,
    Tying,
    encoder_widths,
)
from nmt.config.optim import OptimConfig, OptimizerKind, ScheduleKind
from nmt.config.paths import cache_dir, conf_dir, corpus_note, path_of
from nmt.config.question import MOST_MINUTES, Claim, Literature, Part, Question, QuestionsConfig, Row
from nmt.config.report import ReportConfig
from nmt.config.root import (
    Config,
    EvaluateConfig,
    MachineConfig,
    Precision,
    PrepareConfig,
    TranslateConfig,
    from_hydra,
    load_config,
    save_config,
    with_search,
)
from nmt.config.score import ScoreConfig
from nmt.config.search import LengthPenalty, MbrCandidates, MbrReferences, SearchConfig, SearchKind
from nmt.config.sweep import (
    ParameterConfig,
    PrunerKind,
    SamplerKind,
    SweepCommandConfig,
    SweepConfig,
    refusal,
    with_values,
)
from nmt.config.text_keys import child, hint_at, is_list, is_text, keep_text
from nmt.config.tracking import TrackingConfig, TrackingMode
from nmt.config.train import (
    BatchUnit,
    IntervalUnit,
    Metric,
    ObjectiveKind,
    SamplingDecay,
    SentenceMetric,
    TrainConfig,
)

__all__ = [
    "MOST_MINUTES",
    "Architecture",
    "AttentionKind",
    "BatchUnit",
    "BenchmarkConfig",
    "BridgeKind",
    "Cell",
    "Claim",
    "ClusterConfig",
    "CompareConfig",
    "Config",
    "DataConfig",
    "DecoderKind",
    "DiagnoseConfig",
    "Diagnosis",
    "DistilConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "IntervalUnit",
    "LengthPenalty",
    "Literature",
    "MachineConfig",
    "MbrCandidates",
    "MbrReferences",
    "Metric",
    "ModelConfig",
    "ObjectiveKind",
    "OptimConfig",
    "OptimizerKind",
    "ParameterConfig",
    "Part",
    "PhrasebookConfig",
    "PositionKind",
    "Precision",
    "PrepareConfig",
    "PrunerKind",
    "Question",
    "QuestionsConfig",
    "Queue",
    "ReportConfig",
    "Row",
    "SamplerKind",
    "SamplingDecay",
    "ScheduleKind",
    "ScoreConfig",
    "SearchConfig",
    "SearchKind",
    "SentenceMetric",
    "Side",
    "SubwordType",
    "SweepCommandConfig",
    "SweepConfig",
    "Task",
    "TextFiles",
    "TokenizerConfig",
    "TrackingConfig",
    "TrackingMode",
    "TrainConfig",
    "TranslateConfig",
    "Tying",
    "Variant",
    "cache_dir",
    "child",
    "conf_dir",
    "corpus_note",
    "encoder_widths",
    "from_hydra",
    "hint_at",
    "is_list",
    "is_text",
    "keep_text",
    "load_config",
    "path_of",
    "refusal",
    "save_config",
    "with_search",
    "with_values",
]
