"""Trained runs in Python: translation, forced decoding, attention and hidden states."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.api.results import Translation, changed_search, check_lengths, list_of_lines, translation_of
from nmt.config import SearchConfig, TranslateConfig, from_hydra
from nmt.data import EOS_ID, PairStore, batches_by_length, normalise
from nmt.decoding import (
    AttentionMap,
    ConstraintBuilder,
    Translator,
    align_words,
    load_translator,
)
from nmt.decoding.shortlist_files import load_shortlist
from nmt.errors import UserError
from nmt.evaluation import attention_figure
from nmt.evaluation.confidence import piece_log_probs
from nmt.evaluation.perplexity import BATCH_SIZE
from nmt.metrics import pairwise
from nmt.models import Seq2Seq
from nmt.run import RunDirectory
from nmt.runtime import Runtime, setup_runtime

if TYPE_CHECKING:
    from nmt.evaluation.figures import NotebookFigure

Run = str | Path | RunDirectory
"""A run: its directory, or what `nmt.train` returned."""


@dataclass(frozen=True)
class ForcedScore:
    """Probability of a given target sentence."""

    log_prob: float
    """Natural logarithm of the probability of the sentence, eos included. It is the sum of `piece_log_probs`."""
    pieces: list[str]
    """Pieces of the target sentence, eos last."""
    piece_log_probs: list[float]
    """Natural logarithm of the probability of each piece, given the source and the pieces before it."""


@dataclass(frozen=True)
class Encoding:
    """Hidden states of B source sentences: the output of the top encoder layer. S longest length, H width."""

    states: Tensor
    """Hidden states in float32 on the CPU, padded at the end with zeros, (B, S, H)."""
    mask: Tensor
    """True on real pieces, (B, S)."""
    pieces: list[list[str]]
    """Pieces of each sentence, eos last; `states[b, s]` belongs to `pieces[b][s]`."""


@dataclass(frozen=True)
class AttentionMatrix:
    """Attention weights of a source sentence and a target sentence. T target pieces, S source pieces."""

    src: list[str]
    """Source pieces, eos last."""
    tgt: list[str]
    """Target pieces, eos last."""
    weights: NDArray[np.float32]
    """Weights, one row per target piece and one column per source piece, (T, S)."""

    def plot(self, title: str = "") -> "NotebookFigure":
        """Return a heat map as a matplotlib figure. A notebook shows it; `figure.savefig(path)` writes it."""
        return attention_figure(AttentionMap(self.src, self.tgt, self.weights.tolist()), title)


def load_runs(
    run: Run | Sequence[Run],
    *,
    checkpoint: str = "best",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> "RunTranslator":
    """Load a run for translation, or several runs as an ensemble.

    Args:
        run: run directory, or a list of run directories with the same tokenizers.
        checkpoint: best, last, or average:N, the mean weights of the N latest.
        device: cpu, cuda, cuda:N, or auto.
        precision: auto, float32, bfloat16 or int8, as `machine.precision`.
        threads: number of threads of torch; None: OMP_NUM_THREADS or the number of available cores. It is set for the
            whole process.

    Raises:
        UserError: a run does not exist, is damaged, or does not fit the others.
    """
    members = [open_run(path) for path in ([run] if isinstance(run, Run) else run)]
    if not members:
        raise UserError("the list of runs is empty; give at least one run directory")
    machine = {"device": device, "precision": precision, "threads": threads}
    first, *others = members
    config = from_hydra(TranslateConfig, {"run": "", "checkpoint": checkpoint, "machine": machine})
    runtime = setup_runtime(config.machine)
    search = first.config().search
    with torch.random.fork_rng(devices=[]):  # the weights are drawn before they are loaded
        translator, step = load_translator(first, config.checkpoint, search, runtime.device, others)
    runtime.prepare_search(translator)
    return RunTranslator(members, translator, step, runtime)


def open_run(run: Run) -> RunDirectory:
    """Open a run and verify the checksums of its files.

    Raises:
        UserError: there is no such run, or it is damaged.
    """
    return RunDirectory.open(str(run.path if isinstance(run, RunDirectory) else run))


class RunTranslator:
    """Trained model of a run, or an ensemble of runs, with its tokenizers and search settings; made by `nmt.load`."""

    def __init__(self, runs: Sequence[RunDirectory], translator: Translator, step: int, runtime: Runtime) -> None:
        self.runs = list(runs)
        self.step = step
        """Training step of the checkpoint; of an ensemble, that of the first run."""
        self.runtime = runtime
        self.base = translator
        """Translator with the search settings of the run."""
        self.shortlist = translator.shortlist
        """Tables for `search.shortlist`, loaded when a search first needs them."""
        self.bleu_tokenize = self.runs[0].config().data.bleu_tokenize

    def __repr__(self) -> str:
        return f"<translator of {', '.join(str(run.path) for run in self.runs)} at step {self.step}>"

    @property
    def search(self) -> SearchConfig:
        """Search settings of the run, which keyword arguments of `translate` replace."""
        return self.base.config

    @property
    def models(self) -> list[Seq2Seq]:
        """The torch modules of the runs, in evaluation mode."""
        model = self.base.model
        members = [model] if isinstance(model, Seq2Seq) else getattr(model, "members", [])
        return [member for member in members if isinstance(member, Seq2Seq)]

    @property
    def model(self) -> Seq2Seq:
        """The torch module of the run.

        Raises:
            UserError: the translator is an ensemble.
        """
        if len(self.models) != 1:
            raise UserError(f"an ensemble of {len(self.models)} runs has no single model; use .models, or load one run")
        return self.models[0]

    def translator(self, settings: Mapping[str, object]) -> Translator:
        """Return a translator with some search settings replaced. The model is shared.

        Raises:
            UserError: a setting does not exist, or its value is not allowed.
        """
        base = self.base
        search = changed_search(base.config, settings)
        utility = partial(pairwise, metric=search.mbr_utility, tokenize=self.bleu_tokenize)
        if search.shortlist is not None and self.shortlist is None:
            self.shortlist = load_shortlist(self.runs[0], search.shortlist)
        return Translator(base.model, base.src, base.tgt, search, utility, base.src_lang, self.shortlist)

    @overload
    def translate(
        self,
        sentences: Sequence[str],
        *,
        n_best: None = None,
        prefixes: Sequence[str] | None = None,
        phrases: Sequence[Sequence[str]] | None = None,
        alignment: bool = True,
        **search: Any,
    ) -> list[Translation]: ...

    @overload
    def translate(
        self,
        sentences: Sequence[str],
        *,
        n_best: int,
        prefixes: Sequence[str] | None = None,
        phrases: Sequence[Sequence[str]] | None = None,
        alignment: bool = True,
        **search: Any,
    ) -> list[list[Translation]]: ...

    def translate(
        self,
        sentences: Sequence[str],
        *,
        n_best: int | None = None,
        prefixes: Sequence[str] | None = None,
        phrases: Sequence[Sequence[str]] | None = None,
        alignment: bool = True,
        **search: Any,
    ) -> list[Translation] | list[list[Translation]]:
        """Return the best translation of each sentence, or with `n_best` a list of its n best translations.

        Args:
            sentences: sentences to translate. One of more than `max_source_pieces` pieces is translated in parts.
            n_best: number of translations per sentence, best first; None: the best one, not in a list.
            prefixes: beginning of the translation of each sentence; "" leaves it free.
            phrases: for each sentence, words and phrases that its translation must contain.
            alignment: compute word alignments, if the model has attention.
            search: search settings that replace those of the run: `beam_size=5`, `kind="greedy"`,
                `length_penalty="gnmt"`, and every other key of `search.*`.

        Raises:
            UserError: a search setting is wrong, or the vocabulary cannot write a constraint.
        """
        lines = list_of_lines(sentences, "sentences")
        translator = self.translator(search | {"n_best": 1 if n_best is None else n_best})
        constraints = None
        if prefixes is not None or phrases is not None:
            builder = ConstraintBuilder(translator.tgt)
            starts = [""] * len(lines) if prefixes is None else list_of_lines(prefixes, "prefixes")
            contained = [()] * len(lines) if phrases is None else [tuple(list_of_lines(p, "phrases")) for p in phrases]
            check_lengths(lines, prefixes=starts, phrases=contained)
            constraints = [
                builder.make(start, wanted, f"sentence {number}")
                for number, (start, wanted) in enumerate(zip(starts, contained, strict=True), start=1)
            ]
        candidates = translator.translate(lines, constraints=constraints)
        links: list[list[list[tuple[int, int]]]] | None = None
        if alignment and self.attends:
            links = align_words(translator, lines, candidates)
        translations = [
            [
                translation_of(candidate, self.base.tgt, None if links is None else links[line][rank])
                for rank, candidate in enumerate(of_line)
            ]
            for line, of_line in enumerate(candidates)
        ]
        return translations if n_best is not None else [of_line[0] for of_line in translations]

    @cached_property
    def attends(self) -> bool:
        """True if the model has attention."""
        return self.base.attends

    def score(self, sources: Sequence[str], targets: Sequence[str]) -> list[ForcedScore]:
        """Return the probability of each target sentence given its source, by forced decoding.

        The probability is that of one segmentation into pieces, the best one of the tokenizer.

        Raises:
            UserError: there are not as many targets as sources.
        """
        sources, targets = list_of_lines(sources, "sources"), list_of_lines(targets, "targets")
        check_lengths(sources, targets=targets)
        base = self.base
        src, tgt = (
            base.src.encode([normalise(line) for line in sources]),
            base.tgt.encode(list(map(normalise, targets))),
        )
        return [
            ForcedScore(math.fsum(log_probs), base.tgt.pieces([*ids, EOS_ID]), log_probs)
            for ids, log_probs in zip(tgt, piece_log_probs(base, src, tgt), strict=True)
        ]

    def attention(self, source: str, target: str | None = None) -> AttentionMatrix:
        """Return the attention weights of a sentence and a target sentence, computed under teacher forcing.

        Args:
            source: source sentence.
            target: target sentence; None: the best translation of the source.

        Raises:
            UserError: the model has no attention.
        """
        if target is None:
            target = self.translate([source], alignment=False)[0].text
        weights = self.base.attention(source, target)
        if weights is None:
            raise UserError(f"{self.runs[0].path} has no attention; train a model with model.decoder.attention")
        return AttentionMatrix(weights.src, weights.tgt, np.array(weights.weights, dtype=np.float32))

    @torch.no_grad()  # not inference_mode, whose tensors autograd refuses
    def encode(self, sources: Sequence[str]) -> Encoding:
        """Return the hidden states of source sentences: the output of the top encoder layer.

        Raises:
            UserError: the translator is an ensemble.
        """
        model, base = self.model, self.base
        src = base.src.encode([normalise(line) for line in list_of_lines(sources, "sources")])
        lengths = [len(ids) + 1 for ids in src]
        parts: dict[int, Tensor] = {}
        model.eval()
        for batch in batches_by_length(PairStore.of(src, [[] for _ in src]), BATCH_SIZE):
            batch = batch.to(base.device)
            states = model.hidden_states(batch.src, batch.src_mask).float().cpu().transpose(0, 1)
            parts |= {index: row[-lengths[index] :] for index, row in zip(batch.indices, states, strict=True)}
        pieces = [base.src.pieces([*ids, EOS_ID]) for ids in src]
        if not parts:
            return Encoding(torch.zeros(0, 0, 0), torch.zeros(0, 0, dtype=torch.bool), pieces)
        states = torch.nn.utils.rnn.pad_sequence([parts[index] for index in range(len(src))], batch_first=True)
        mask = torch.arange(states.size(1)) < torch.tensor(lengths).unsqueeze(1)
        return Encoding(states, mask, pieces)
