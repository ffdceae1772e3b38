"""Corpora: preparation from text files to a store of ids, tokenizers, and batches."""

from nmt.data.batching import Batch, TrainingBatches, gather, in_length_order, make_batch, source_tensors
from nmt.data.json_files import read_json, write_json
from nmt.data.preprocessing.cleaning import normalise, normalise_characters
from nmt.data.preprocessing.fetch import sha256_of
from nmt.data.preprocessing.locking import locked
from nmt.data.preprocessing.prepare import Prepared, prepare
from nmt.data.preprocessing.sources import locate
from nmt.data.store import PairStore
from nmt.data.subword_sampling import SubwordSampling, build_sampling
from nmt.data.text_files import (
    MOST_IN_A_LINE,
    MOST_IN_MEMORY,
    STANDARD,
    is_regular,
    named,
    new_text_file,
    read_all,
    read_available,
    read_lines,
    read_scored,
    write_lines,
    written,
)
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer
from nmt.data.words import tokenizer_advice

__all__ = [
    "BOS_ID",
    "EOS_ID",
    "MOST_IN_A_LINE",
    "MOST_IN_MEMORY",
    "PAD_ID",
    "STANDARD",
    "UNK_ID",
    "Batch",
    "PairStore",
    "Prepared",
    "SubwordSampling",
    "Tokenizer",
    "TrainingBatches",
    "build_sampling",
    "gather",
    "in_length_order",
    "is_regular",
    "locate",
    "locked",
    "make_batch",
    "named",
    "new_text_file",
    "normalise",
    "normalise_characters",
    "prepare",
    "read_all",
    "read_available",
    "read_json",
    "read_lines",
    "read_scored",
    "sha256_of",
    "source_tensors",
    "tokenizer_advice",
    "write_json",
    "write_lines",
    "written",
]
