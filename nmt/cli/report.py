"""nmt-report: write an HTML report, a model card and the appendix of a paper about a run."""

import logging

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import ReportConfig, from_hydra, user_path
from nmt.errors import UserError
from nmt.lab.report.appendix import write_appendix
from nmt.lab.report.facts import collect_facts
from nmt.lab.report.page import write_report
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(ReportConfig, cfg)
    run = RunDirectory.open(config.run)
    folder = run.path if config.output is None else user_path(config.output)
    for name in ("report.html", "model_card.md", "appendix.md", "appendix.tex"):
        if config.output is not None and (folder / name).exists():
            raise UserError(
                f"output={config.output}: the folder has a {name} already; choose another folder or delete the file"
            )
    runtime = setup_runtime(config.machine)
    facts = collect_facts(run, config.split, runtime.device, config.examples, config.random_examples, config.seed)
    for missing in facts.missing:
        log.info("missing: %s", missing)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in [*write_report(facts, folder), *write_appendix(facts, run, folder)]:
            print(path)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error.strerror}; choose another folder with output=FOLDER"
        ) from None


def main() -> None:
    app.run("report", command)


if __name__ == "__main__":
    main()
