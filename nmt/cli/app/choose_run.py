"""Choice of the run that a training begins or continues."""

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import Config, from_hydra
from nmt.pipeline import reopen_run, resolve_run, with_multirun_group
from nmt.run import RunDirectory
from nmt.training import restart_count


def choose_run(cfg: DictConfig) -> tuple[Config, RunDirectory]:
    """Return the configuration and the directory of the run that the command line names, continues or begins.

    Raises:
        UserError: the directory cannot be used; see `nmt.pipeline.resolve_run` and `reopen_run`.
    """
    resume = cfg.train.resume or ("auto" if restart_count() else None)
    if resume not in (None, "auto"):
        return reopen_run(resume, app.value_overrides(), app.chosen_files())
    config = with_multirun_group(from_hydra(Config, cfg), app.multirun_name())
    siblings = app.other_runs() if resume else []
    return resolve_run(config, app.run_dir(), bool(resume), siblings, app.value_overrides())
