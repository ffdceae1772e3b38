"""Prepared corpus of an existing run, from the cache or from the corpus files."""

from nmt.config import Config, InitVocabulary
from nmt.data import Prepared, prepare
from nmt.run.directory import RunDirectory


def prepare_corpus(config: Config, run: RunDirectory) -> Prepared:
    """Return the prepared corpus of an existing run, which has its own copy of given and of ready tokenizers."""
    sides = ("src", "tgt") if base_vocabulary(config) is not None else config.data.tokenizer.files
    return prepare(config.data, {side: run.tokenizer(side) for side in sides})


def base_vocabulary(config: Config) -> str | None:
    """Return the path of the run whose vocabulary a run uses or extends; None if there is none."""
    return None if config.train.init_vocabulary == InitVocabulary.corpus else config.train.init_from
