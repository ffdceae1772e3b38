"""Typed configuration. Default values are defined only here."""

from nmt.config.adapt import AdaptConfig
from nmt.config.back_translation import BackTranslationConfig
from nmt.config.benchmark import TRANSFORMER, BenchmarkConfig, BenchmarkTask, Variant
from nmt.config.checks import flatten
from nmt.config.cluster import ClusterConfig, Queue
from nmt.config.compare import CompareConfig
from nmt.config.conversion import from_hydra, load_config, save_config, with_kinds, with_search
from nmt.config.data import (
    SPLITS,
    TEST_SET_NAME,
    CorpusLocation,
    DataConfig,
    PhrasebookConfig,
    TokenizerConfig,
    TokenizerType,
)
from nmt.config.decoder import (
    ATTENTIONS,
    DECODERS,
    AttentionKind,
    BahdanauDecoderConfig,
    BridgeKind,
    ConditionalDecoderConfig,
    ConvolutionalDecoderConfig,
    DecoderConfig,
    FeedingDecoderConfig,
    GnmtDecoderConfig,
    LuongDecoderConfig,
    RecurrentDecoderConfig,
    TransformerDecoderConfig,
)
from nmt.config.described import with_described_tests, with_location
from nmt.config.device_check import DeviceCheckConfig
from nmt.config.diagnose import DiagnoseConfig, Diagnosis, ModelSide
from nmt.config.distil import DistilConfig
from nmt.config.doctor import DoctorConfig
from nmt.config.documents import SUFFIXES, DocumentFormat, InputFormat, document_format
from nmt.config.encoder import (
    ENCODERS,
    ConvolutionalEncoderConfig,
    EncoderConfig,
    RecurrentEncoderConfig,
    TransformerEncoderConfig,
    encoder_of_cell,
)
from nmt.config.export import ExportConfig, ExportPrecision
from nmt.config.frontier import FrontierConfig, FrontierPoint
from nmt.config.human_eval import ACTIONS, JUDGEMENT_KINDS, HumanEvalConfig
from nmt.config.inline import OutputFormat, Protection
from nmt.config.languages import CASE, DirectionConfig, language_problems
from nmt.config.machine import MachineConfig, Precision
from nmt.config.model import ModelConfig, Tying, side_paths
from nmt.config.optim import OptimConfig, OptimizerKind, ScheduleKind
from nmt.config.paths import cache_dir, conf_dir, corpus_description, user_path
from nmt.config.question import SHORT_MINUTES, Claim, Literature, Question, QuestionPart, QuestionsConfig, Row
from nmt.config.report import ReportConfig
from nmt.config.root import (
    Config,
    EvaluateConfig,
    PrepareConfig,
    TranslateConfig,
)
from nmt.config.score import ScoreConfig
from nmt.config.search import COPY_UNKNOWN, LengthPenalty, MbrCandidates, MbrReferences, SearchConfig, SearchKind
from nmt.config.serve import ServeConfig
from nmt.config.shortlist import ShortlistConfig
from nmt.config.side import CELLS, CellKind, ConvolutionalSide, PositionKind, RecurrentSide, SideConfig, TransformerSide
from nmt.config.strings import StringsConfig, StringTask
from nmt.config.sweep import (
    ParameterConfig,
    PrunerKind,
    SamplerKind,
    SweepCommandConfig,
    SweepConfig,
    refusal,
    with_values,
)
from nmt.config.table import TableConfig
from nmt.config.text_files import TextFiles
from nmt.config.text_keys import child, is_list, is_text, restore_text, type_at
from nmt.config.tracking import TrackingBackend, TrackingConfig, TrackingMode
from nmt.config.train import (
    OBJECTIVES,
    BatchUnit,
    EmbeddingFileConfig,
    EmbeddingLookup,
    InitVocabulary,
    IntervalUnit,
    Metric,
    ObjectiveKind,
    PretrainedEmbeddingsConfig,
    SamplingDecay,
    SentenceMetric,
    TrainConfig,
)

__all__ = [
    "ACTIONS",
    "ATTENTIONS",
    "CASE",
    "CELLS",
    "COPY_UNKNOWN",
    "DECODERS",
    "ENCODERS",
    "JUDGEMENT_KINDS",
    "OBJECTIVES",
    "SHORT_MINUTES",
    "SPLITS",
    "SUFFIXES",
    "TEST_SET_NAME",
    "TRANSFORMER",
    "AdaptConfig",
    "AttentionKind",
    "BackTranslationConfig",
    "BahdanauDecoderConfig",
    "BatchUnit",
    "BenchmarkConfig",
    "BenchmarkTask",
    "BridgeKind",
    "CellKind",
    "Claim",
    "ClusterConfig",
    "CompareConfig",
    "ConditionalDecoderConfig",
    "Config",
    "ConvolutionalDecoderConfig",
    "ConvolutionalEncoderConfig",
    "ConvolutionalSide",
    "CorpusLocation",
    "DataConfig",
    "DecoderConfig",
    "DeviceCheckConfig",
    "DiagnoseConfig",
    "Diagnosis",
    "DirectionConfig",
    "DistilConfig",
    "DoctorConfig",
    "DocumentFormat",
    "EmbeddingFileConfig",
    "EmbeddingLookup",
    "EncoderConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ExportPrecision",
    "FeedingDecoderConfig",
    "FrontierConfig",
    "FrontierPoint",
    "GnmtDecoderConfig",
    "HumanEvalConfig",
    "InitVocabulary",
    "InputFormat",
    "IntervalUnit",
    "LengthPenalty",
    "Literature",
    "LuongDecoderConfig",
    "MachineConfig",
    "MbrCandidates",
    "MbrReferences",
    "Metric",
    "ModelConfig",
    "ModelSide",
    "ObjectiveKind",
    "OptimConfig",
    "OptimizerKind",
    "OutputFormat",
    "ParameterConfig",
    "PhrasebookConfig",
    "PositionKind",
    "Precision",
    "PrepareConfig",
    "PretrainedEmbeddingsConfig",
    "Protection",
    "PrunerKind",
    "Question",
    "QuestionPart",
    "QuestionsConfig",
    "Queue",
    "RecurrentDecoderConfig",
    "RecurrentEncoderConfig",
    "RecurrentSide",
    "ReportConfig",
    "Row",
    "SamplerKind",
    "SamplingDecay",
    "ScheduleKind",
    "ScoreConfig",
    "SearchConfig",
    "SearchKind",
    "SentenceMetric",
    "ServeConfig",
    "ShortlistConfig",
    "SideConfig",
    "StringTask",
    "StringsConfig",
    "SweepCommandConfig",
    "SweepConfig",
    "TableConfig",
    "TextFiles",
    "TokenizerConfig",
    "TokenizerType",
    "TrackingBackend",
    "TrackingConfig",
    "TrackingMode",
    "TrainConfig",
    "TransformerDecoderConfig",
    "TransformerEncoderConfig",
    "TransformerSide",
    "TranslateConfig",
    "Tying",
    "Variant",
    "cache_dir",
    "child",
    "conf_dir",
    "corpus_description",
    "document_format",
    "encoder_of_cell",
    "flatten",
    "from_hydra",
    "is_list",
    "is_text",
    "language_problems",
    "load_config",
    "refusal",
    "restore_text",
    "save_config",
    "side_paths",
    "type_at",
    "user_path",
    "with_described_tests",
    "with_kinds",
    "with_location",
    "with_search",
    "with_values",
]
