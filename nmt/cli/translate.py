"""nmt-translate: translate interactively on a terminal, as a filter in a pipe, or from file to file."""

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.export_translation import translate_with_export
from nmt.config import user_path
from nmt.export import is_export


def command(cfg: DictConfig) -> None:
    if is_export(user_path(app.required(cfg, "run"))):
        translate_with_export(cfg)
        return
    from nmt.cli.app.run_translation import translate_with_run  # it needs torch

    translate_with_run(cfg)


def main() -> None:
    app.run("translate", command)


if __name__ == "__main__":
    main()
