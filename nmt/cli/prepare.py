"""nmt-prepare: clean and tokenise a corpus, and report the dropped pairs."""

import sys

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import PrepareConfig, from_hydra
from nmt.console import escape_control_characters
from nmt.data import prepare


def command(cfg: DictConfig) -> None:
    prepared = prepare(from_hydra(PrepareConfig, cfg).data)
    print(escape_control_characters(prepared.report), end="", file=sys.stderr)
    print(prepared.folder)


def main() -> None:
    app.run("prepare", command)


if __name__ == "__main__":
    main()
