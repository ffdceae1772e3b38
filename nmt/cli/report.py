"""nmt-report: a run as a page to read, and its model card."""

import logging

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import ReportConfig, from_hydra, path_of
from nmt.errors import UserError
from nmt.lab.report.facts import facts_of
from nmt.lab.report.page import write_report
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    asked = from_hydra(ReportConfig, cfg)
    run = RunDirectory.open(asked.run)
    folder = run.path if asked.output is None else path_of(asked.output)
    for name in ("report.html", "model_card.md"):
        if asked.output is not None and (folder / name).exists():
            raise UserError(f"output={asked.output}: {name} is there already; choose another folder or delete it")
    machine = setup_runtime(asked.machine)
    facts = facts_of(run, asked.split, machine.device, asked.examples, asked.random_examples, asked.seed)
    for sentence in facts.missing:
        log.info("missing: %s", sentence)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in write_report(facts, folder):
            print(path)
    except OSError as error:
        raise UserError(f"{folder} cannot be written to: {error.strerror}; give another folder by output=") from None


def main() -> None:
    app.run("report", command)


if __name__ == "__main__":
    main()
