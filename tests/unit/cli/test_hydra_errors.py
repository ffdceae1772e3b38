"""Tests of the one-line messages for Hydra's errors, with the key and the remedy."""

import pytest
from hydra import compose
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nmt.cli.app import SCHEMAS
from nmt.cli.app.hydra_errors import dotted_keys, explain
from nmt.config import Config, EvaluateConfig

pytestmark = pytest.mark.usefixtures("composing")


def explained(command: str, *overrides: str) -> str:
    with pytest.raises((HydraException, OmegaConfBaseException)) as caught:
        compose(command, overrides=list(overrides))
    line = explain(caught.value, SCHEMAS[command])
    assert "\n" not in line
    assert "object_type" not in line
    return line


@pytest.mark.parametrize(
    ("command", "override", "meant"),
    [
        ("train", "model.hiden_size=256", "model.hidden_size"),
        ("train", "sed=3", "seed"),
        ("train", "optm.learning_rate=1e-3", "optim.learning_rate"),
        ("train", "data.phrasebook.trian=100", "data.phrasebook.train"),
        ("train", "data.tokenizer.vocabsize=100", "data.tokenizer.vocab_size"),
        ("train", "modle=lstm", "model"),
        ("prepare", "data.max_piece=100", "data.max_pieces"),
        ("evaluate", "splt=test", "split"),
        ("evaluate", "search.beam_sze=3", "search.beam_size"),
        ("translate", "imput=text.txt", "input"),
    ],
)
def test_a_misspelt_key_gets_the_nearest_that_exists(command: str, override: str, meant: str) -> None:
    key = override.partition("=")[0]
    assert explained(command, override) == f"unknown configuration key {key}; did you mean {meant}?"


def test_a_key_like_none_is_sent_to_the_help() -> None:
    assert explained("train", "qqqqqq=1") == "unknown configuration key qqqqqq; see --help"


def test_a_misspelt_key_among_right_ones() -> None:
    line = explained("train", "seed=3", "model=lstm_small", "train.max_step=10", "optim.eps=1e-9")
    assert line == "unknown configuration key train.max_step; did you mean train.max_steps?"


@pytest.mark.parametrize(
    ("override", "options"),
    [("model=lstmm", ["lstm", "lstm_small"]), ("search=bean", ["beam", "greedy"]), ("optim=adm", ["adam", "sgd"])],
)
def test_an_unknown_option_of_a_group_gets_those_that_exist(override: str, options: list[str]) -> None:
    line = explained("train", override)
    assert line.startswith(f"there is no configuration file {override.replace('=', '/')}; there are: ")
    assert set(options) <= set(line.partition("there are: ")[2].split())


def test_an_unknown_experiment_gets_those_that_exist() -> None:
    assert "experiment/demo; there are:" in explained("train", "experiment=demo")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.hidden_size=large", "'large' of type 'str' could not be converted to Integer"),
        ("train.max_steps=1.5", "'1.5' of type 'float' could not be converted to Integer"),
        ("model.dropout=often", "'often' of type 'str' could not be converted to Float"),
        ("model.encoder.bidirectional=both", "'both' is not a valid bool"),
        ("model.decoder.bridge=luong", "Invalid value 'luong', expected one of [learned, zero]"),
        ("data.tokenizer.type=words", "Invalid value 'words', expected one of [unigram, bpe, word, char]"),
        ("data.train=train.en", "Invalid type assigned: str is not a subclass of TextFiles"),
        ("seed=null", "field 'seed' is not Optional"),
    ],
)
def test_a_wrong_type_is_told_with_its_key(override: str, said: str) -> None:
    line = explained("train", override)
    assert line.startswith(f"configuration key {override.partition('=')[0]}: ")
    assert said in line


@pytest.mark.parametrize("given", ["seed", "model.hidden_size==3", "the house=3", "train.max_steps=[1"])
def test_an_override_that_cannot_be_read(given: str) -> None:
    line = explained("train", given)
    assert line.startswith(f"cannot read {given!r} as an override; write key=value")
    assert "hydra.cc" not in line


def test_a_list_where_a_word_belongs_says_how_to_quote() -> None:
    assert "quote the value: key='value1,value2'" in explained("train", "data.name=a,b")


def test_deleting_what_is_not_there() -> None:
    assert "'model.hidden_sizes' does not exist" in explained("train", "~model.hidden_sizes")


def test_keys_are_those_of_the_whole_tree() -> None:
    assert {"seed", "model", "model.hidden_size", "data.train.src", "data.phrasebook.depth"} <= set(dotted_keys(Config))
    assert {"run", "machine.threads", "search", "search.alpha"} <= set(dotted_keys(EvaluateConfig))
    assert all("." not in key or key.rpartition(".")[0] in dotted_keys(Config) for key in dotted_keys(Config))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.cell=gru", "model.cell does not exist any more; give model.encoder.cell and model.decoder.cell"),
        ("model.encoder_layers=2", "model.encoder_layers does not exist any more; give model.encoder.layers"),
        ("model.attention=dot", "model.attention does not exist any more; give model.decoder.attention"),
        (
            "model.architecture=transformer",
            "model.architecture does not exist any more; give model/encoder=NAME",
        ),
        ("model.decoder=luong", "model.decoder has keys of its own; choose its kind as model/decoder=NAME"),
        ("model.encoder.heads=2", "model.encoder.heads is a key of model/encoder=transformer only; leave it out"),
    ],
)
def test_a_former_key_and_a_key_of_another_kind_are_told(override: str, said: str) -> None:
    assert explained("train", override).startswith(f"configuration key {said}")
