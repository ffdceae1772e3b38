"""What every command shares: its configuration, and one line and exit code 2 for a user's mistake."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import hydra
import hydra._internal.hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.cli.hydra_door import CheckedLoader, refuse_pickles
from nmt.cli.misspelt import explain
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
from nmt.console import harmless
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


def run(name: str, command: Callable[[DictConfig], None]) -> None:
    """Composes `conf/NAME.yaml` with the command line and calls the command; exits with 2 for a user's mistake."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else hydra prints its errors itself, on several lines, and exits with 1
    os.environ.setdefault("MKL_DYNAMIC", "FALSE")  # the number of threads is part of what makes bits equal
    for schema, node in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{schema}_schema", node=node)
    log_to_stderr()
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, is no reason to stop

    def job(cfg: DictConfig) -> None:
        with mistakes_in_one_line(name):  # inside too: hydra would print the overrides first
            command(cfg)

    hydra._internal.hydra.ConfigLoaderImpl = CheckedLoader
    with mistakes_in_one_line(name):
        refuse_pickles(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=conf_dir(), config_name=name)(job)()


@contextmanager
def mistakes_in_one_line(name: str) -> Iterator[None]:
    """Turns what a user did or caused into one line on standard error and an exit code."""
    try:
        yield
    except UserError as error:
        fail(str(error), 2)
    except Interrupted as error:
        fail(f"stopped by {error}; {error.remedy}", error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except BrokenPipeError:  # whoever read standard output has left; python must not complain at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (HydraException, OmegaConfBaseException) as error:
        fail(explain(error, SCHEMAS[name]), 2)
    except OSError as error:
        if not error.filename:
            raise
        fail(f"{error.filename}: {error.strerror}; check the path and its rights", 2)
    except ValueError as error:
        if "Config group override" not in str(error):  # hydra's way to say that a group was set to null
            raise
        fail("a group such as model= or data= was set to null; choose one of its files, see --help", 2)


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
    sys.stdout.flush()
    print(f"nmt: {harmless(' '.join(message.split()))}", file=sys.stderr)
    raise SystemExit(code)


class HarmlessFormatter(logging.Formatter):
    """Names of files, settings and lines of a corpus come into the log, and whoever wrote them does not command it."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


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


def value_overrides() -> list[str]:
    """The overrides that set a value, not those that choose a group's file."""
    chosen = set(chosen_files())
    return [given.lstrip("+") for given in overrides() if given not in chosen]


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
