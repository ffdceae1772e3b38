"""Decoding throughput in batches (sentences/s) and latency of a single sentence (ms)."""

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from nmt.config import Config, Precision, SearchConfig
from nmt.data import BOS_ID, EOS_ID, PAD_ID, Tokenizer, normalise, prepare, read_lines
from nmt.decoding import LineTranslator, Translator, load_translator
from nmt.decoding.shortlist import Shortlist
from nmt.decoding.shortlist_files import make_tables
from nmt.lab.benchmark.figures import Figures
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

    def __init__(self, translator: LineTranslator, lines: list[str]) -> None:
        self.translator = translator
        self.lines = lines

    @classmethod
    def exported(cls, config: Config, translator: LineTranslator) -> "DecodingBenchmark":
        """Make a benchmark of an exported model on the test set of the corpus."""
        return cls(translator, list(read_lines(prepare(config.data).text("test").with_suffix(".src"))))

    @classmethod
    def trained(
        cls, run: RunDirectory, search: SearchConfig, device: torch.device, precision: Precision
    ) -> "DecodingBenchmark":
        """Make a benchmark of the best checkpoint of a run on its test set."""
        translator, _ = load_translator(run, "best", search, device)
        translator.model.prepare_search(precision)
        return cls(translator, run.text("test")[0])

    @classmethod
    def untrained(
        cls, config: Config, search: SearchConfig, device: torch.device, precision: Precision
    ) -> "DecodingBenchmark":
        """Make a benchmark of a model with random weights on the test set of the corpus."""
        prepared = prepare(config.data)
        src, tgt = prepared.tokenizer("src"), prepared.tokenizer("tgt")
        torch.manual_seed(config.seed)
        model = (
            build_model(config.model, Vocabulary(src.size, tgt.size, PAD_ID, BOS_ID, src.factor_sizes))
            .to(device)
            .eval()
        )
        shortlist = None if search.shortlist is None else make_tables(prepared, src, tgt)[0]
        translator = ReferenceLengthTranslator(model, src, tgt, replace(search, n_best=1), shortlist)
        lines, references = (list(read_lines(prepared.text("test").with_suffix(f".{side}"))) for side in ("src", "tgt"))
        translator.set_lengths(lines, references)
        model.prepare_search(precision)
        return cls(translator, lines)

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
