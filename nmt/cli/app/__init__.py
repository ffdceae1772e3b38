"""What every command shares: its configuration, and one line and exit code 2 for a user's mistake."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.cli.app.hydra_errors import explain
from nmt.cli.app.hydra_guard import install, options_first, refuse_pickles
from nmt.cli.app.streams import OUTPUT, drop_output, flush_output, prepare_streams
from nmt.config import (
    BenchmarkConfig,
    CompareConfig,
    Config,
    DiagnoseConfig,
    DistilConfig,
    DoctorConfig,
    EvaluateConfig,
    PrepareConfig,
    QuestionsConfig,
    ReportConfig,
    ScoreConfig,
    SweepCommandConfig,
    TranslateConfig,
    conf_dir,
    path_of,
)
from nmt.console import escape_control_characters
from nmt.errors import Interrupted, UserError

SCHEMAS = {
    "train": Config,
    "prepare": PrepareConfig,
    "evaluate": EvaluateConfig,
    "translate": TranslateConfig,
    "compare": CompareConfig,
    "distil": DistilConfig,
    "doctor": DoctorConfig,
    "score": ScoreConfig,
    "report": ReportConfig,
    "benchmark": BenchmarkConfig,
    "sweep": SweepCommandConfig,
    "diagnose": DiagnoseConfig,
    "questions": QuestionsConfig,
}

log = logging.getLogger("nmt")


def run(name: str, command: Callable[[DictConfig], None], alone: bool = True) -> None:
    """Compose `conf/NAME.yaml` with the command line and call the command; exit with 2 for a user's mistake.

    Args:
        name: name of the command.
        command: receives the composed configuration.
        alone: whether no other process takes part; one failing job of a multirun does not end the others then.
    """
    prepare_streams()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise hydra prints its errors itself, on several lines, and exits with 1
    os.environ.setdefault("MKL_DYNAMIC", "FALSE")  # the number of threads is part of what makes bits equal
    for schema, node in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{schema}_schema", node=node)
    log_to_stderr()
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, is no reason to stop
    jobs = Jobs(SCHEMAS[name])

    def job(cfg: DictConfig) -> None:
        with report_errors(name):  # inside too: hydra would print the overrides first
            if alone and multirun_name() is not None:
                jobs.run(command, cfg)
            else:
                command(cfg)

    install(SCHEMAS[name])
    with report_errors(name):
        sys.argv[1:] = options_first(sys.argv[1:])
        refuse_pickles(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=conf_dir(), config_name=name)(job)()
        if jobs.failures:
            fail(jobs.summary(), jobs.exit_code)
        sys.stdout.flush()


class Jobs:
    """The jobs of a multirun in this process: one that fails is told, and the others are run."""

    def __init__(self, schema: type) -> None:
        self.schema = schema
        self.count = 0
        self.failures: list[str] = []
        self.exit_code = 2

    def run(self, command: Callable[[DictConfig], None], cfg: DictConfig) -> None:
        self.count += 1
        try:
            command(cfg)
        except Exception as error:
            if isinstance(error, Interrupted) or getattr(error, "filename", None) == OUTPUT:
                raise
            told = told_of(error, self.schema)
            if told is None:
                log.exception("an error of the program, not of the user")
                self.exit_code = 1
            message = " ".join((told or f"{type(error).__name__}: {error}").split())
            own = HydraConfig.get()
            self.failures.append(f"job {own.job.num} ({' '.join(own.overrides.task)}): {message}")
            log.error("%s", f"failed: {self.failures[-1]}; the other jobs are run")

    def summary(self) -> str:
        return f"{len(self.failures)} of {self.count} jobs failed: {'; '.join(self.failures)}"


@contextmanager
def report_errors(name: str) -> Iterator[None]:
    """Turn what a user did or caused into one line on standard error and an exit code."""
    try:
        yield
    except Interrupted as error:
        fail(f"stopped by {error}; {error.remedy}", error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except BrokenPipeError:  # the reader of standard output has left; python must not complain at its exit
        drop_output()
        raise SystemExit(1) from None
    except Exception as error:
        told = told_of(error, SCHEMAS[name])
        if told is None:
            raise
        if getattr(error, "filename", None) == OUTPUT:
            drop_output()
        fail(told, 2)


def told_of(error: Exception, schema: type) -> str | None:
    """Return what to say to a user whose mistake an error is; None if it is not a user's."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return explain(error, schema)
    if isinstance(error, OSError) and error.filename:
        remedy = "give it a place that can be written" if error.filename == OUTPUT else "check the path and its rights"
        return f"{error.filename}: {error.strerror}; {remedy}"
    if isinstance(error, ValueError) and "Config group override" in str(error):  # hydra's way to say that one is null
        return "a group such as model= or data= was set to null; choose one of its files, see --help"
    return None


@contextmanager
def stopping(remedy: str) -> Iterator[None]:
    """Makes of SIGINT and SIGTERM, inside and outside of a training, an exit that says how to go on."""
    received = [signal.SIGINT]

    def receive(number: int, frame: FrameType | None) -> None:
        received[0] = signal.Signals(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(received[0], remedy) from None
    except Interrupted as error:
        error.remedy = remedy
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def fail(message: str, code: int) -> None:
    flush_output()
    with suppress(OSError):  # nobody reads standard error
        print(f"nmt: {escape_control_characters(' '.join(message.split()))}", file=sys.stderr)
    raise SystemExit(code)


class HarmlessFormatter(logging.Formatter):
    """Names of files, settings and lines of a corpus come into the log, and whoever wrote them does not command it."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_control_characters(super().format(record))


def log_to_stderr() -> None:
    """Standard output is for results alone."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(HarmlessFormatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Keeps the log in a file too, while entered."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(HarmlessFormatter("%(asctime)s  %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def run_dir() -> Path:
    """Hydra's run directory of this job: `hydra.run.dir`, or a job's own folder in a multirun."""
    return Path(HydraConfig.get().runtime.output_dir)


def other_runs() -> list[Path]:
    """`run.json` of the runs beside this one, if hydra made up its directory by the time; else none."""
    hydra_cfg = HydraConfig.get()
    multirun = hydra_cfg.mode == RunMode.MULTIRUN
    chosen = "hydra.sweep." if multirun else "hydra.run."
    if any(given.lstrip("+").startswith(chosen) for given in hydra_cfg.overrides.hydra):
        return []
    return list(run_dir().parent.parent.glob("*/*/run.json") if multirun else run_dir().parent.glob("*/run.json"))


def remove_unused_run_dir() -> None:
    """Removes the directory that hydra made for this job, and the one above it, as far as they are empty."""
    with suppress(OSError):
        run_dir().rmdir()
        run_dir().parent.rmdir()


def multirun_name() -> str | None:
    """The folder's name of the multirun that this is a job of, if it is one."""
    hydra_cfg = HydraConfig.get()
    return Path(hydra_cfg.sweep.dir).name if hydra_cfg.mode == RunMode.MULTIRUN else None


def choices() -> dict[str, str]:
    """The chosen file of each group."""
    return {group: name for group, name in HydraConfig.get().runtime.choices.items() if name is not None}


def overrides() -> list[str]:
    """What the user set on the command line, group choices included."""
    return list(HydraConfig.get().overrides.task)


def value_overrides() -> dict[str, Any]:
    """Return the values that the user set on the command line by their keys, without the choices of a group's file."""
    chosen = set(chosen_files())
    parsed = OverridesParser.create().parse_overrides([given for given in overrides() if given not in chosen])
    return {each.key_or_group: each.value() for each in parsed}


def chosen_files() -> list[str]:
    """The overrides that choose a group's file."""
    groups = set(HydraConfig.get().runtime.choices)
    return [given for given in overrides() if given.lstrip("+~").partition("=")[0] in groups]


def required(cfg: DictConfig, key: str) -> str:
    """The value of a key that has no default.

    Raises:
        UserError: it was not given.
    """
    if OmegaConf.is_missing(cfg, key):
        raise UserError(f"{key} is missing; give it as {key}=...")
    return str(cfg[key])


def new_path(given: str, key: str = "output") -> Path:
    """Where something is to be written.

    Raises:
        UserError: something is there.
    """
    path = path_of(given)
    if path.exists():
        raise UserError(f"{key}={given} exists already; choose another name or delete it")
    return path


def as_dict(config: object) -> dict[str, object]:
    """A configuration as nested dictionaries, for a tracker."""
    container = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
