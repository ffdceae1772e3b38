"""Export of a run: graphs, their comparison with the run's model, and the files of the folder."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from nmt.config import ExportPrecision, SearchConfig, SearchKind
from nmt.data import make_batch, normalise, pad_left, write_json, write_tokenizer
from nmt.decoding import load_model
from nmt.errors import UserError
from nmt.export.beam_search import Array
from nmt.export.card import CardFacts, model_card
from nmt.export.folder import CARD, DECODER, ENCODER, SETTINGS, ExportedFolder, write_sums
from nmt.export.graphs import ModelGraphs, export_graphs
from nmt.export.sessions import ExportedModel, quantise
from nmt.export.settings import ExportSettings, check_search
from nmt.export.translator import ExportedTranslator
from nmt.metrics.scores import bleu_metric
from nmt.models import Seq2Seq
from nmt.run import RunDirectory

TOLERANCE = 1e-4
"""Largest difference from the run's model in log-probabilities; rounding stays below 1e-5, and errors are far above."""
COMPARED = (1, 2, 7, 24)
"""Numbers of sentences of the batches that are compared."""
MAX_BLEU_CHANGE = 0.2
"""Largest change of BLEU by 8-bit weights, on validation and test set."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BleuChange:
    """BLEU of the exported weights in float32 and in 8 bits on one set."""

    split: str
    float32: float
    int8: float


def export_run(
    run: RunDirectory,
    checkpoint: str,
    precision: ExportPrecision,
    output: Path,
    on_progress: Callable[[str, int], None] = lambda task, lines: None,
) -> ExportSettings:
    """Write a run's model to a folder, which appears when it is complete.

    Args:
        run: the run.
        checkpoint: best, last or average:N.
        precision: number format of the weights of the step.
        output: folder to create.
        on_progress: function called with a task and the number of lines that were just finished.

    Raises:
        UserError: a part of the model cannot be exported, the graphs compute something else, 8-bit weights change BLEU
            too much, or the folder cannot be written.
    """
    if run.tokenizer("src").factor_sizes:
        raise UserError(f"{run.path} has source factors, which are not supported in exports; translate from the run")
    model, step = load_model(run, checkpoint)
    graphs = export_graphs(model)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent)
    except OSError as error:
        raise UserError(f"output={output} cannot be written: {error.strerror}; choose another folder") from None
    partial = Path(temporary.name) / output.name
    try:
        partial.mkdir()
        settings = settings_of(run, checkpoint, step, graphs)
        write_folder(partial, run, settings, graphs)
        difference = largest_difference(model, ExportedModel.of_folder(ExportedFolder(partial)), sample_pairs(run))
        if not difference <= TOLERANCE:
            raise UserError(
                f"the exported graphs differ from the model by {difference:.1e} in log-probabilities "
                f"({kinds_of(run)}); this model cannot be exported, translate from the run"
            )
        changes: list[BleuChange] = []
        if precision == ExportPrecision.int8:
            settings = replace(settings, precision=precision)
            with tempfile.TemporaryDirectory() as folder:
                eight_bits = replace(graphs, decoder=quantise(graphs.decoder, Path(folder)))
            changes = compare_bleu(run, partial, settings, eight_bits, on_progress)
        facts = CardFacts(run, settings, difference, bleu_rows(changes))
        (partial / CARD).write_text(model_card(facts), encoding="utf-8")
        write_sums(partial)
        partial.rename(output)
    except OSError as error:
        raise UserError(f"output={output} cannot be written: {error.strerror}; choose another folder") from None
    finally:
        temporary.cleanup()
    return settings


def settings_of(run: RunDirectory, checkpoint: str, step: int, graphs: ModelGraphs) -> ExportSettings:
    """Return the settings of a float32 export."""
    config = run.config()
    data = config.data
    directions = [(data.src_lang, data.tgt_lang), *((each.src_lang, each.tgt_lang) for each in data.directions)]
    sizes = {"src_size": run.tokenizer("src").size, "tgt_size": run.tokenizer("tgt").size}
    return ExportSettings(
        name=run.path.name,
        checkpoint=checkpoint,
        step=step,
        precision=ExportPrecision.float32,
        directions=tuple(dict.fromkeys(directions)),
        attends=graphs.attends,
        state=tuple(graphs.state),
        search=supported_search(config.search),
        **sizes,
    )


def supported_search(search: SearchConfig) -> SearchConfig:
    """Return the run's search settings, or beam search with a warning if they need torch."""
    try:
        check_search(search)
    except UserError as error:
        log.warning("%s", f"the run's search settings: {error}; the export uses beam search without them")
        plain = replace(search, block_ngrams=0, replace_unknown=None, shortlist=None)
        return replace(plain, kind=SearchKind.beam, n_best=min(plain.n_best, plain.beam_size))
    return search


def write_folder(folder: Path, run: RunDirectory, settings: ExportSettings, graphs: ModelGraphs) -> None:
    """Write all files, with an empty model card, over those that are there."""
    (folder / ENCODER).write_bytes(graphs.encoder)
    (folder / DECODER).write_bytes(graphs.decoder)
    for side in ("src", "tgt"):
        write_tokenizer(folder, side, run.tokenizer(side))
    write_json(folder / SETTINGS, settings.to_json())
    (folder / CARD).write_text("", encoding="utf-8")
    write_sums(folder)


def kinds_of(run: RunDirectory) -> str:
    """Return the kinds of the model's parts, for an error."""
    model = run.config().model
    parts = [f"model.encoder.kind={model.encoder.kind}", f"model.decoder.kind={model.decoder.kind}"]
    for name, side in (("encoder", model.encoder), ("decoder", model.decoder)):
        parts += [f"model.{name}.{key}={value}" for key, value in vars(side).items() if key in ("cell", "attention")]
    return ", ".join(parts)


def sample_pairs(run: RunDirectory) -> list[tuple[list[int], list[int]]]:
    """Return source and target ids of the first validation or test sentences, or of one empty sentence."""
    split = next((split for split in ("valid", "test") if run.has_split(split)), None)
    src, tgt = ([""], [""]) if split is None else run.text(split)
    count = sum(COMPARED)
    sides = zip(("src", "tgt"), (src, tgt), strict=True)
    encoded = [run.tokenizer(side).encode([normalise(line) for line in lines[:count]]) for side, lines in sides]
    return list(zip(*encoded, strict=True))


@torch.inference_mode()
def largest_difference(model: Seq2Seq, exported: ExportedModel, pairs: Sequence[tuple[list[int], list[int]]]) -> float:
    """Return the largest `difference` of two models in the log-probability of any next word, and in attention weights.

    Both read the targets step by step, in batches of several sizes. In every batch the hypotheses are reordered after
    each step: all sentences have two hypotheses, which change places.
    """
    worst, start = 0.0, 0
    for count in COMPARED:
        chosen = [pairs[(start + i) % len(pairs)] for i in range(count)]
        start += count
        batch = make_batch([src for src, _ in chosen], [tgt for _, tgt in chosen], range(count))
        rows = np.stack([np.arange(count)] * 2, axis=1)
        swapped = 2 * np.arange(count)[:, None] + np.array([[1, 0]])
        theirs, ours = model.encode(batch.src, batch.src_mask), exported.encode(*pad_left([src for src, _ in chosen]))
        theirs, ours = theirs.select(torch.from_numpy(rows)), ours.select(rows)
        for t, column in enumerate(batch.tgt_in):
            tokens = column.repeat_interleave(2)
            tokens = tokens.where(torch.arange(len(tokens)) % 2 == t % 2, column.flip(0).repeat_interleave(2))
            expected = model.step(tokens, theirs)
            result = exported.step(tokens.numpy(), ours, exported.attends)
            worst = max(worst, difference(expected.log_probs.numpy(), result.log_probs))
            if expected.attention is not None and result.attention is not None:
                worst = max(worst, difference(expected.attention.numpy(), result.attention))
            theirs, ours = expected.state.select(torch.from_numpy(swapped)), result.state.select(swapped)
    return worst


def difference(one: Array, other: Array) -> float:
    """Return the largest difference of two arrays, of values beyond one relative to them.

    It is infinite if a value is not a number or the shapes differ.
    """
    if one.shape != other.shape:
        return float("inf")
    largest = float((np.abs(one - other) / np.maximum(np.abs(one), 1)).max(initial=0.0))
    return largest if np.isfinite(largest) else float("inf")


def compare_bleu(
    run: RunDirectory,
    folder: Path,
    settings: ExportSettings,
    graphs: ModelGraphs,
    on_progress: Callable[[str, int], None],
) -> list[BleuChange]:
    """Replace a float32 export by one in 8 bits, and return the BLEU of both.

    Raises:
        UserError: BLEU changes by more than `MAX_BLEU_CHANGE`, or there is no set to measure it on.
    """
    splits = [split for split in ("valid", "test") if run.has_split(split)]
    if not splits:
        raise UserError(f"{run.path} has no validation or test set to measure int8 on; use precision=float32")
    before = [bleu(run, folder, split, on_progress) for split in splits]
    write_folder(folder, run, settings, graphs)
    after = [bleu(run, folder, split, on_progress) for split in splits]
    changes = [BleuChange(*values) for values in zip(splits, before, after, strict=True)]
    for change in changes:
        log.info("BLEU on %s: float32 %.2f, int8 %.2f", change.split, change.float32, change.int8)
        if abs(change.int8 - change.float32) > MAX_BLEU_CHANGE:
            raise UserError(
                f"precision=int8 changes BLEU on {change.split} from {change.float32:.2f} to {change.int8:.2f}, "
                f"by more than {MAX_BLEU_CHANGE}; use precision=float32"
            )
    return changes


def bleu(run: RunDirectory, folder: Path, split: str, on_progress: Callable[[str, int], None]) -> float:
    """Return BLEU of an export on a split of its run."""
    src, references = run.text(split)
    translator = ExportedTranslator(ExportedFolder(folder))
    translator.set_n_best(1)
    task = f"{split}, {translator.folder.settings.precision}"
    found = translator.translate(src, lambda lines: on_progress(task, lines))
    metric = bleu_metric(run.config().data.bleu_tokenize)
    return float(metric.corpus_score([candidates[0].text for candidates in found], [references]).score)


def bleu_rows(changes: Sequence[BleuChange]) -> list[tuple[str, str, str]]:
    """Return rows of the model card's table: set, BLEU in float32, BLEU in 8 bits."""
    return [(change.split, f"{change.float32:.2f}", f"{change.int8:.2f}") for change in changes]
