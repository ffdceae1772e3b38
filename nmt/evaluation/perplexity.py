"""What a model thinks of the references: its perplexity by forced scoring."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

import nmt
from nmt.data import UNK_ID, Batch, PairStore, in_length_order, normalise
from nmt.decoding import Translator
from nmt.decoding.ensemble import TranslationModel
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
    """The perplexity of the references, per piece, word and character, and how many pieces of them are unknown.

    All three are exp of the references' negative log-likelihood, divided by the number of pieces, of words between
    spaces, or of characters, with one end a sentence: per piece as in training, per word and per character so that
    models of other vocabularies can be compared (Mielke 2019). The likelihood is that of one way to cut the words into
    pieces, so that the true perplexity is at most this.

    Args:
        translator: the model, which may be an ensemble, and its tokenizers.
        src: source sentences.
        references: one a sentence.
        labels: what signatures say of the test set.
        bleu_tokenize: sacrebleu's tokenizer; one for text without spaces makes the words, and the signature names it.
    """
    src_lines, tgt_lines = ([normalise(line) for line in lines] for lines in (src, references))
    tgt_ids = translator.tgt.encode(tgt_lines)
    store = PairStore.of(translator.src.encode(src_lines), tgt_ids)
    nll = [0.0] * len(store)
    training = translator.model.training
    translator.model.eval()
    for batch in in_length_order(store, BATCH_SIZE):
        found = forced_nll(translator.model, batch.to(translator.device)).tolist()
        for index, value in zip(batch.indices, found, strict=True):
            nll[index] = value
    translator.model.train(training)
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
            [(value, count + 1) for value, count in zip(nll, all_gather, strict=True)],
            lambda sums: perplexity(sums[0], int(sums[1])),
            f"nrefs:1{label}|unit:{unit}|end:yes{more}|nmt:{nmt.__version__}",
        )
        for name, (unit, more, all_gather) in counts.items()
    }
    return scores, sum(ids.count(UNK_ID) for ids in tgt_ids)


@torch.inference_mode()
def forced_nll(model: TranslationModel, batch: Batch) -> Tensor:
    """-log p(tgt | src) of each pair, eos included, in nats, (B,).

    The model takes the steps that it takes in search, but is given the reference's tokens: so an ensemble and 8-bit
    integers are scored as they translate.
    """
    state = model.encode(batch.src, batch.src_mask)
    nll = torch.zeros(len(batch.indices), dtype=torch.float64, device=batch.src.device)
    for tokens, wanted, real in zip(batch.tgt_in, batch.tgt_out, batch.tgt_mask, strict=True):  # (B,) each
        log_probs, state, _ = model.step(tokens, state)  # (B, V)
        found = log_probs.gather(1, wanted.unsqueeze(1)).squeeze(1).double()
        nll -= found.where(real, 0.0)
    return nll
