"""`nmt.load`: a run with torch, or an exported folder without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.api.exported import FolderTranslator
from nmt.config import MachineConfig, from_hydra, user_path
from nmt.export import exported_translator, is_export, open_export, refuse_run_settings

if TYPE_CHECKING:
    from nmt.api.translator import Run, RunTranslator


def load(
    run: Run | Sequence[Run],
    *,
    checkpoint: str = "best",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> RunTranslator | FolderTranslator:
    """Load a run for translation, several runs as an ensemble, or a folder that `nmt-export` wrote.

    Args:
        run: run directory, a list of run directories with the same tokenizers, or an exported folder.
        checkpoint: best, last, or average:N, the mean weights of the N latest.
        device: cpu, cuda, cuda:N, or auto.
        precision: auto, float32, bfloat16 or int8, as `machine.precision`.
        threads: number of threads of torch; None: OMP_NUM_THREADS or the number of available cores. It is set for the
            whole process. For an exported folder, the number of batches that are searched at once.

    Raises:
        UserError: a run does not exist, is damaged, or does not fit the others.
    """
    if isinstance(run, str | Path) and is_export(user_path(str(run))):
        folder = open_export(str(run))
        refuse_run_settings(folder, {"checkpoint": checkpoint})
        machine = from_hydra(MachineConfig, {"device": device, "precision": precision, "threads": threads})
        return FolderTranslator(exported_translator(folder, machine, folder.settings.search))
    from nmt.api.translator import load_runs

    return load_runs(run, checkpoint=checkpoint, device=device, precision=precision, threads=threads)
