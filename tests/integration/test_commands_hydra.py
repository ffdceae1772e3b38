"""Integration tests of configurations that would make Hydra run code: refused, without any effect."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_run import payload
from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import Config, from_hydra
from nmt.errors import UserError

pytestmark = pytest.mark.commands
SECRET = "a-password-of-somebody"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    root = logging.getLogger()
    handlers, raising = root.handlers[:], logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raising


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the train command with its work replaced, and return its last line."""

    def work(cfg: DictConfig) -> None:
        from_hydra(Config, cfg)
        raise UserError("accepted")

    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    with pytest.raises(SystemExit) as left:
        app.run("train", work)
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.strip().split("\n")
    return line


CALL = "{_target_: os.mkdir, _args_: [MADE]}"
LOGGER = "{version: 1, root: {level: INFO, handlers: [x]}, handlers: {x: {'()': os.mkdir, path: MADE}}}"
SETTINGS = [
    f"hydra.callbacks.x={CALL}",
    f"hydra.job_logging={LOGGER}",
    f"hydra.hydra_logging={LOGGER}",
    "hydra.launcher._target_=os.mkdir",
    f"hydra.sweeper.params={CALL}",
    f"hydra.sweeper.x={CALL}",
    f"hydra.launcher.x={CALL}",
    "hydra.job.env_set.PATH=MADE",
    "hydra.job.env_copy=[SECRET]",
    f"data.x={CALL}",
    "data._target_=os.mkdir",
    "_target_=os.mkdir",
    "hydra.job_logging.handlers.x={class: antigravity.Handler}",
    "hydra.hydra_logging.formatters.x={class: antigravity.Formatter}",
    "hydra.job_logging.loggers.x.level=10",
    "hydra.launcher._target_=hydra_plugins.theirs.Launcher",
    "hydra.sweeper._target_=hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra.launcher.x=${oc.create:{_target_: os.mkdir, _args_: [MADE]}}",
    "hydra.sweeper.x=${oc.decode:'{_target_: os.mkdir, _args_: [MADE]}'}",
    "hydra.searchpath=['pkg://antigravity']",
    "hydra.verbose=[antigravity]",
    "hydra.launcher=null",
    "hydra.job.env_copy=[NOT_THERE]",
    "hydra.output_subdir=MADE",
]


def test_what_is_plain_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, capsys, "seed=3", f"hydra.run.dir={tmp_path / 'run'}") == "nmt: accepted"


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_command_line_calls_nothing(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = "++" + setting.replace("MADE", str(tmp_path / "made")).replace(": ", ":")
    line = command(monkeypatch, capsys, given, *(["--multirun"] * ("launcher" in setting or "sweeper" in setting)))
    assert line.startswith("nmt: ")
    assert "accepted" not in line
    assert not (tmp_path / "made").exists()
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("setting", SETTINGS[::3])
def test_a_file_in_another_folder_calls_nothing(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    key, _, value = setting.replace("MADE", str(tmp_path / "made")).partition("=")
    (tmp_path / "conf" / "experiment" / "theirs.yaml").write_text(
        "# @package _global_\n"
        + "".join(f"{'  ' * n}{name}:\n" for n, name in enumerate(key.split(".")))[:-1]
        + f" {value}\n"
    )
    line = command(monkeypatch, capsys, f"--config-dir={tmp_path / 'conf'}", "experiment=theirs")
    assert "accepted" not in line
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("group", "content"),
    [
        ("hydra/callbacks", CALL),
        ("hydra/job_logging", LOGGER),
        ("hydra/hydra_logging", "{handlers: {x: {class: antigravity.Handler}}}"),
        ("hydra/launcher", "{_target_: os.mkdir}"),
        ("hydra/sweeper", "{_target_: antigravity.fly}"),
    ],
)
def test_a_file_of_hydras_groups_calls_nothing(
    group: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / group).mkdir(parents=True)
    written = content.replace("MADE", str(tmp_path / "made"))
    (tmp_path / "conf" / group / "theirs.yaml").write_text(
        f"x: {written}\n" if group.endswith("callbacks") else written
    )
    chosen = f"{group}=theirs"
    line = command(monkeypatch, capsys, f"--config-dir={tmp_path / 'conf'}", chosen, "--multirun")
    assert group.replace("/", ".") in line
    assert not (tmp_path / "made").exists()
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("key", "harm"),
    [
        ("job_logging", "{version: 1, handlers: {x: {'()': os.mkdir, path: made}}, root: {handlers: [x]}}"),
        ("hydra_logging", "{version: 1, handlers: {x: {'()': os.mkdir, path: made}}, root: {handlers: [x]}}"),
        ("callbacks", "{x: {_target_: os.mkdir, _args_: [made]}}"),
        ("job.env_set", "{MADE_BY_A_FILE: theirs}"),
        ("job.env_copy", "[SECRET]"),
        ("sweeper.params", "{seed: 3}"),
    ],
)
def test_a_reference_that_is_harmless_first_is_refused(
    key: str, harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reference gives a harmless value during the check, and a harmful one when the run directory is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MADE_BY_A_FILE", raising=False)
    run, made = tmp_path / "run", tmp_path / "made"
    (tmp_path / "conf" / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "conf" / "hydra" / "launcher" / "theirs.yaml").write_text(
        "_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher\n"
        f"m: {{{run}: harm}}\ns:\n  none: {{}}\n  harm: {harm.replace('made', str(made))}\n"
    )
    reference = "${hydra.launcher.s.${oc.select:hydra.launcher.m.${oc.select:hydra.runtime.output_dir,x},none}}"
    reference = f"'{reference}'"
    for name in reversed(key.split(".")):
        reference = f"{{{name}: {reference}}}"
    (tmp_path / "conf" / "theirs.yaml").write_text(
        "defaults: [train, override hydra/launcher: theirs, _self_]\n"
        f"hydra:\n  run: {{dir: {run}}}\n  {reference[1:-1]}\n"
    )
    line = command(monkeypatch, capsys, f"--config-dir={tmp_path / 'conf'}", "--config-name=theirs")
    # The last two: Hydra resolves the reference itself while it composes, and the harmless value has the wrong type.
    assert any(reason in line for reason in ("holds a reference", "Interpolation key", "dict is not a ListConfig"))
    assert not made.exists()
    assert "MADE_BY_A_FILE" not in os.environ


@pytest.mark.parametrize(
    "way",
    [
        r"sweeper: {params: {hydra.job: '$\{hydra.runtime.choices.theirs\}'}}",
        r"overrides: {hydra: ['hydra.job=$\{hydra.runtime.choices.theirs\}']}",
    ],
)
def test_a_reference_above_what_has_to_be_empty_is_refused(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The `$` is escaped, so that the text becomes a reference only after Hydra has parsed it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MADE_BY_A_FILE", raising=False)
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "theirs.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  runtime: {choices: {theirs: {name: x, chdir: false, "
        'override_dirname: "", id: "1", num: 0, config_name: train, env_set: {MADE_BY_A_FILE: theirs}, env_copy: [], '
        f'config: {{override_dirname: {{kv_sep: "=", item_sep: ",", exclude_keys: []}}}}}}}}}}\n  {way}\n'
    )
    line = command(monkeypatch, capsys, f"--config-dir={tmp_path / 'conf'}", "experiment=theirs")
    assert "holds a reference" in line or "hydra.mode changed" in line  # the latter: Hydra 1.4
    assert "MADE_BY_A_FILE" not in os.environ


PACKAGE = "made_when_imported"


@pytest.mark.parametrize(
    "arguments",
    [
        (f"--config-path=pkg://{PACKAGE}",),
        (f"-cp=pkg://{PACKAGE}", "--info=searchpath"),
        ("--config-dir=conf", "--config-name=theirs"),
        ("--config-path=CONF", "--config-name=theirs"),
        (f"hydra.searchpath=[pkg://{PACKAGE}]",),
        (f"++hydra.searchpath=[pkg://{PACKAGE}]", "--cfg=hydra"),
        ("--multirun", f"hydra.searchpath=[pkg://{PACKAGE}]", "seed=1,2"),
    ],
    ids=range(7),
)
def test_no_package_is_searched(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hydra would import a package to search it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')\n")
    (tmp_path / "conf").mkdir()
    defaults = "defaults: [train_schema, _self_]"
    (tmp_path / "conf" / "theirs.yaml").write_text(f"{defaults}\nhydra: {{searchpath: ['pkg://{PACKAGE}']}}\n")
    given = [word.replace("CONF", str(tmp_path / "conf")) for word in arguments]
    line = command(monkeypatch, capsys, *given)
    assert "folder" in line
    assert PACKAGE not in sys.modules
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("choice", ["../../theirs", "/theirs", "x/../../theirs", "[../../theirs]", "inside"])
def test_no_choice_leads_out_of_its_folder(
    choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sweeps derive the name of their folder from the choices."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "experiment" / "x").mkdir(parents=True)
    (tmp_path / "a" / "experiment" / "inside.yaml").write_text("# @package _global_\ndefaults: [../../theirs]\n")
    (tmp_path / "theirs.yaml").write_text("# @package _global_\nseed: 3\n")
    line = command(monkeypatch, capsys, f"--config-dir={tmp_path / 'a'}", f"experiment={choice}")
    assert "leads out" in line or "theirs" in line
    assert "accepted" not in line


@pytest.mark.parametrize("option", ["--experimental-rerun=", "--exp="])
def test_hydra_loads_no_pickle(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.pickle").write_bytes(payload(tmp_path / "made"))
    assert "pickle" in command(monkeypatch, capsys, f"{option}{tmp_path / 'config.pickle'}")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [MADE]", "!!python/name:os.system", "!made x"])
def test_a_tag_makes_nothing(
    tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    value = tag.replace("MADE", str(tmp_path / "made"))
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "theirs.yaml").write_text(f"# @package _global_\nseed: {value}\n")
    line = command(monkeypatch, capsys, f"--config-dir={tmp_path / 'conf'}", "experiment=theirs")
    assert line.startswith("nmt: ")
    assert "accepted" not in line
    assert not (tmp_path / "made").exists()
