"""nmt-doctor: a look at a corpus before anyone trains on it; exit code 1 if something is bad."""

import logging

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import DoctorConfig, from_hydra
from nmt.errors import UserError
from nmt.lab.doctor import Verdict, examine, show_findings, write_findings
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    asked = from_hydra(DoctorConfig, cfg)
    folder = None if asked.output is None else app.new_path(asked.output)
    findings = examine(asked, setup_runtime(asked.machine).device)
    show_findings(asked.data.name, findings)
    if folder is not None:
        try:
            folder.mkdir(parents=True)
            write_findings(asked.data.name, findings, folder)
        except OSError as error:
            raise UserError(f"output={asked.output}: {error.strerror}; choose a folder to write to") from None
        log.info("%s has doctor.md and doctor.json", folder)
    if any(finding.verdict == Verdict.bad for finding in findings):
        raise SystemExit(1)


def main() -> None:
    app.run("doctor", command)


if __name__ == "__main__":
    main()
