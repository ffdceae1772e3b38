"""Tests of every YAML file under conf/: it composes, passes its checks and states its purpose."""

import dataclasses
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose
from omegaconf import DictConfig, OmegaConf

from nmt.cli.app import SCHEMAS
from nmt.config import (
    EvaluateConfig,
    FrontierPoint,
    LengthPenalty,
    ModelConfig,
    OptimConfig,
    SearchConfig,
    SearchKind,
    TranslateConfig,
    conf_dir,
    from_hydra,
    load_config,
    save_config,
    with_search,
)
from nmt.errors import UserError

CONF = Path(conf_dir())
YAML = {path: path.read_text(encoding="utf-8") for path in sorted(CONF.rglob("*.yaml"))}
OF_A_RUN = ("evaluate", "translate", "serve", "adapt", "distil", "diagnose", "back_translate")
EXPERIMENTS = sorted(CONF.glob("experiment/*.yaml"))


pytestmark = pytest.mark.usefixtures("composing")


@cache
def composed(command: str, *overrides: str) -> DictConfig:
    """Return the composed configuration, with values for keys that have no default."""
    cfg = compose(command, overrides=list(overrides))
    if "data" in cfg and not any(cfg.data.get(source) for source in ("root", "download", "phrasebook", "strings")):
        cfg.data.root = "corpus"
    if command in (*OF_A_RUN, "report", "shortlist", "export"):
        cfg.run = "runs/one"
    if command == "back_translate":
        cfg.text = "monolingual.de"
    if command in ("adapt", "distil", "export", "device_check", "back_translate"):
        cfg.output = "corpus"
    if command == "adapt":
        cfg.corrections = "corrections.jsonl"
    if command in ("compare", "table"):
        cfg.runs = ["runs/one"]
    if command == "benchmark":
        cfg.task = "checkpoint"
    if command == "frontier":
        cfg.output, cfg.points = "corpus", [FrontierPoint("LSTM", "runs/one")]
    if command == "score":
        cfg.hyp, cfg.ref = "translations", "references"
    if command == "human_eval":
        cfg.action, cfg.folder = "score", "judgements"
    if command == "diagnose":
        cfg.task, cfg.sentence = "attention", "The door is open."
    return cfg


def checked(command: str, *overrides: str) -> Any:
    if command in OF_A_RUN:
        return with_search(SCHEMAS[command], composed(command, *overrides), SearchConfig())[0]
    return from_hydra(SCHEMAS[command], composed(command, *overrides))


def groups_of(command: str) -> set[str]:
    """Return the groups in the defaults list of a command."""
    entries = yaml.safe_load(YAML[CONF / f"{command}.yaml"])["defaults"]
    return {key for entry in entries if isinstance(entry, dict) for key in entry if not key.startswith("override ")}


def choices() -> Iterator[tuple[str, ...]]:
    """Yield each command with each file of its groups; a group that no command has is added to `train`."""
    groups = {command: groups_of(command) for command in SCHEMAS}
    for path in YAML:
        group, option = path.parent.name, path.stem
        if path.parent == CONF:
            yield (option,)
        elif path == CONF / "hydra" / "command.yaml":  # part of every command
            continue
        elif path.parent.parent.name == "hydra":
            yield "train", f"hydra/{group}={option}"
        elif commands := [command for command in SCHEMAS if group in groups[command]]:
            yield from ((command, f"{group}={option}") for command in commands)
        elif group != "questions":  # whose rows tests/unit/lab/questions/test_question_runs.py composes
            yield "train", f"+{group}={option}"


def test_the_files_are_found() -> None:
    assert CONF.is_absolute()
    assert {path.stem for path in CONF.glob("*.yaml")} == set(SCHEMAS)
    assert EXPERIMENTS


def once_each() -> Iterator[Any]:
    """Yield each command and each file once; the other commands of a group are left to the slower tests."""
    seen = set()
    for choice in choices():
        again = len(choice) > 1 and choice[1] in seen
        yield pytest.param(choice, id=" ".join(choice), marks=[pytest.mark.commands] * again)
        seen.add(choice[-1])


@pytest.mark.parametrize("choice", list(once_each()))
def test_every_shipped_file_composes_and_passes_its_checks(choice: tuple[str, ...]) -> None:
    assert isinstance(checked(*choice), SCHEMAS[choice[0]])


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_states_its_question_and_its_command(path: Path) -> None:
    package, question, *lines = YAML[path].split("\n")
    assert package == "# @package _global_"
    assert question.startswith("# ")
    assert question.endswith("?")
    start = "#     python scripts/train.py "
    commands = [line.removeprefix(start) for line in lines if line.startswith(start)]
    assert len(commands) == 1
    words = [word.replace("FOLDER", "folder") for word in shlex.split(commands[0])]
    assert words[0] == f"experiment={path.stem}"
    assert isinstance(checked("train", *[word for word in words if not word.startswith("hydra.")]), SCHEMAS["train"])


@pytest.mark.parametrize("command", SCHEMAS)
def test_a_command_takes_its_settings_of_hydra_from_the_shared_file(command: str) -> None:
    tree = yaml.safe_load(YAML[CONF / f"{command}.yaml"])
    assert tree["defaults"][1] == "hydra/command"
    assert set(tree["hydra"]) == ({"run", "sweep", "help"} if command == "train" else {"help"})
    assert not [entry for entry in tree["defaults"] if "override" in str(entry)]


@pytest.mark.parametrize("command", SCHEMAS)
def test_the_help_of_a_command_begins_with_three_examples_that_compose(command: str) -> None:
    help_text = yaml.safe_load(YAML[CONF / f"{command}.yaml"])["hydra"]["help"]
    title, blank, *examples = help_text["header"].rstrip("\n").split("\n")
    assert title.startswith(f"{help_text['app_name']}: ")
    assert blank == ""
    assert len(examples) == 3
    for example in examples:
        name = (
            f"python scripts/{command}.py"
            if help_text["app_name"].endswith(".py")
            else f"nmt-{command.replace('_', '-')}"
        )
        assert example.startswith(f"  {name} ")
        words = shlex.split(example.removeprefix(f"  {name} ").partition(" < ")[0])
        first, _, second = " ".join(words).partition(" vs ")
        for overrides in filter(None, (first.split(" "), second.split(" ") if second else [])):
            assert composed(command, *[word for word in overrides if "=" in word])


DEVIATIONS = {
    "optim/adam": {},
    "optim/adamw": {"kind": "adamw", "weight_decay": 0.01},
    "optim/sgd": {"kind": "sgd", "learning_rate": 1.0, "schedule": "plateau", "warmup_steps": 0, "clip_norm": 5.0},
    "model/lstm": {"decoder": {"layers": 2, "attention": "general"}},
}
"""Values of the files that show the settings people change, where they differ from the typed defaults on purpose."""


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_value_shown_in_a_file_is_the_typed_default(name: str) -> None:
    values = yaml.safe_load(YAML[CONF / f"{name}.yaml"])
    schema = OptimConfig if name.startswith("optim") else ModelConfig
    typed = OmegaConf.to_container(OmegaConf.structured(schema), enum_to_str=True)
    assert isinstance(typed, dict)
    values.pop("defaults", None)
    shown = {side: values[side] for side in ("encoder", "decoder") if side in values}
    for side, keys in shown.items():
        values[side] = {key: value for key, value in keys.items() if value != typed[side][key]}
        typed[side] = {}
    assert {key: value for key, value in values.items() if value != typed[key]} == DEVIATIONS[name]
    assert name == "optim/adamw" or len(values) >= 7


def test_an_experiment_beats_the_groups_and_the_command_line_beats_both() -> None:
    assert checked("train").model == checked("train", "model=lstm").model
    small = checked("train", "model=lstm_small").model
    assert checked("train", "experiment=phrasebook").model == small != checked("train").model
    wider = checked("train", "experiment=phrasebook", "model.embed_size=64").model
    assert wider == dataclasses.replace(small, embed_size=64)


DOWNLOADS = sorted(path.stem for path in CONF.glob("data/*.yaml") if "download" in yaml.safe_load(YAML[path]))


@pytest.mark.parametrize("corpus", ["files", "tatoeba", *DOWNLOADS])
def test_the_other_direction_of_a_corpus_swaps_its_files(corpus: str) -> None:
    forth = checked("prepare", f"data={corpus}").data
    languages = (f"data.src_lang={forth.tgt_lang}", f"data.tgt_lang={forth.src_lang}")
    back = checked("prepare", f"data={corpus}", *languages).data
    for split in ("train", "valid", "test"):
        one, other = getattr(forth, split), getattr(back, split)
        assert (one.src, one.tgt) == (other.tgt, other.src)
        assert one.src != one.tgt


@pytest.mark.parametrize("corpus", ["multi30k", "multi30k_tok"])
def test_multi30k_has_the_digest_of_every_file_it_names(corpus: str) -> None:
    named, sets = set(), {}
    for src, tgt in permutations(("en", "de", "fr", "cs"), 2):
        data = checked("prepare", f"data={corpus}", f"data.src_lang={src}", f"data.tgt_lang={tgt}").data
        named |= set(data.paths("train", "valid", *data.test_names))
        sets[src, tgt] = data.test_names
    assert named == set(data.download.sha256)
    assert len(named) == 22
    for languages, names in sets.items():
        of_2017 = [] if "cs" in languages else ["test_2017_flickr", "test_2017_mscoco"]
        assert names == ["test", *of_2017, "test_2018_flickr"]


@pytest.mark.parametrize("corpus", [name for name in DOWNLOADS if not name.startswith("multi30k")])
def test_a_download_has_the_digest_of_every_file_it_names(corpus: str) -> None:
    data = checked("prepare", f"data={corpus}").data
    assert set(data.paths("train", "valid", "test")) == set(data.download.sha256)


def test_as_trained_leaves_every_search_setting_to_the_run() -> None:
    values = yaml.safe_load(YAML[CONF / "search" / "as_trained.yaml"])
    assert values == {field.name: "???" for field in dataclasses.fields(SearchConfig)}


def test_search_takes_the_runs_values_where_none_is_given() -> None:
    trained = SearchConfig(beam_size=7, alpha=0.4, batch_size=9, length_penalty=LengthPenalty.gnmt)
    config, search = with_search(TranslateConfig, composed("translate", "checkpoint=last"), trained)
    assert search == trained
    assert (config.run, config.checkpoint) == ("runs/one", "last")
    _, search = with_search(EvaluateConfig, composed("evaluate", "search.alpha=0", "search.n_best=2"), trained)
    assert search == dataclasses.replace(trained, alpha=0.0, n_best=2)
    _, search = with_search(EvaluateConfig, composed("evaluate", "search=greedy"), trained)
    assert search == dataclasses.replace(trained, kind=SearchKind.greedy, beam_size=1)
    assert checked("train", "search=beam").search == SearchConfig()


@pytest.mark.parametrize(
    ("command", "override", "key"),
    [
        ("train", "+model.hiden_size=3", "model.hiden_size"),
        ("train", "+sed=3", "sed"),
        ("evaluate", "+search.beam_sze=2", "search.beam_sze"),
        ("translate", "+imput=text.txt", "imput"),
    ],
)
def test_a_misspelt_key_that_plus_let_through_is_refused(command: str, override: str, key: str) -> None:
    with pytest.raises(UserError, match=rf"^configuration key {key}: Key '{key.rpartition('.')[2]}' not in"):
        checked(command, override)


def test_a_saved_run_has_every_value_and_nothing_left_to_interpolate(tmp_path: Path) -> None:
    config = checked("train", "experiment=multi30k_en_de")
    save_config(config, tmp_path / "config.yaml")
    assert load_config(SCHEMAS["train"], tmp_path / "config.yaml") == config
    saved = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert saved["data"]["train"]["src"] == ["data/task1/raw/train.en.gz"]
    assert saved["optim"]["eps"] == 1e-8  # in no YAML file: a later version can have another default
    assert OmegaConf.create(saved) == OmegaConf.load(tmp_path / "config.yaml")
