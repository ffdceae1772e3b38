"""Entry of every command: composes its configuration, and reports a user's mistake in one line with exit code 2."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
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
    CELLS,
    AdaptConfig,
    BackTranslationConfig,
    BenchmarkConfig,
    CompareConfig,
    Config,
    DeviceCheckConfig,
    DiagnoseConfig,
    DistilConfig,
    DoctorConfig,
    EvaluateConfig,
    ExportConfig,
    FrontierConfig,
    HumanEvalConfig,
    PrepareConfig,
    QuestionsConfig,
    ReportConfig,
    ScoreConfig,
    ServeConfig,
    ShortlistConfig,
    SweepCommandConfig,
    TableConfig,
    TranslateConfig,
    conf_dir,
    encoder_of_cell,
    side_paths,
    user_path,
)
from nmt.console import escape_control_characters
from nmt.errors import Interrupted, UserError

SCHEMAS = {
    "train": Config,
    "prepare": PrepareConfig,
    "evaluate": EvaluateConfig,
    "translate": TranslateConfig,
    "serve": ServeConfig,
    "export": ExportConfig,
    "adapt": AdaptConfig,
    "compare": CompareConfig,
    "table": TableConfig,
    "distil": DistilConfig,
    "back_translate": BackTranslationConfig,
    "doctor": DoctorConfig,
    "score": ScoreConfig,
    "human_eval": HumanEvalConfig,
    "report": ReportConfig,
    "shortlist": ShortlistConfig,
    "benchmark": BenchmarkConfig,
    "frontier": FrontierConfig,
    "sweep": SweepCommandConfig,
    "diagnose": DiagnoseConfig,
    "device_check": DeviceCheckConfig,
    "questions": QuestionsConfig,
}

log = logging.getLogger("nmt")


def run(name: str, command: Callable[[DictConfig], None], alone: bool = True) -> None:
    """Compose `conf/NAME.yaml` with the command line and call the command; exit with 2 for a user's mistake.

    Args:
        name: name of the command.
        command: receives the composed configuration.
        alone: no other process takes part. A failed job of a multirun does not end the other jobs then.
    """
    prepare_streams()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints its errors on several lines and exits with 1
    os.environ.setdefault("MKL_DYNAMIC", "FALSE")  # bitwise reproducibility needs a fixed number of threads
    register_schemas()
    log_to_stderr()
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, must not end the command
    jobs = MultirunJobs(SCHEMAS[name])

    def run_job(cfg: DictConfig) -> None:
        with report_errors(name):  # inside Hydra's call too: Hydra prints the overrides when an error reaches it
            if alone and multirun_name() is not None:
                jobs.run(command, cfg)
            else:
                command(cfg)

    install(SCHEMAS[name])
    with report_errors(name):
        sys.argv[1:] = options_first(sys.argv[1:])
        refuse_pickles(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=conf_dir(), config_name=name)(run_job)()
        if jobs.failures:
            fail(jobs.summary(), jobs.exit_code)
        sys.stdout.flush()


def register_schemas() -> None:
    """Put the schema of each command, and each encoder and decoder as a file of its group, into Hydra's store."""
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        node = OmegaConf.structured(schema)
        for path in side_paths(schema):
            OmegaConf.update(node, path, "???")  # the group decides the type
        store.store(name=f"{name}_schema", node=node)
    for path, kinds in side_paths(Config).items():
        for kind, side in kinds.items():
            store.store(group=path.replace(".", "/"), name=kind, node=side)
    for cell in CELLS.names:
        store.store(group="model/encoder", name=cell, node=encoder_of_cell(cell))


class MultirunJobs:
    """The jobs of a multirun in this process. A failed job is reported, and the other jobs still run."""

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
            message = user_message(error, self.schema)
            if message is None:
                log.exception("this is a bug in the program, not a mistake of the user")
                self.exit_code = 1
            message = " ".join((message or f"{type(error).__name__}: {error}").split())
            job = HydraConfig.get()
            self.failures.append(f"job {job.job.num} ({' '.join(job.overrides.task)}): {message}")
            log.error("%s", f"failed: {self.failures[-1]}; the other jobs continue")

    def summary(self) -> str:
        return f"{len(self.failures)} of {self.count} jobs failed: {'; '.join(self.failures)}"


@contextmanager
def report_errors(name: str) -> Iterator[None]:
    """Turn an error that the user caused into one line on standard error and an exit code."""
    try:
        yield
    except Interrupted as error:
        fail(f"stopped by {error}; {error.remedy}", error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except BrokenPipeError:  # the reader of standard output has exited; Python must not report that at its exit
        drop_output()
        raise SystemExit(1) from None
    except Exception as error:
        message = user_message(error, SCHEMAS[name])
        if message is None:
            raise
        if getattr(error, "filename", None) == OUTPUT:
            drop_output()
        fail(message, 2)


def user_message(error: Exception, schema: type) -> str | None:
    """Return the message for an error that the user caused; None for a bug in the program."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return explain(error, schema)
    if isinstance(error, OSError) and error.filename:
        if error.filename == OUTPUT:
            remedy = "redirect it to a file that can be written"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "free space on its disk, or choose a path on another one"
        else:
            remedy = "check the path and its permissions"
        return f"{error.filename}: {error.strerror}; {remedy}"
    if isinstance(error, ValueError) and "Config group override" in str(error):  # Hydra's error for a null group
        return "a group such as model= or data= was set to null; choose one of its files, see --help"
    return None


@contextmanager
def interruptible(remedy: str) -> Iterator[None]:
    """Raise `Interrupted` with a remedy on SIGINT and SIGTERM, inside and outside of a training."""
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
    """Print one line on standard error and exit."""
    flush_output()
    with suppress(OSError):  # standard error is closed
        print(f"nmt: {escape_control_characters(' '.join(message.split()))}", file=sys.stderr)
    raise SystemExit(code)


class EscapingFormatter(logging.Formatter):
    """Formatter that escapes control characters: file names and corpus lines in the log cannot control a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_control_characters(super().format(record))


def log_to_stderr() -> None:
    """Send the log to standard error; standard output is for results alone."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapingFormatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write the log to a file too, while entered."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(EscapingFormatter("%(asctime)s  %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def run_dir() -> Path:
    """Return the run directory of this job: `hydra.run.dir`, or the job's folder in a multirun."""
    return Path(HydraConfig.get().runtime.output_dir)


def other_runs() -> list[Path]:
    """Return `run.json` of each run beside this one; empty if the user chose the run directory."""
    hydra_cfg = HydraConfig.get()
    multirun = hydra_cfg.mode == RunMode.MULTIRUN
    chosen = "hydra.sweep." if multirun else "hydra.run."
    if any(override.lstrip("+").startswith(chosen) for override in hydra_cfg.overrides.hydra):
        return []
    return list(run_dir().parent.parent.glob("*/*/run.json") if multirun else run_dir().parent.glob("*/run.json"))


def remove_unused_run_dir() -> None:
    """Remove the directory that Hydra created for this job, and its parent, if they are empty."""
    with suppress(OSError):
        run_dir().rmdir()
        run_dir().parent.rmdir()


def multirun_name() -> str | None:
    """Return the name of the multirun's folder; None outside of a multirun."""
    hydra_cfg = HydraConfig.get()
    return Path(hydra_cfg.sweep.dir).name if hydra_cfg.mode == RunMode.MULTIRUN else None


def choices() -> dict[str, str]:
    """Return the chosen file of each group."""
    return {group: name for group, name in HydraConfig.get().runtime.choices.items() if name is not None}


def overrides() -> list[str]:
    """Return the overrides of the command line, including the choices of files."""
    return list(HydraConfig.get().overrides.task)


def value_overrides() -> dict[str, Any]:
    """Return the values set on the command line by key, without the choices of files."""
    files = set(chosen_files())
    parsed = OverridesParser.create().parse_overrides([override for override in overrides() if override not in files])
    return {override.key_or_group: override.value() for override in parsed}


def chosen_files() -> list[str]:
    """Return the overrides that choose the file of a group."""
    groups = set(HydraConfig.get().runtime.choices)
    return [override for override in overrides() if override.lstrip("+~").partition("=")[0] in groups]


def required(cfg: DictConfig, key: str) -> str:
    """Return the value of a key that has no default.

    Raises:
        UserError: the command line does not set it.
    """
    if OmegaConf.is_missing(cfg, key):
        raise UserError(f"{key} is missing; give it as {key}=...")
    return str(cfg[key])


def first_word(cfg: DictConfig, key: str, allowed: Sequence[str]) -> None:
    """Check the key that the first word of a command line sets, before other keys.

    Raises:
        UserError: the key is missing or has another value; the message lists the allowed ones.
    """
    words = ", ".join(allowed)
    if OmegaConf.is_missing(cfg, key):
        raise UserError(f"the {key} is missing; give one as the first word: {words}")
    if cfg[key] not in allowed:
        raise UserError(f"{key} is {cfg[key]!r:.80}; allowed: {words}")


def new_path(given: str, key: str = "output") -> Path:
    """Return the path of the file or folder to create that a key names.

    Raises:
        UserError: the path exists already.
    """
    path = user_path(given)
    if path.exists():
        raise UserError(f"{key}={given} exists already; choose another name or delete it")
    return path
