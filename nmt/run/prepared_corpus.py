"""Prepared corpus of an existing run, from the cache or from the corpus files."""

from nmt.config import Config, InitVocabulary
from nmt.data import Prepared, prepare, read_json
from nmt.errors import UserError
from nmt.run.directory import SIDES, RunDirectory


def prepare_corpus(config: Config, run: RunDirectory) -> Prepared:
    """Return the prepared corpus of an existing run, which has its own copy of given and of ready tokenizers.

    Raises:
        UserError: the corpus cannot be prepared, or is not the one that the run was made with.
    """
    sides = SIDES if base_vocabulary(config) is not None else config.data.tokenizer.files
    prepared = prepare(config.data, {side: run.tokenizer(side) for side in sides})
    if not is_corpus_of(prepared, run):
        raise UserError(
            f"the corpus of {run.path} is not the one that the run was made with: its files "
            f"(data.root={config.data.root}) or the tokenizer library have changed; restore them, or start a new run"
        )
    return prepared


def is_corpus_of(prepared: Prepared, run: RunDirectory) -> bool:
    """Return whether a corpus has the counts of pairs and words and the vocabularies of the run."""
    for name in ("report.json", "words.json"):
        recorded, present = read_json(run.path / "data" / name), read_json(prepared.folder / name)
        if any(recorded[key] != present[key] for key in recorded.keys() & present.keys()):
            return False
    return all(run.tokenizer(side).model == prepared.tokenizer(side).model for side in SIDES)


def base_vocabulary(config: Config) -> str | None:
    """Return the path of the run whose vocabulary a run uses or extends; None if there is none."""
    return None if config.train.init_vocabulary == InitVocabulary.corpus else config.train.init_from
