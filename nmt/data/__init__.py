"""Corpora: preparation from text files to a store of ids, tokenizers, and batches."""

from nmt.data.batching import (
    Batch,
    TrainingBatches,
    batches_by_length,
    gather,
    make_batch,
    pad_left,
    pad_source,
    temperature_shares,
)
from nmt.data.corrections import (
    MAX_CORRECTION_CHARACTERS,
    Correction,
    append_correction,
    check_new_corrections,
    latest,
    read_corrections,
)
from nmt.data.json_files import read_json, write_json
from nmt.data.preprocessing.cleaning import normalise, normalise_characters
from nmt.data.preprocessing.fetch import sha256_of
from nmt.data.preprocessing.locking import locked
from nmt.data.preprocessing.prepare import Prepared, prepare
from nmt.data.preprocessing.sources import locate, locate_test_set
from nmt.data.source_form import (
    UNKNOWN_FACTOR,
    SourceForm,
    SourceTokenizer,
    load_tokenizer,
    tag_of,
    with_tags,
    write_tokenizer,
)
from nmt.data.store import PairStore
from nmt.data.subword_sampling import SubwordSampling, build_sampling, check_sampling
from nmt.data.text_files import (
    MAX_LINE_BYTES,
    MAX_TEXT_BYTES,
    STANDARD,
    check_new_text_file,
    decode_whole,
    in_scored_form,
    is_regular,
    named,
    read_all,
    read_available,
    read_for_scoring,
    read_lines,
    write_lines,
    written,
)
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, ready_tokenizers
from nmt.data.vocabulary_extension import extensible_tokenizers
from nmt.data.word_vectors import VectorFile
from nmt.data.words import tokenizer_advice

__all__ = [
    "BOS_ID",
    "EOS_ID",
    "MAX_CORRECTION_CHARACTERS",
    "MAX_LINE_BYTES",
    "MAX_TEXT_BYTES",
    "PAD_ID",
    "STANDARD",
    "UNKNOWN_FACTOR",
    "UNK_ID",
    "Batch",
    "Correction",
    "PairStore",
    "Prepared",
    "SourceForm",
    "SourceTokenizer",
    "SubwordSampling",
    "Tokenizer",
    "TrainingBatches",
    "VectorFile",
    "append_correction",
    "batches_by_length",
    "build_sampling",
    "check_new_corrections",
    "check_new_text_file",
    "check_sampling",
    "decode_whole",
    "extensible_tokenizers",
    "gather",
    "in_scored_form",
    "is_regular",
    "latest",
    "load_tokenizer",
    "locate",
    "locate_test_set",
    "locked",
    "make_batch",
    "named",
    "normalise",
    "normalise_characters",
    "pad_left",
    "pad_source",
    "prepare",
    "read_all",
    "read_available",
    "read_corrections",
    "read_for_scoring",
    "read_json",
    "read_lines",
    "ready_tokenizers",
    "sha256_of",
    "tag_of",
    "temperature_shares",
    "tokenizer_advice",
    "with_tags",
    "write_json",
    "write_lines",
    "write_tokenizer",
    "written",
]
