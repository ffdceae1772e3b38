"""Validation: perplexity of the references, and BLEU of real decoding."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from nmt.config import DataConfig, SearchConfig, SearchKind
from nmt.data import PairStore, Tokenizer, batches_by_length
from nmt.decoding import Translator
from nmt.metrics import bleu
from nmt.models import Seq2Seq
from nmt.training.objectives.likelihood import cross_entropy
from nmt.training.progress import perplexity

BATCH_SIZE = 64


class Validator:
    """Measurement of a model on the validation set. Decoding is greedy: beam search ranks checkpoints no better."""

    def __init__(
        self,
        model: Seq2Seq,
        store: PairStore,
        text: tuple[Sequence[str], Sequence[str]],
        tokenizers: tuple[Tokenizer, Tokenizer],
        search: SearchConfig,
        bleu_tokenize: str,
        label_smoothing: float = 0.0,
        src_lang: str = DataConfig.src_lang,
    ) -> None:
        """
        Args:
            model: the model in training.
            store: the validation set as ids, for perplexity.
            text: source and reference lines to decode.
            tokenizers: tokenizers of the source and of the target.
            search: the run's search settings, which apply here except its kind and `n_best`.
            bleu_tokenize: sacrebleu's tokenizer.
            label_smoothing: value of the training, used in the loss only.
            src_lang: language code of the source, by which long lines are split into sentences.
        """
        greedy = replace(search, kind=SearchKind.greedy, n_best=1)
        self.model = model
        self.store = store
        self.src, self.references = text
        self.translator = Translator(model, *tokenizers, greedy, src_lang=src_lang)
        self.bleu_tokenize = bleu_tokenize
        self.objective = cross_entropy(label_smoothing)

    def __call__(self) -> dict[str, float]:
        """Return `valid/loss`, `valid/perplexity`, `valid/bleu` and its `valid/matching_4grams`.

        The loss is the cross-entropy in nats per token with the training's label smoothing; the perplexity is without
        it.
        """
        loss, nll, tokens = self.likelihood()
        score, matches = self.bleu(len(self.src))
        return {
            "valid/loss": loss / tokens,
            "valid/perplexity": perplexity(nll, tokens),
            "valid/bleu": score,
            "valid/matching_4grams": matches,
        }

    def check(self) -> None:
        """Decode and score a few sentences, so that a broken evaluation fails before training and not hours later."""
        self.likelihood(max_batches=2)
        self.bleu(4)

    @torch.inference_mode()
    def likelihood(self, max_batches: int | None = None) -> tuple[float, float, int]:
        """Return the sums of the loss and of the negative log-likelihood, in nats, and the number of tokens."""
        self.model.eval()
        loss, nll, tokens = 0.0, 0.0, 0
        for number, batch in enumerate(batches_by_length(self.store, BATCH_SIZE)):
            if number == max_batches:
                break
            output = self.objective(self.model, batch.to(self.translator.device))
            loss, nll = loss + float(output.loss), nll + float(output.nll)
            tokens += batch.tokens
        self.model.train()
        return loss, nll, tokens

    def bleu(self, sentences: int) -> tuple[float, int]:
        """Return corpus BLEU of the first `sentences` translations, and the number of matching 4-grams."""
        hypotheses = [best.text for best, *_ in self.translator.translate(self.src[:sentences])]
        return bleu(hypotheses, self.references[:sentences], self.bleu_tokenize)
