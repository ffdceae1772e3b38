"""nmt-serve: translate over HTTP with the protocol of LibreTranslate, and serve a page for people."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.sources import open_source, trained_search
from nmt.config import SearchConfig, ServeConfig, user_path, with_search
from nmt.data import check_new_corrections
from nmt.errors import UserError
from nmt.export import ExportedFolder, exported_translator, refuse_run_settings
from nmt.processor import available_cores, requested_threads

if TYPE_CHECKING:  # exported folders are served without torch
    from nmt.run import RunDirectory
    from nmt.serving import Model

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    try:
        from nmt.serving import read_keys, serve
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; run pip install 'nmt-recurrent[serve]'") from None
    first = open_source(app.required(cfg, "run"))
    config, _ = with_search(ServeConfig, cfg, trained_search(first))
    keys = read_keys(config.keys_file)
    if config.corrections is not None:
        check_new_corrections(user_path(config.corrections))
    models: list[Model] = []
    for number, path in enumerate([config.run, *config.others]):
        source = open_source(path)
        _, search = with_search(ServeConfig, cfg, trained_search(source))
        members = [] if number else config.ensemble
        if isinstance(source, ExportedFolder):
            models += exported_models(source, number, config, search, members)
        else:
            models += run_models(source, number, config, search, members)
    threads = config.machine.threads or requested_threads() or available_cores()
    serve(models, config, keys, threads)


def exported_models(
    folder: ExportedFolder, number: int, config: ServeConfig, search: SearchConfig, members: Sequence[str]
) -> list[Model]:
    """Return the models of an exported folder, one per direction."""
    from nmt.serving import Model

    refuse_run_settings(folder, {"ensemble": members, "checkpoint": config.checkpoint})
    translator = exported_translator(folder, config.machine, search)
    translator.threads = 1  # each model thread of the server decodes batches of its own
    models, directions = [], folder.settings.directions
    for src, tgt in directions:
        own = copy.copy(translator)
        own.set_languages(src, tgt if len(directions) > 1 else None)
        models.append(Model.of(own, f"{number}: {folder.path.name}, step {folder.settings.step}", src, tgt))
    return models


def run_models(
    run: RunDirectory, number: int, config: ServeConfig, search: SearchConfig, members: Sequence[str]
) -> list[Model]:
    """Return the models of a run, or of an ensemble with further runs, one per direction."""
    from nmt.decoding import load_translator
    from nmt.evaluation.calibration import calibration_for
    from nmt.run import RunDirectory
    from nmt.runtime import setup_runtime
    from nmt.serving import Model

    runtime = setup_runtime(config.machine)
    others = [RunDirectory.open(member) for member in members]
    translator, step = load_translator(run, config.checkpoint, search, runtime.device, others)
    runtime.prepare_search(translator)
    if translator.src.factor_sizes:
        raise UserError(f"{run.path} needs factors of each source word, which clients do not send; serve another run")
    calibration, unused = (None, "") if members else calibration_for(run, step)
    if unused:
        log.warning(unused)
    models, data = [], run.config().data
    directions = [(data.src_lang, data.tgt_lang), *((each.src_lang, each.tgt_lang) for each in data.directions)]
    for src, tgt in dict.fromkeys(directions):
        own = copy.copy(translator)
        own.set_languages(src, tgt if data.directions else None)
        models.append(Model.of(own, f"{number}: {run.path.name}, step {step}", src, tgt, calibration))
    return models


def main() -> None:
    app.run("serve", command)


if __name__ == "__main__":
    main()
