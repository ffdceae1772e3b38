"""Loading of a run's model and tokenizers for translation."""

import logging
from collections.abc import Sequence
from functools import partial

import torch

from nmt.config import SearchConfig
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.shortlist_files import load_shortlist
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.metrics import pairwise
from nmt.models import Seq2Seq, Vocabulary, build_model, check_model_size
from nmt.run import RunDirectory, load_average, load_weights

log = logging.getLogger(__name__)


def load_translator(
    run: RunDirectory,
    checkpoint: str,
    search: SearchConfig,
    device: torch.device,
    others: Sequence[RunDirectory] = (),
) -> tuple[Translator, int]:
    """Return a translator with a run's model, and the step of its checkpoint.

    Args:
        run: the run whose model, tokenizers and data configuration are used.
        checkpoint: best, last or average:N, the same for every run.
        search: search configuration. The tables of a shortlist are those of `run`, also in an ensemble.
        device: device of the models.
        others: runs whose models decode together with this one's, as an ensemble.

    Raises:
        UserError: a run is incomplete or damaged, or has other tokenizers.
    """
    models, steps = zip(*(load_model(member, checkpoint) for member in (run, *others)), strict=True)
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    for other in others:
        if (other.tokenizer("src").identity, other.tokenizer("tgt").model) != (src.identity, tgt.model):
            raise UserError(f"ensemble: {other.path} has other tokenizers than {run.path}; train both on one corpus")
    members = [model.to(device).eval() for model in models]
    model = Ensemble(members) if others else members[0]
    data = run.config().data
    utility = partial(pairwise, metric=search.mbr_utility, tokenize=data.bleu_tokenize)
    shortlist = None if search.shortlist is None else load_shortlist(run, search.shortlist)
    return Translator(model, src, tgt, search, utility, data.src_lang, shortlist), steps[0]


def load_model(run: RunDirectory, checkpoint: str) -> tuple[Seq2Seq, int]:
    """Return a run's model with the weights of a checkpoint, and the checkpoint's step; of an average, the newest.

    Raises:
        UserError: the run does not keep enough checkpoints, or is damaged.
    """
    config = run.config()
    name, _, count = run.checkpoint_link(checkpoint).partition(":")
    if count and int(count) > config.train.keep_checkpoints:
        raise UserError(
            f"checkpoint={checkpoint}: {run.path} keeps {config.train.keep_checkpoints} checkpoints; "
            f"train with train.keep_checkpoints={count}"
        )
    load = partial(load_average, run.checkpoints, int(count)) if count else partial(load_weights, run.checkpoints, name)
    step, weights = load(run.identity)
    if name != checkpoint.partition(":")[0]:
        log.warning("%s was stopped before its first validation and has no best checkpoint: last is used", run.path)
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    vocabulary = Vocabulary(src.size, tgt.size, src.factor_sizes)
    check_model_size(config.model, vocabulary, sum(weight.numel() for weight in weights.values()))
    model = build_model(config.model, vocabulary)
    model.load_weights(weights)
    return model, step
