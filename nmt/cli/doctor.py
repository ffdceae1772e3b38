"""nmt-doctor: check a corpus before training on it; exit code 1 if a check found a serious fault."""

import logging

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import DoctorConfig, from_hydra
from nmt.errors import UserError
from nmt.lab.comparison.report import show_tables
from nmt.lab.doctor.examine import examine
from nmt.lab.doctor.findings import Verdict
from nmt.lab.doctor.report import findings_grid, write_findings
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(DoctorConfig, cfg)
    folder = None if config.output is None else app.new_path(config.output)
    findings = examine(config, setup_runtime(config.machine).device)
    show_tables([findings_grid(config.data.name, findings)])
    if folder is not None:
        try:
            folder.mkdir(parents=True)
            write_findings(config.data.name, findings, folder)
        except OSError as error:
            raise UserError(f"output={config.output}: {error.strerror}; choose a folder with write access") from None
        log.info("wrote doctor.md and doctor.json to %s", folder)
    if any(finding.verdict == Verdict.bad for finding in findings):
        raise SystemExit(1)


def main() -> None:
    app.run("doctor", command)


if __name__ == "__main__":
    main()
