"""Prepared corpus of a new run, and the corpus of an existing run as text files.

The vocabularies of a new run are trained, ready, or those of the run that it starts from.
"""

import logging
import shutil
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path

from nmt.config import Config, DataConfig, InitVocabulary, TokenizerType, flatten
from nmt.data import (
    UNK_ID,
    Prepared,
    SourceForm,
    check_sampling,
    extensible_tokenizers,
    locate,
    prepare,
    ready_tokenizers,
    with_tags,
)
from nmt.data.preprocessing.cleaning import CleaningReport, clean, digests
from nmt.errors import UserError
from nmt.run import RunDirectory, base_vocabulary

EXTENSION_KEYS = ("vocab_size", "hard_vocab_limit", "character_coverage", "max_lines", "user_symbols")
"""Keys of `data.tokenizer` about the pieces that extend the vocabulary of a base run."""

log = logging.getLogger(__name__)


def with_base_tokenizer(config: Config, base: str, overrides: Collection[str] = ()) -> Config:
    """Return the configuration of a fine-tuning with the tokenizer settings of the run that it starts from.

    A vocabulary of this corpus (`train.init_vocabulary=corpus`) has its own settings, and an extended one its own
    `EXTENSION_KEYS`.

    Args:
        config: configuration of the new run.
        base: path of the run that it starts from.
        overrides: keys that the command line sets.

    Raises:
        UserError: the models differ in more than probabilities, or the command line sets another tokenizer.
    """
    base_config, train = RunDirectory.open(base).config(), config.train
    theirs, ours = flatten(asdict(base_config.model)), flatten(asdict(config.model))
    conflicts = [
        f"model.{key}={theirs.get(key)} (here {ours.get(key)})"
        for key in theirs | ours
        if theirs.get(key) != ours.get(key) and not isinstance(theirs.get(key), float)
    ]
    if conflicts and not train.init_partial:
        raise UserError(
            f"train.init_from={base} has {', '.join(conflicts)}; give the same, or add train.init_partial=true to take "
            "the weights that fit"
        )
    if train.init_vocabulary == InitVocabulary.corpus:
        if config.data.factors or base_config.data.factors:
            raise UserError(
                "train.init_vocabulary=corpus cannot transfer source factors (data.factors), whose values may differ; "
                "use train.init_vocabulary=base"
            )
        return config
    if SourceForm.of(base_config.data) != SourceForm.of(config.data):
        raise UserError(
            f"train.init_from={base} has other source factors or target languages, which its vocabulary contains; give "
            "the same data.factors and the same target languages of data.directions, or add "
            "train.init_vocabulary=corpus"
        )
    own = EXTENSION_KEYS if train.init_vocabulary == InitVocabulary.extend else ()
    theirs, ours = asdict(base_config.data.tokenizer), asdict(config.data.tokenizer)
    others = "corpus" if own else "extend or corpus"
    for override in overrides:
        key = override.removeprefix("data.tokenizer.")
        if override.startswith("data.tokenizer.") and key in theirs.keys() - own and theirs[key] != ours[key]:
            raise UserError(
                f"data.tokenizer.{key}={ours[key]} has no effect: train.init_from={base} brings its own tokenizer, "
                f"with {key}={theirs[key]}; leave the key out, or add train.init_vocabulary={others}"
            )
    tokenizer = replace(base_config.data.tokenizer, **{key: ours[key] for key in own})
    tokenizer.user_symbols = list(dict.fromkeys(theirs["user_symbols"] + tokenizer.user_symbols))
    return replace(config, data=replace(config.data, tokenizer=tokenizer))


def prepare_new_corpus(config: Config) -> Prepared:
    """Prepare the corpus of a new run.

    Raises:
        UserError: the corpus cannot be prepared, or too much of it is unknown to a vocabulary that is not its own.
    """
    settings, train = config.data.tokenizer, config.train
    base = base_vocabulary(config)
    extend = base is not None and train.init_vocabulary == InitVocabulary.extend
    given = ready_tokenizers(with_tags(config.data)) if base is None else RunDirectory.open(base).tokenizers()
    if extend:
        given = extensible_tokenizers(given, settings.user_symbols, f"train.init_from={base}")
    if train.subword_sampling is not None:
        check_sampling(given.values(), train.subword_sampling)
    prepared = prepare(config.data, given, extend)
    if base is not None:
        check_unknown(prepared, f"train.init_from={base}", base_remedy(extend), train.max_unknown)
    elif given:
        origin = f"the ready tokenizer {' and '.join(sorted(set(settings.files.values())))}"
        remedy = "train without it, which makes a vocabulary of this corpus"
        words = settings.type == TokenizerType.word  # rare words are unknown by design
        check_unknown(prepared, origin, remedy, 1.0 if words else train.max_unknown)
    return prepared


def base_remedy(extended: bool) -> str:
    """Return what to do if a base's vocabulary, or the extended one, does not cover the corpus."""
    if extended:
        return "raise data.tokenizer.character_coverage"
    return (
        "add train.init_vocabulary=extend, which adds pieces of this corpus, or train.init_vocabulary=corpus, which "
        "makes a vocabulary of this corpus"
    )


def check_unknown(prepared: Prepared, origin: str, remedy: str, max_share: float) -> None:
    """Log the share of pieces that are unknown to a vocabulary that was not made from this corpus alone.

    Args:
        prepared: the corpus.
        origin: name of the vocabulary's origin in messages.
        remedy: how to get a vocabulary that covers the corpus.
        max_share: maximum share on each side.

    Raises:
        UserError: the share is larger than `max_share` on one side.
    """
    pairs = prepared.store("train")
    for name, side in (("source", "src"), ("target", "tgt")):
        counts = getattr(pairs, side).piece_counts(prepared.tokenizer(side).size)
        share = float(counts[UNK_ID] / max(int(counts.sum()), 1))
        if share > max_share:
            raise UserError(
                f"{origin}: {share:.1%} of the pieces of the {name} text are unknown to its vocabulary "
                f"(train.max_unknown={max_share:g}); {remedy}, or remove the lines in other scripts"
            )
        if share:
            log.warning("%s: %.2f %% of the pieces of the %s text are unknown", origin, 100 * share, name)


def write_corpus(run: RunDirectory, data: DataConfig, folder: Path, targets: str = "train") -> None:
    """Write the corpus of a run as text files: train.LANGUAGE, and valid.LANGUAGE and test.LANGUAGE where it has them.

    Training pairs are cleaned as in preparation. The folder appears when it is complete.

    Args:
        run: the run.
        data: corpus of the run, with the locations of its files on this machine.
        folder: new folder.
        targets: stem of the file of the training targets.

    Raises:
        UserError: the corpus cannot be found, or the folder cannot be written.
    """
    languages = {"src": data.src_lang, "tgt": data.tgt_lang}
    plain = SourceForm.of(data).plain
    held_out = [
        pair for split in ("valid", "test") if run.has_split(split) for pair in zip(*run.text(split), strict=True)
    ]
    pairs = clean(locate(data)["train"].pairs(), data.cleaning, digests(held_out, plain), CleaningReport(), plain)
    partial = folder.with_name(f"{folder.name}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for split in filter(run.has_split, ("valid", "test")):
            for side, language in languages.items():
                shutil.copyfile(run.path / "data" / f"{split}.{side}", partial / f"{split}.{language}")
        with (
            (partial / f"train.{data.src_lang}").open("w", encoding="utf-8", newline="\n") as sources,
            (partial / f"{targets}.{data.tgt_lang}").open("w", encoding="utf-8", newline="\n") as references,
        ):
            for src, tgt in pairs:
                sources.write(src + "\n")
                references.write(tgt + "\n")
        partial.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; choose a folder with write access") from None
