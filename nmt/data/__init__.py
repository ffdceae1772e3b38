"""From corpus files to batches of ids."""

from nmt.data.batching import Batch, TrainingBatches, gather, in_length_order, make_batch, source_tensors
from nmt.data.cleaning import normalise
from nmt.data.corpora import MOST_IN_A_LINE, MOST_IN_MEMORY, read_all, read_lines
from nmt.data.fetch import sha256_of
from nmt.data.json_files import read_json, write_json
from nmt.data.locking import locked
from nmt.data.prepare import Prepared, prepare
from nmt.data.sampling import SubwordSampling, build_sampling
from nmt.data.sources import locate
from nmt.data.store import PairStore
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer

__all__ = [
    "BOS_ID",
    "EOS_ID",
    "MOST_IN_A_LINE",
    "MOST_IN_MEMORY",
    "PAD_ID",
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
    "locate",
    "locked",
    "make_batch",
    "normalise",
    "prepare",
    "read_all",
    "read_json",
    "read_lines",
    "sha256_of",
    "source_tensors",
    "write_json",
]
