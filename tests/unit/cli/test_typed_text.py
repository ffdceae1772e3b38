"""Tests of text keys: values that look like numbers or booleans stay text, on the command line and in YAML."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from composing import composing_in, restored_readers
from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from nmt.cli.app import SCHEMAS, hydra_errors, hydra_guard
from nmt.config import Config, conf_dir, load_config, save_config
from nmt.config.text_keys import scalars_as_text
from nmt.errors import UserError

LOOKS = ["1.20", "12e3", "2026_11_28", "007", "true", "False", "nan", "-inf", "1e5", "+3", "yes", "no", "off", "0x10"]


@pytest.fixture(autouse=True, scope="module")
def _installed() -> Iterator[None]:
    with restored_readers():
        yield


def parsed(command: str, override: str) -> Any:
    hydra_guard.install(SCHEMAS[command])
    (found,) = OverridesParser.create().parse_overrides([override])
    return found.value()


TEXT_KEYS = [
    ("train", "data.name"),
    ("train", "data.tgt_lang"),
    ("train", "data.root"),
    ("train", "train.resume"),
    ("train", "train.init_from"),
    ("train", "tracking.group"),
    ("train", "hydra.run.dir"),
    ("train", "hydra.sweep.subdir"),
    ("train", "experiment"),
    ("train", "+experiment"),
    ("train", "model"),
    ("train", "hydra/launcher"),
    ("translate", "run"),
    ("translate", "input"),
    ("translate", "output"),
    ("translate", "prefix"),
    ("evaluate", "src"),
    ("evaluate", "name"),
    ("score", "hyp"),
    ("compare", "output"),
    ("sweep", "report"),
    ("doctor", "data.root"),
]


@pytest.mark.parametrize(("command", "key"), TEXT_KEYS)
def test_a_text_key_keeps_what_was_typed(command: str, key: str) -> None:
    assert [parsed(command, f"{key}={text}") for text in LOOKS] == LOOKS


def test_the_items_of_text_lists_and_mappings_are_text() -> None:
    assert parsed("compare", "runs=[1.20, 2026_11_28]") == ["1.20", "2026_11_28"]
    assert parsed("train", "data.train={src: [1.20], tgt: [no, true]}") == {"src": ["1.20"], "tgt": ["no", "true"]}
    assert parsed("train", "data.download.sha256={a.gz: 12e3}") == {"a.gz": "12e3"}


def test_numbers_and_null_stay_what_they_are() -> None:
    assert parsed("train", "train.max_steps=1_000") == 1000
    assert parsed("train", "optim.learning_rate=12e-3") == 0.012
    assert parsed("train", "model.encoder.bidirectional=true") is True
    assert parsed("train", "data.phrasebook.train=5") == 5
    assert parsed("evaluate", "search.alpha=1.20") == 1.2
    assert parsed("train", "optim.betas=[0.9, 0.98]") == [0.9, 0.98]
    assert parsed("train", "data.root=null") is None
    assert parsed("sweep", "sweep.parameters.optim.learning_rate={low: 1e-4, log: true}") == {"low": 1e-4, "log": True}


def test_spaces_at_the_end_of_a_text_stay() -> None:
    """The space at the end of a prefix is significant: it completes the last word."""
    assert parsed("translate", "prefix=Das Haus ") == "Das Haus "
    assert parsed("translate", "prefix='Das Haus '") == "Das Haus "


def test_a_multirun_varies_text() -> None:
    hydra_guard.install(Config)
    (parsed,) = OverridesParser.create().parse_overrides(["data.name=1.20,no,2026_11"])
    assert list(parsed.sweep_string_iterator()) == ["1.20", "no", "2026_11"]
    (parsed,) = OverridesParser.create().parse_overrides(["data.name=choice(1.20,true)"])
    assert list(parsed.sweep_string_iterator()) == ["1.20", "true"]
    (parsed,) = OverridesParser.create().parse_overrides(["seed=range(1,3)"])
    assert list(parsed.sweep_string_iterator()) == ["1", "2"]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: "$" not in text))
def test_an_override_quoted_as_the_error_says_is_what_was_meant(text: str) -> None:
    assert parsed("translate", f"prefix={hydra_errors.in_quotes(text)}") == text


def composed(command: str, *overrides: str) -> Any:
    hydra_guard.install(SCHEMAS[command])
    with composing_in(conf_dir()):
        return compose(command, overrides=[*overrides])


def group_file(monkeypatch: pytest.MonkeyPatch, folder: Path, group: str, content: str) -> None:
    """Write a file `mine` of a group in a folder that Hydra searches first."""
    (folder / group).mkdir(parents=True)
    (folder / group / "mine.yaml").write_text(content)
    original = hydra_guard.CheckedLoader.__init__

    def searching(self: Any, config_search_path: Any) -> None:
        config_search_path.prepend("command-line", str(folder))
        original(self, config_search_path)

    monkeypatch.setattr(hydra_guard.CheckedLoader, "__init__", searching)


def test_yaml_text_keeps_what_was_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = "root: 2026_11_28\ntgt_lang: no\nname: 1.20\ntrain: {src: [1.20, on], tgt: [a, b]}\nmax_pieces: 7\n"
    group_file(monkeypatch, tmp_path, "data", content)
    data = composed("train", "data=mine").data
    assert (data.root, data.tgt_lang, data.name, data.max_pieces) == ("2026_11_28", "no", "1.20", 7)
    assert data.train.src == ["1.20", "on"]


def test_yaml_text_of_an_experiment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = "# @package _global_\ndata: {tgt_lang: no}\nhydra: {run: {dir: 2026_11_28}}\n"
    group_file(monkeypatch, tmp_path, "experiment", content)
    assert composed("train", "experiment=mine").data.tgt_lang == "no"


@pytest.mark.parametrize(
    ("group", "content", "said"),
    [
        ("experiment", "seed: 3\n", "experiment/mine.yaml: the first line of an experiment has to be '# @package"),
        ("experiment", "# @package _global_\n- seed\n", "experiment/mine.yaml holds a list"),
        ("data", "- a\n- b\n", "data/mine.yaml holds a list"),
        ("data", "7\n", "data/mine.yaml cannot be read as a configuration"),
    ],
)
def test_a_file_of_the_wrong_shape_is_named(
    group: str, content: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    group_file(monkeypatch, tmp_path, group, content)
    with pytest.raises(UserError, match=said.replace("(", r"\(")) as error:
        composed("train", f"{group}=mine")
    assert "\n" not in str(error.value)


def test_reading_text_makes_nothing_of_tags(tmp_path: Path) -> None:
    made = tmp_path / "made"
    for tag in ("!!python/object/apply:os.mkdir", "!!python/name:os.system", "!!int"):
        assert scalars_as_text(f"a: {tag} ['{made}']\nb: {tag} 7\n") == {"a": [str(made)], "b": "7"}
    assert not made.exists()


def test_a_runs_configuration_keeps_text(tmp_path: Path) -> None:
    save_config(Config(), tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("tgt_lang: de", "tgt_lang: no").replace("root: null", "root: ."))
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(
        text.replace("src: []", "src: [1.20]").replace("tgt: []", "tgt: [on]").replace("tsv: []", "tsv: []")
    )
    loaded = load_config(Config, tmp_path / "config.yaml", {"data.name": "12e3"})
    assert (loaded.data.tgt_lang, loaded.data.name) == ("no", "12e3")
    assert (loaded.data.train.src, loaded.data.train.tgt) == (["1.20"], ["on"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["seed=1,2", "-m", "train.max_steps=5"], ["-m", "seed=1,2", "train.max_steps=5"]),
        (["a=1", "--cfg", "job", "b=2", "-p", "data"], ["--cfg", "job", "-p", "data", "a=1", "b=2"]),
        (["a=1", "--config-dir=x", "b=2"], ["--config-dir=x", "a=1", "b=2"]),
        (["a=1", "--info", "searchpath", "b=2"], ["--info", "searchpath", "a=1", "b=2"]),
        (["a=1", "--info", "b=2"], ["--info", "all", "a=1", "b=2"]),
        (["input=-", "--multirun"], ["--multirun", "input=-"]),
    ],
)
def test_options_may_stand_between_overrides(given: list[str], expected: list[str]) -> None:
    assert hydra_guard.options_first(given) == expected


@pytest.mark.parametrize("words", [["a=1", "--unknown"], ["--cfg", "nothing"], ["--config-dir"]])
def test_an_option_that_is_not_there_is_told_in_one_line(words: list[str]) -> None:
    with pytest.raises(UserError, match="--help"):
        hydra_guard.options_first(words)
