"""nmt-export: write a run as a folder of ONNX graphs, with which onnxruntime translates without torch."""

import logging

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import ExportConfig, from_hydra
from nmt.console import progress_bar
from nmt.errors import UserError
from nmt.run import RunDirectory

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    for key in ("run", "output"):
        app.required(cfg, key)
    config = from_hydra(ExportConfig, cfg)
    output = app.new_path(config.output)
    try:
        from nmt.export.write import export_run
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; run pip install 'nmt-recurrent[export]'") from None
    run = RunDirectory.open(config.run)
    with progress_bar() as bar:
        tasks = {}

        def advance(task: str, lines: int) -> None:
            if task not in tasks:
                tasks[task] = bar.add_task(task, total=None)
            bar.advance(tasks[task], lines)

        settings = export_run(run, config.checkpoint, config.precision, output, advance)
    log.info("exported step %d in %s; translate with nmt-translate run=%s", settings.step, settings.precision, output)
    print(output)


def main() -> None:
    app.run("export", command)


if __name__ == "__main__":
    main()
