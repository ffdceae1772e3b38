"""Translation of lines with an exported folder, without torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from nmt.config import MachineConfig, Precision, SearchConfig, user_path
from nmt.data import BOS_ID, EOS_ID, pad_left
from nmt.decoding import AttentionMap, Hypothesis, LineTranslator, TargetConstraints
from nmt.decoding.hypothesis import SYMBOLS
from nmt.decoding.phrases import Prefix
from nmt.errors import UserError
from nmt.export.beam_search import Array, ArrayBatch, BeamSearch
from nmt.export.folder import ExportedFolder, is_export
from nmt.export.sessions import ExportedModel
from nmt.export.settings import check_search, unsupported
from nmt.processor import available_cores, requested_threads


class ExportedTranslator(LineTranslator):
    """Exported model with its two tokenizers, which translates raw text to raw text."""

    forces_targets = False

    def __init__(self, folder: ExportedFolder, threads: int = 1, search: SearchConfig | None = None) -> None:
        """
        Args:
            folder: a verified folder.
            threads: number of batches that are searched at once.
            search: search settings; None: those of the run.

        Raises:
            UserError: the folder is damaged, or the search is not supported.
        """
        self.folder = folder
        self.model = ExportedModel.of_folder(folder)
        self.src, self.tgt = folder.tokenizer("src"), folder.tokenizer("tgt")
        self.config = search or folder.settings.search
        self.src_lang = folder.settings.directions[0][0]
        self.threads = threads
        self.check()

    def check(self) -> None:
        """Refuse search settings that need torch, or attention that the model does not have.

        Raises:
            UserError: a setting is not supported.
        """
        check_search(self.config)
        if self.config.coverage_penalty and not self.model.attends:
            raise UserError("search.coverage_penalty is on, and this model has no attention; set it to 0")

    def prepare(self) -> None:
        """Do nothing: the graphs only translate."""

    @property
    def attends(self) -> bool:
        """True if the step returns attention weights."""
        return self.model.attends

    def piece_attention(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> Array | None:
        if not self.attends:
            return None
        state = self.model.encode(*pad_left(sources))
        steps = np.full((max(map(len, targets), default=0) + 1, len(targets)), EOS_ID, dtype=np.int64)
        steps[0] = BOS_ID
        for column, target in enumerate(targets):
            steps[1 : len(target) + 1, column] = target
        rows = []
        for tokens in steps:
            result = self.model.step(tokens, state, with_attention=True)
            state = result.state
            rows.append(np.asarray(result.attention).reshape(len(tokens), -1))
        return np.stack(rows, axis=1)

    def attention(self, src: str, tgt: str) -> AttentionMap | None:
        """Return None: the pieces of a text with their attention are for the run."""
        return None

    def search(
        self,
        sources: list[list[int]],
        on_progress: Callable[[int], None],
        constraints: Sequence[TargetConstraints] | None = None,
    ) -> list[list[Hypothesis]]:
        self.check()
        if any(constraint.phrases.all for constraint in constraints or ()):
            raise unsupported(["constraints"])
        if any(constraint.forbidden for constraint in constraints or ()):
            raise unsupported(["forbidden phrases"])
        return super().search(sources, on_progress, constraints)

    def search_batches(
        self, sources: list[list[int]], batches: list[list[int]], constraints: Sequence[TargetConstraints]
    ) -> Iterator[list[list[Hypothesis]]]:
        """Search each batch, in several threads if there are several of both."""

        def search(batch: list[int]) -> list[list[Hypothesis]]:
            return self.search_batch([sources[i] for i in batch], [constraints[i].prefix for i in batch])

        if self.threads == 1 or len(batches) < 2:
            yield from map(search, batches)
            return
        pool = ThreadPoolExecutor(self.threads)
        try:
            yield from pool.map(search, batches)
        finally:
            pool.shutdown(cancel_futures=True)

    def search_batch(self, sources: list[list[int]], prefixes: Sequence[Prefix]) -> list[list[Hypothesis]]:
        """Search one batch."""
        src, mask = pad_left(sources)
        lengths = (mask.sum(axis=0).astype(np.float32) * np.float32(self.config.max_length_ratio)).astype(np.int64)
        limits = np.maximum(lengths + self.config.max_length_offset, [len(prefix) for prefix in prefixes])
        symbols = replace(SYMBOLS, blank=self.blank_pieces()) if self.config.min_length else SYMBOLS
        batch = ArrayBatch(src, mask, limits, prefixes if any(prefixes) else ())
        if self.config.n_best == 1:
            return BeamSearch(self.model, batch, symbols, self.config).run()
        whole_beam = replace(self.config, n_best=self.config.max_n_best)  # replacements for hypotheses of the same text
        found = BeamSearch(self.model, batch, symbols, whole_beam).run()
        return [self.distinct_texts(hypotheses)[: self.config.n_best] for hypotheses in found]


def exported_translator(folder: ExportedFolder, machine: MachineConfig, search: SearchConfig) -> ExportedTranslator:
    """Return a translator of a folder on the configured hardware.

    Raises:
        UserError: the folder is damaged, or does not support the hardware or the search.
    """
    if machine.device not in ("auto", "cpu"):
        raise UserError(f"machine.device={machine.device}: an exported folder translates on the CPU; use auto")
    if machine.precision not in (Precision.auto, folder.settings.precision):
        raise UserError(
            f"machine.precision={machine.precision}: {folder.path} was exported in {folder.settings.precision}; "
            f"use auto, or export the run again"
        )
    return ExportedTranslator(folder, machine.threads or requested_threads() or available_cores(), search)


def refuse_run_settings(folder: ExportedFolder, settings: Mapping[str, object]) -> None:
    """Refuse settings of a command that need the run itself.

    Raises:
        UserError: one of the settings has a value, or the checkpoint is not `best`.
    """
    refused = [key for key, value in settings.items() if value and (key, value) != ("checkpoint", "best")]
    if refused:
        raise UserError(f"{folder.path}: {unsupported(refused)}")


def open_export(path: str) -> ExportedFolder:
    """Open an exported folder after verifying its checksums.

    Raises:
        UserError: the folder does not exist, is not an export, or is damaged.
    """
    folder = user_path(path)
    if not folder.is_dir():
        raise UserError(f"{path} does not exist; name a folder that nmt-export wrote")
    if not is_export(folder):
        raise UserError(f"{path} is not an exported folder: it has no settings.json and SHA256SUMS; run nmt-export")
    return ExportedFolder(Path(folder))
