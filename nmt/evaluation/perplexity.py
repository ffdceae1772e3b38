"""Perplexity of the references by forced decoding."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

import nmt
from nmt.data import UNK_ID, Batch, PairStore, batches_by_length, normalise
from nmt.decoding import Translator
from nmt.decoding.ensemble import TranslationModel, evaluation_mode
from nmt.metrics import UNITS, Score, bleu_words, score_with_interval
from nmt.training.progress import perplexity

BATCH_SIZE = 64


def perplexities(
    translator: Translator,
    src: Sequence[str],
    references: Sequence[str],
    labels: Mapping[str, str],
    bleu_tokenize: str = "13a",
) -> tuple[dict[str, Score], int]:
    """Return the references' perplexity per piece, word and character, and the number of their unknown pieces.

    All three are exp of the references' negative log-likelihood divided by a number of units: pieces, words between
    spaces, or characters, with one end of sentence per sentence. Perplexity per piece is that of training; per word and
    per character, models with different vocabularies can be compared (Mielke 2019). The likelihood is that of one
    segmentation into pieces, so that the true perplexity is at most this value.

    Args:
        translator: model, which may be an ensemble, and its tokenizers.
        src: source sentences.
        references: one reference per sentence.
        labels: entries about the test set in the signatures.
        bleu_tokenize: sacrebleu's tokenizer. One for text without spaces splits the words, and the signature names it.
    """
    src_lines, tgt_lines = ([normalise(line) for line in lines] for lines in (src, references))
    tgt_ids = translator.tgt.encode(tgt_lines)
    store = PairStore.of(translator.src.encode(src_lines), tgt_ids)
    nll = [0.0] * len(store)
    with evaluation_mode(translator.model):
        for batch in batches_by_length(store, BATCH_SIZE):
            values = forced_nll(translator.model, batch.to(translator.device)).tolist()
            for index, value in zip(batch.indices, values, strict=True):
                nll[index] = value
    vocabulary = hashlib.sha256(translator.tgt.model).hexdigest()[:8]
    unit, tok = "word", ""
    words = [len(line.split()) for line in tgt_lines]
    if bleu_tokenize in UNITS:
        unit, tok = UNITS[bleu_tokenize], f"|tok:{bleu_tokenize}"
        words = [len(bleu_words(line, bleu_tokenize)) for line in tgt_lines]
    counts = {
        "perplexity": ("piece", f"|vocabulary:{vocabulary}", [len(ids) for ids in tgt_ids]),
        "perplexity_word": (unit, tok, words),
        "perplexity_char": ("character", "", [len(line) for line in tgt_lines]),
    }
    label = "".join(f"|{key}:{value}" for key, value in labels.items())
    scores = {
        name: score_with_interval(
            [(value, count + 1) for value, count in zip(nll, sizes, strict=True)],
            lambda sums: perplexity(sums[0], int(sums[1])),
            f"nrefs:1{label}|unit:{unit}|end:yes{more}|nmt:{nmt.__version__}",
        )
        for name, (unit, more, sizes) in counts.items()
    }
    return scores, sum(ids.count(UNK_ID) for ids in tgt_ids)


def forced_nll(model: TranslationModel, batch: Batch) -> Tensor:
    """Return -log p(tgt | src) of each pair, including eos, in nats, (B,)."""
    nll = torch.zeros(len(batch.indices), dtype=torch.float64, device=batch.src.device)
    for log_probs in forced_log_probs(model, batch):
        nll -= log_probs
    return nll


@torch.inference_mode()
def forced_log_probs(model: TranslationModel, batch: Batch) -> Tensor:
    """Return the log-probability of each target token given those before it, eos included, 0 on padding, (T, B).

    The model decodes step by step as in search, with the reference's tokens as input, so that an ensemble or an int8
    model is scored in the form in which it translates.
    """
    state = model.encode(batch.src, batch.src_mask)
    rows = []
    for tokens, wanted, real in zip(batch.tgt_in, batch.tgt_out, batch.tgt_mask, strict=True):  # (B,) each
        log_probs, state, _ = model.step(tokens, state)  # (B, V)
        chosen = log_probs.gather(1, wanted.unsqueeze(1)).squeeze(1).double()
        rows.append(chosen.where(real, 0.0))
    return torch.stack(rows)
