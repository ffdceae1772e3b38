"""Metrics on disk and in wandb; no failure of wandb ends a training."""

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt.config import TrackingBackend, TrackingConfig, TrackingMode, from_hydra
from nmt.errors import UserError
from nmt.training import tracking
from nmt.training.tracking import JsonLines, Tracker

DISABLED = TrackingConfig(mode=TrackingMode.disabled)
OFFLINE = TrackingConfig(mode=TrackingMode.offline, project="nmt-tests", group="unit")
NUMBERS = {"train/loss": 2.5, "train/perplexity": 12.0}


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def written(path: Path) -> JsonLines:
    lines = JsonLines(path)
    for step in (2, 4, 4, 6):
        lines.write(step, NUMBERS)
    return lines


def test_a_line_is_the_step_and_its_numbers(tmp_path: Path) -> None:
    JsonLines(tmp_path / "metrics.jsonl").write(3, NUMBERS)
    text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert json.loads(text) == {"step": 3, "train/loss": 2.5, "train/perplexity": 12.0}


@pytest.mark.parametrize(("step", "kept"), [(0, []), (3, [2]), (4, [2, 4, 4]), (6, [2, 4, 4, 6]), (9, [2, 4, 4, 6])])
def test_rewinding_drops_the_lines_of_later_steps(tmp_path: Path, step: int, kept: list[int]) -> None:
    lines = written(tmp_path / "metrics.jsonl")
    before = lines.path.read_text(encoding="utf-8")
    assert lines.rewind(step) == max(step, 6)
    assert steps(lines.path) == kept
    assert before.startswith(lines.path.read_text(encoding="utf-8"))
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize("size", range(1, 30))
def test_rewinding_drops_a_last_line_that_was_cut_off_anywhere(tmp_path: Path, size: int) -> None:
    lines = written(tmp_path / "metrics.jsonl")
    whole = lines.path.read_bytes()
    lines.path.write_bytes(whole + b'{"step": 6, "train/loss": 2.5}'[:size])
    lines.rewind(9)
    assert lines.path.read_bytes() == whole


def test_rewinding_keeps_a_last_line_that_lacks_only_its_end(tmp_path: Path) -> None:
    lines = written(tmp_path / "metrics.jsonl")
    whole = lines.path.read_bytes()
    lines.path.write_bytes(whole.removesuffix(b"\n"))
    lines.rewind(6)
    assert lines.path.read_bytes() == whole


@pytest.mark.parametrize("line", ["\0\0\0", "[1, 2]", "7", "{}", '{"step": "2"}'])
def test_rewinding_drops_lines_that_are_none_of_ours(tmp_path: Path, line: str) -> None:
    lines = written(tmp_path / "metrics.jsonl")
    with lines.path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    lines.rewind(9)
    assert steps(lines.path) == [2, 4, 4, 6]


def test_rewinding_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    JsonLines(tmp_path / "metrics.jsonl").rewind(3)
    assert list(tmp_path.iterdir()) == []


def test_disabled_tracking_never_imports_wandb_and_still_writes_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    tracker = Tracker(tmp_path, DISABLED, {})
    tracker.log(1, NUMBERS)
    tracker.summary({"test/bleu": 30.0})
    tracker.close()
    assert "wandb" not in sys.modules
    assert caplog.messages == []
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert steps(tmp_path / "metrics.jsonl") == [1]


class FakeWandb(SimpleNamespace):
    """Stand-in for the module wandb and its run; methods named in `broken` raise."""

    def __init__(self, broken: str = "") -> None:
        super().__init__(broken=broken, calls=[])
        self.Settings = SimpleNamespace
        self.summary = SimpleNamespace(update=lambda numbers: self.call("summary", numbers))

    def call(self, name: str, *arguments: Any, **options: Any) -> "FakeWandb":
        self.calls.append((name, *arguments, *options.items()))
        if name == self.broken:
            raise RuntimeError("the network is down\nand this is a second line")
        return self

    def init(self, **options: Any) -> "FakeWandb":
        self.options = options
        return self.call("init")

    def log(self, numbers: dict[str, float], step: int) -> None:
        self.call("log", numbers, step=step)

    def finish(self) -> None:
        self.call("finish")

    def times(self, name: str) -> int:
        return sum(call[0] == name for call in self.calls)


def fake(monkeypatch: pytest.MonkeyPatch, broken: str = "") -> FakeWandb:
    module = FakeWandb(broken)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def use(folder: Path, config: TrackingConfig = OFFLINE) -> None:
    """Make all calls of a training."""
    tracker = Tracker(folder, config, {"seed": 1})
    for step in (1, 2, 3):
        tracker.log(step, NUMBERS)
    tracker.summary({"test/bleu": 30.0})
    tracker.close()
    tracker.close()


def test_wandb_gets_every_number_with_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = fake(monkeypatch)
    use(tmp_path)
    logged = [("log", NUMBERS, ("step", step)) for step in (1, 2, 3)]
    assert wandb.calls == [("init",), *logged, ("summary", {"test/bleu": 30.0}), ("finish",)]
    assert wandb.options["dir"] == str(tmp_path)
    assert wandb.options["config"] == {"seed": 1}
    assert (wandb.options["project"], wandb.options["group"]) == ("nmt-tests", "unit")
    assert wandb.options["name"] == tmp_path.name


def test_a_warning_names_the_steps_whose_new_values_wandb_ignores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake(monkeypatch)
    use(tmp_path)
    tracker = Tracker(tmp_path, OFFLINE, {"seed": 1})
    tracker.rewind(3)
    assert not caplog.records
    tracker.rewind(1)
    (record,) = caplog.records
    assert "its values of steps 2 to 3" in record.getMessage()
    assert steps(tmp_path / "metrics.jsonl") == [1]


@pytest.mark.parametrize("broken", ["init", "log", "summary", "finish"])
def test_any_error_of_wandb_is_one_warning_of_one_line_and_training_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    wandb = fake(monkeypatch, broken)
    use(tmp_path)
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "the network is down" in warning.getMessage()
    assert "\n" not in warning.getMessage()
    assert wandb.times(broken) == 1
    assert steps(tmp_path / "metrics.jsonl") == [1, 2, 3]


@pytest.mark.parametrize("backend", TrackingBackend)
def test_a_missing_package_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: TrackingBackend
) -> None:
    monkeypatch.setattr(tracking, "installed", lambda name: None)
    with pytest.raises(UserError, match=rf"^tracking\.backend={backend} needs the package {backend}; .*pip install .*"):
        Tracker(tmp_path, TrackingConfig(backend=backend), {})
    assert list(tmp_path.iterdir()) == []
    Tracker(tmp_path, TrackingConfig(backend=backend, mode=TrackingMode.disabled), {}).close()


@pytest.mark.parametrize("backend", [TrackingBackend.trackio, TrackingBackend.tensorboard])
def test_only_wandb_has_an_online_mode_and_accounts(backend: TrackingBackend) -> None:
    for changes in ({"mode": "online"}, {"entity": "team"}):
        with pytest.raises(UserError, match=f"which backend={backend} does not support"):
            from_hydra(TrackingConfig, {"backend": backend.value, **changes})


class FakeTracker(SimpleNamespace):
    """Stand-in for a module and its open run: records calls of the run."""

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> "FakeTracker":
            self.__dict__.setdefault("calls", []).append((name, *arguments, *options.items()))
            return self

        return call


def test_trackio_gets_every_number_with_its_step_and_continues_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "installed", lambda name: "1")
    names = []
    for _ in range(2):
        module = FakeTracker()
        monkeypatch.setitem(sys.modules, "trackio", module)
        use(tmp_path, TrackingConfig(backend=TrackingBackend.trackio, project="nmt-tests", group="unit"))
        (opened, *options), *calls = module.calls
        given = dict(options)
        assert opened == "init"
        assert (given["project"], given["group"], given["resume"]) == ("nmt-tests", "unit", "allow")
        assert given["config"] == {"seed": 1}
        names.append(given["name"])
        logged = [("log", NUMBERS, ("step", step)) for step in (1, 2, 3)]
        assert calls == [*logged, ("log", {"test/bleu": 30.0}), ("finish",)]
    assert names[0] == names[1]
    assert names[0].startswith(f"{tmp_path.name}-")


def test_tensorboard_gets_every_number_with_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "installed", lambda name: "1")
    module = FakeTracker()
    monkeypatch.setitem(sys.modules, "tensorboard", module)
    monkeypatch.setitem(sys.modules, "tensorboard.summary", module)
    use(tmp_path, TrackingConfig(backend=TrackingBackend.tensorboard))
    opened, *calls = module.calls
    assert opened == ("Writer", str(tmp_path / "tensorboard"))
    numbers = [("add_scalar", name, value, step) for step in (1, 2, 3) for name, value in NUMBERS.items()]
    assert [call for call in calls if call != ("flush",)] == [
        *numbers,
        ("add_scalar", "test/bleu", 30.0, 3),
        ("close",),
    ]


def test_ctrl_c_inside_wandb_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = fake(monkeypatch)
    tracker = Tracker(tmp_path, OFFLINE, {})

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    wandb.log = interrupted
    with pytest.raises(KeyboardInterrupt):
        tracker.log(1, NUMBERS)


@pytest.mark.commands
def test_wandb_itself_keeps_a_run_offline_under_one_identity_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import wandb  # imported here because it takes most of a second

    folder = tmp_path / "run"
    folder.mkdir()
    for start in (1, 2):
        tracker = Tracker(folder, OFFLINE, {"seed": 1})
        tracker.log(start, NUMBERS)
        tracker.summary({"test/bleu": 30.0})
        tracker.close()
    wandb.teardown()

    identity = (folder / "wandb_id").read_text(encoding="utf-8")
    segments = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
    assert {segment.name for segment in segments} == {f"run-{identity}.wandb"}
    for segment in segments:
        content = segment.read_bytes()
        assert b"train/loss" in content
        assert b"test/bleu" in content
    assert steps(folder / "metrics.jsonl") == [1, 2]
    assert [record for record in caplog.records if record.name.startswith("nmt")] == []
    assert capfd.readouterr() == ("", "")
