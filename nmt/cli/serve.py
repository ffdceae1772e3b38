"""nmt-serve: translate over HTTP with the protocol of LibreTranslate, and serve a page for people."""

import copy
import logging

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import ServeConfig, user_path, with_search
from nmt.data import check_new_corrections
from nmt.decoding import load_translator
from nmt.errors import UserError
from nmt.evaluation.calibration import calibration_for
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    try:
        from nmt.serving import Model, read_keys, serve
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; run pip install 'nmt-recurrent[serve]'") from None
    run = RunDirectory.open(app.required(cfg, "run"))
    config, _ = with_search(ServeConfig, cfg, run.config().search)
    keys = read_keys(config.keys_file)
    if config.corrections is not None:
        check_new_corrections(user_path(config.corrections))
    runtime = setup_runtime(config.machine)
    models: list[Model] = []
    for number, path in enumerate([config.run, *config.others]):
        run = RunDirectory.open(path)
        _, search = with_search(ServeConfig, cfg, run.config().search)
        members = [] if number else [RunDirectory.open(member) for member in config.ensemble]
        translator, step = load_translator(run, config.checkpoint, search, runtime.device, members)
        runtime.lower_precision(translator)
        if translator.src.factor_sizes:
            raise UserError(
                f"{run.path} needs factors of each source word, which clients do not send; serve another run"
            )
        calibration, unused = (None, "") if members else calibration_for(run, step)
        if unused:
            log.warning(unused)
        data = run.config().data
        directions = [(data.src_lang, data.tgt_lang), *((each.src_lang, each.tgt_lang) for each in data.directions)]
        for src, tgt in dict.fromkeys(directions):
            own = copy.copy(translator)
            own.set_languages(src, tgt if data.directions else None)
            models.append(Model.of(own, f"{number}: {run.path.name}, step {step}", src, tgt, calibration))
    serve(models, config, keys)


def main() -> None:
    app.run("serve", command)


if __name__ == "__main__":
    main()
