"""Typed configuration. Default values are defined only here."""

from nmt.config.benchmark import BenchmarkConfig, BenchmarkTask, Variant
from nmt.config.cluster import ClusterConfig, Queue
from nmt.config.compare import CompareConfig
from nmt.config.data import DataConfig, PhrasebookConfig, TokenizerConfig, TokenizerType
from nmt.config.diagnose import DiagnoseConfig, Diagnosis, ModelSide
from nmt.config.distil import DistilConfig
from nmt.config.doctor import DoctorConfig
from nmt.config.languages import CASE, DirectionConfig, language_problems
from nmt.config.model import (
    Architecture,
    AttentionKind,
    BridgeKind,
    CellKind,
    DecoderKind,
    ModelConfig,
    PositionKind,
    Tying,
    encoder_widths,
)
from nmt.config.optim import OptimConfig, OptimizerKind, ScheduleKind
from nmt.config.paths import cache_dir, conf_dir, corpus_description, user_path
from nmt.config.question import MAX_MINUTES, Claim, Literature, Question, QuestionPart, QuestionsConfig, Row
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
from nmt.config.search import COPY_UNKNOWN, LengthPenalty, MbrCandidates, MbrReferences, SearchConfig, SearchKind
from nmt.config.sweep import (
    ParameterConfig,
    PrunerKind,
    SamplerKind,
    SweepCommandConfig,
    SweepConfig,
    refusal,
    with_values,
)
from nmt.config.text_files import TextFiles
from nmt.config.text_keys import child, is_list, is_text, restore_text, type_at
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
    "CASE",
    "COPY_UNKNOWN",
    "MAX_MINUTES",
    "Architecture",
    "AttentionKind",
    "BatchUnit",
    "BenchmarkConfig",
    "BenchmarkTask",
    "BridgeKind",
    "CellKind",
    "Claim",
    "ClusterConfig",
    "CompareConfig",
    "Config",
    "DataConfig",
    "DecoderKind",
    "DiagnoseConfig",
    "Diagnosis",
    "DirectionConfig",
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
    "ModelSide",
    "ObjectiveKind",
    "OptimConfig",
    "OptimizerKind",
    "ParameterConfig",
    "PhrasebookConfig",
    "PositionKind",
    "Precision",
    "PrepareConfig",
    "PrunerKind",
    "Question",
    "QuestionPart",
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
    "SweepCommandConfig",
    "SweepConfig",
    "TextFiles",
    "TokenizerConfig",
    "TokenizerType",
    "TrackingConfig",
    "TrackingMode",
    "TrainConfig",
    "TranslateConfig",
    "Tying",
    "Variant",
    "cache_dir",
    "child",
    "conf_dir",
    "corpus_description",
    "encoder_widths",
    "from_hydra",
    "is_list",
    "is_text",
    "language_problems",
    "load_config",
    "refusal",
    "restore_text",
    "save_config",
    "type_at",
    "user_path",
    "with_search",
    "with_values",
]
