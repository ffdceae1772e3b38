"""Decoding throughput in batches (sentences/s) and latency of a single sentence (ms)."""

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from nmt.config import Config, Precision, SearchConfig
from nmt.data import EOS_ID, Tokenizer, normalise, prepare
from nmt.decoding import LineTranslator, Translator, load_translator
from nmt.decoding.shortlist import Shortlist
from nmt.decoding.shortlist_files import make_tables
from nmt.evaluation import EvaluationSet, translate_with_bar
from nmt.lab.benchmark.figures import Figures
from nmt.metrics import Score, bleu_score
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.run import RunDirectory, peak_memory

SINGLE_SENTENCES = 40
"""Number of sentences that are also translated one at a time."""
NEVER = -1e4
"""Bias of eos that keeps an untrained model from generating it."""


class ReferenceLengthTranslator(Translator):
    """Translator of an untrained model that ends each hypothesis at the length of its reference.

    It thereby does the same amount of work as with a trained model.
    """

    def __init__(
        self, model: Seq2Seq, src: Tokenizer, tgt: Tokenizer, config: SearchConfig, shortlist: Shortlist | None = None
    ) -> None:
        super().__init__(model, src, tgt, config, shortlist=shortlist)
        self.lengths: dict[tuple[int, ...], int] = {}
        with torch.no_grad():
            model.output_bias[EOS_ID] = NEVER

    def set_lengths(self, lines: Sequence[str], references: Sequence[str]) -> None:
        """Store the length of the reference of each source line."""
        pairs = zip(self.src.encode([normalise(line) for line in lines]), self.tgt.encode(references), strict=True)
        self.lengths = {tuple(src): len(tgt) for src, tgt in pairs}

    def max_lengths(self, sources: list[list[int]], mask: Tensor) -> Tensor:
        """Return the lengths of the references, (B,)."""
        return torch.tensor([self.lengths[tuple(ids)] for ids in sources], device=self.device)


class DecodingBenchmark:
    """Translation of a test set, in batches and sentence by sentence."""

    def __init__(self, translator: LineTranslator, test: EvaluationSet, bleu_tokenize: str) -> None:
        self.translator = translator
        self.test = test
        self.lines = list(test.src)
        self.bleu_tokenize = bleu_tokenize

    @classmethod
    def exported(cls, config: Config, translator: LineTranslator, split: str = "test") -> "DecodingBenchmark":
        """Make a benchmark of an exported model on a held-out set of the corpus."""
        return cls(translator, EvaluationSet.of_corpus(config.data, split), config.data.bleu_tokenize)

    @classmethod
    def trained(
        cls,
        run: RunDirectory,
        search: SearchConfig,
        device: torch.device,
        precision: Precision,
        split: str = "test",
    ) -> "DecodingBenchmark":
        """Make a benchmark of the best checkpoint of a run on a held-out set."""
        test = EvaluationSet.of_run(run, split)
        translator, _ = load_translator(run, "best", search, device)
        translator.model.prepare_search(precision)
        return cls(translator, test, run.config().data.bleu_tokenize)

    @classmethod
    def untrained(
        cls, config: Config, search: SearchConfig, device: torch.device, precision: Precision
    ) -> "DecodingBenchmark":
        """Make a benchmark of a model with random weights on the test set of the corpus."""
        prepared = prepare(config.data)
        src, tgt = prepared.tokenizer("src"), prepared.tokenizer("tgt")
        torch.manual_seed(config.seed)
        model = build_model(config.model, Vocabulary(src.size, tgt.size, src.factor_sizes)).to(device).eval()
        shortlist = None if search.shortlist is None else make_tables(prepared, src, tgt)[0]
        translator = ReferenceLengthTranslator(model, src, tgt, replace(search, n_best=1), shortlist)
        test = EvaluationSet.of_corpus(config.data, "test")
        translator.set_lengths(test.src, test.references[0])
        model.prepare_search(precision)
        return cls(translator, test, config.data.bleu_tokenize)

    def bleu(self) -> Score:
        """Translate all lines and return BLEU, equal to that of `evaluate` with the same search."""
        (reference,) = self.test.references
        hypotheses = [best.text for best, *_ in translate_with_bar(self.translator, self.lines, self.test.name)]
        return bleu_score(hypotheses, reference, self.bleu_tokenize)

    def translate(self, lines: Sequence[str]) -> tuple[float, int]:
        """Translate lines; return the seconds, and the number of pieces of the translations, eos not counted."""
        begin = time.perf_counter()
        candidates = self.translator.translate(lines)
        seconds = time.perf_counter() - begin
        return seconds, sum(len(part) for best, *_ in candidates for part in best.pieces)

    def repeat(self) -> Figures:
        """Translate all lines in batches and some of them one at a time."""
        seconds, pieces = self.translate(self.lines)
        stride = max(1, len(self.lines) // SINGLE_SENTENCES)
        latencies, lengths = zip(*(self.translate([line]) for line in self.lines[::stride]), strict=True)
        return {
            "sentences_per_second": len(self.lines) / seconds,
            "milliseconds_per_sentence": 1000 * median(latencies),
            "pieces_per_second": pieces / seconds,
            "milliseconds_per_piece": 1000 * sum(latencies) / max(1, sum(lengths)),
            "peak_rss_bytes": peak_memory(),
        }
