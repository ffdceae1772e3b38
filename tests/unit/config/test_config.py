"""Validation of the typed configuration with one-line errors, and round trips through files."""

import ast
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from shapes import model_config

import nmt.config
from nmt.config import (
    Config,
    DataConfig,
    EvaluateConfig,
    OptimConfig,
    PhrasebookConfig,
    SearchConfig,
    TextFiles,
    TokenizerConfig,
    TokenizerType,
    TranslateConfig,
    cache_dir,
    conf_dir,
    from_hydra,
    load_config,
    save_config,
    with_search,
)
from nmt.errors import UserError

FILES = {"train": {"src": ["train.en"], "tgt": ["train.de"]}, "valid": {"src": ["valid.en"], "tgt": ["valid.de"]}}
CORPORA: dict[str, dict[str, Any]] = {
    "phrasebook": {"phrasebook": {}},
    "files": {"root": "corpus", **FILES},
    "download": {"download": {"url": "https://example.org", "sha256": {"train.en": "0" * 64}}, **FILES},
}
AS_TRAINED = {field.name: "???" for field in dataclasses.fields(SearchConfig)}


def refusal(*values: str, data: str = "phrasebook") -> str:
    with pytest.raises(UserError) as caught:
        from_hydra(Config, {"data": CORPORA[data]}, OmegaConf.from_dotlist(list(values)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("data", CORPORA)
def test_each_kind_of_corpus_passes(data: str) -> None:
    assert getattr(from_hydra(Config, {"data": CORPORA[data]}).data, "root" if data == "files" else data)


def test_wrong_values_are_all_told_together_with_key_and_what_is_allowed() -> None:
    line = refusal(
        "model.dropout=1.5",
        "model.hidden_size=255",
        "optim.learning_rate=0",
        "optim.betas=[0.9]",
        "train.batch_size=0",
        "train.label_smoothing=1",
        "train.ema_decay=1",
        "train.subword_sampling=-1",
        "train.risk_samples=0",
        "optim.l1=-1",
        "data.tokenizer.vocab_size=1000001",
        "search.n_best=9",
        "machine.device=gpu",
        "seed=-1",
    )
    for said in (
        "model.dropout is 1.5; allowed: from 0 to 0.95",
        "model.hidden_size is 255; allowed: even numbers",
        "optim.learning_rate is 0.0; allowed: from 1e-12 to 1000",
        "optim.betas is [0.9]; allowed: two numbers from 0 to below 1",
        "train.batch_size is 0; allowed: at least 1",
        "train.label_smoothing is 1.0; allowed: from 0 to 0.9",
        "train.ema_decay is 1.0; allowed: from 0 to 0.999999",
        "train.subword_sampling is -1.0; allowed: from 0 to 100",
        "train.risk_samples is 0; allowed: at least 1",
        "optim.l1 is -1.0; allowed: at least 0",
        "data.tokenizer.vocab_size is 1000001; allowed: from 8 to 1000000",
        "search.n_best is 9; allowed: from 1 to 5",
        "machine.device is 'gpu'; allowed: auto, cpu, cuda, cuda:N",
        "seed is -1; allowed: from 0 to 9223372036854775807",
    ):
        assert said in line
    assert line.count("; allowed: ") == 14


@pytest.mark.parametrize(("written", "value"), [(".nan", "nan"), (".inf", "inf"), ("-.inf", "-inf")])
def test_numbers_that_are_none_are_refused(written: str, value: str) -> None:
    assert f"model.dropout is {value}; allowed: from 0 to 0.95" in refusal(f"model.dropout={written}")
    assert f"optim.learning_rate is {value}; allowed" in refusal(f"optim.learning_rate={written}")


@pytest.mark.parametrize(
    ("data", "values", "said"),
    [
        ("phrasebook", ["data.root=here"], "data.root is given together with data.phrasebook"),
        ("phrasebook", ["data.mirror=here"], "data.mirror replaces a download, but this corpus has none"),
        ("phrasebook", ["data.tgt_lang=fr"], "the phrasebook supports en and de"),
        ("phrasebook", ["data.phrasebook.depth=9"], "data.phrasebook.depth is 9; allowed: from 0 to 8"),
        ("files", ["data.root=null"], "data.root is missing; give your folder"),
        ("files", ["data.train.tgt=[]"], "data.train.src has 1 files but tgt has 0"),
        ("files", ["data.train.tsv=[a.tsv]"], "data.train.tsv is given together with src or tgt"),
        ("files", ["data.valid.src=[]", "data.valid.tgt=[]"], "data.valid has no files"),
        ("download", ["data.download.url=ftp://x"], "data.download.url is 'ftp://x'; allowed: an address"),
        ("download", ["data.download.sha256={a: b0}"], "data.download.sha256 of a is 'b0'; allowed: 64"),
        ("files", ["data.bleu_tokenize=moses"], "data.bleu_tokenize is 'moses'; allowed: 13a, none"),
        ("files", ["data.tokenizer.joint=false"], "model.tying is three_way, which needs data.tokenizer.joint=true"),
        (
            "files",
            ["data.tokenizer.joint=false", "model.tying=none", "train.both_directions=2"],
            "train.both_directions needs data.tokenizer.joint=true; set both_directions to 0",
        ),
        (
            "files",
            ["model.decoder.attention=null", "model.decoder.input_feeding=true"],
            "model.decoder.input_feeding is true but attention",
        ),
        ("files", ["model.fixed_masks=false", "train.tar=1"], "train.tar is set but model.fixed_masks is false"),
        ("files", ["train.objective=risk", "train.ar=2"], "train.objective is risk, which does not support ar"),
        ("files", ["train.scheduled_sampling=exponential"], "train.sampling_k is 1.0; allowed: from 0.0 to 0.999999"),
        ("files", ["data.tokenizer.type=bpe", "train.subword_sampling=2"], "train.subword_sampling is 2.0; allowed"),
        ("files", ["search.kind=greedy", "search.n_best=2"], "search.n_best is 2; allowed: from 1 to 1"),
        ("files", ["search.kind=diverse", "search.groups=3"], "search.groups is 3; allowed with search.kind=diverse"),
        ("files", ["search.kind=diverse", "search.groups=0"], "search.groups is 0; allowed with search.kind=diverse"),
        ("files", ["search.diversity=-1"], "search.diversity is -1.0; allowed: from 0 to 1000"),
        ("files", ["search.block_ngrams=-1"], "search.block_ngrams is -1; allowed: from 0 to 1000"),
        ("files", ["search.coverage_penalty=-1"], "search.coverage_penalty is -1.0; allowed: from 0 to 100"),
        (
            "files",
            ["train.mean_over=sentences", "optim.l2=1e-5"],
            "train.mean_over is sentences, which does not support optim.l1 or optim.l2; use optim.weight_decay",
        ),
        (
            "files",
            ["train.objective=r_drop", "model.dropout=0"],
            "train.objective is r_drop but the model has no dropout, so that its two passes are equal",
        ),
        (
            "files",
            ["model.decoder.attention=null", "search.coverage_penalty=1"],
            "search.coverage_penalty is set but model",
        ),
    ],
)
def test_settings_that_do_not_go_together(data: str, values: list[str], said: str) -> None:
    assert said in refusal(*values, data=data)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("hiden_size=3", "hiden_size"),
        ("model.hiden_size=3", "model.hiden_size"),
        ("data.tokenizer.vocab=3", "data.tokenizer.vocab"),
    ],
)
def test_a_misspelt_key_is_refused(value: str, key: str) -> None:
    assert refusal(value).startswith(f"configuration key {key}: Key '{key.rpartition('.')[2]}' not in")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("model.dropout=often", "model.dropout: Value 'often'"),
        ("train.max_steps=1.5", "train.max_steps: Value '1.5'"),
        ("seed=[1]", "seed: "),
        ("seed=null", "seed: "),
        (
            "model.decoder.bridge=luong",
            "model.decoder.bridge: Invalid value 'luong', expected one of [learned, zero]",
        ),
        ("optim.betas=[a, b]", "optim.betas[0]: Value 'a'"),
        ("data.root=${nowhere}", "data.root: Interpolation key 'nowhere' not found"),
    ],
)
def test_a_wrong_type_is_told_with_its_key(value: str, said: str) -> None:
    assert refusal(value).startswith(f"configuration key {said}")


@pytest.mark.parametrize(
    ("schema", "values", "said"),
    [
        (EvaluateConfig, {"split": "train"}, "split is 'train'; allowed: valid, test"),
        (EvaluateConfig, {"src": "text.en"}, "src and ref must be given together"),
        (EvaluateConfig, {"checkpoint": "first"}, "checkpoint is 'first'; allowed: best, last, average:N"),
        (EvaluateConfig, {"checkpoint": "average:0"}, "checkpoint is 'average:0'; allowed: best, last, average:N"),
        (EvaluateConfig, {"search": {"beam_size": 0}}, "search.beam_size is 0; allowed: from 1 to 1000"),
        (EvaluateConfig, {"search": {"kind": "any"}}, "search.kind: Invalid value 'any', expected one of [greedy"),
        (EvaluateConfig, {"search": {"beam": 3}}, "search.beam: Key 'beam' not in 'SearchConfig'"),
        (TranslateConfig, {"output": "out.txt"}, "output is given but input is not"),
        (TranslateConfig, {"run": "???"}, "run is missing; give it as run=..."),
    ],
)
def test_asking_a_run_for_what_there_is_not(schema: type, values: dict[str, Any], said: str) -> None:
    command = OmegaConf.merge({"run": "runs/one", "search": AS_TRAINED}, values)
    if values.get("run"):
        command.run = values["run"]  # a merge would leave the left side
    with pytest.raises(UserError) as caught:
        with_search(schema, command, SearchConfig())
    assert said in str(caught.value)


FULL = Config(
    data=DataConfig(
        name="…“Häuser”: yes, 1e5",
        root="~/corpora/null",
        train=TextFiles(src=["a", "b.gz"], tgt=["c", "true"]),
        valid=TextFiles(tsv=["1.5"]),
        tokenizer=TokenizerConfig(type=TokenizerType.bpe, character_coverage=0.9995),
    ),
    model=model_config(attention=None, dropout=1e-9),
    optim=OptimConfig(learning_rate=1e-05, betas=[0.5, 0.25]),
    seed=2**63 - 1,
)
DEFAULTS = Config(data=DataConfig(phrasebook=PhrasebookConfig(depth=0)))


@pytest.mark.parametrize("config", [FULL, DEFAULTS], ids=["full", "defaults"])
def test_a_saved_configuration_is_loaded_equal(tmp_path: Path, config: Config) -> None:
    save_config(config, tmp_path / "config.yaml")
    assert load_config(Config, tmp_path / "config.yaml") == config


def test_overrides_of_a_loaded_configuration(tmp_path: Path) -> None:
    save_config(FULL, tmp_path / "config.yaml")
    loaded = load_config(Config, tmp_path / "config.yaml", {"train.max_steps": 9, "data.name": "new"})
    expected = dataclasses.replace(FULL, data=dataclasses.replace(FULL.data, name="new"))
    assert loaded == dataclasses.replace(expected, train=dataclasses.replace(FULL.train, max_steps=9))
    with pytest.raises(UserError, match=r"config\.yaml: configuration key train\.max_step: "):
        load_config(Config, tmp_path / "config.yaml", {"train.max_step": 9})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"the house",
        b"- data\n- model\n",
        b"42",
        b"data: [phrasebook",
        b"data: {phrasebook: {}}\ndata: {}\n",
        b"model: 3\n",
        b"data: {phrasebook: {}}\nmodle: {dropout: 0.1}\n",
        b"data: {phrasebook: {}}\nseed: one\n",
        b"data: {phrasebook: {}, name: '${nowhere}'}\n",
        b"data: {name: caf\xe9}\n",
        b"\0",
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_config(Config, file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_file_that_holds_a_list_is_one_line_of_error(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("- data\n- model\n")
    with pytest.raises(UserError, match=r"config\.yaml cannot be read as a configuration: it holds a list; [^\n]*$"):
        load_config(Config, tmp_path / "config.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.yaml does not exist; is this a run directory\?"):
        load_config(Config, tmp_path / "config.yaml")


@pytest.mark.parametrize("tag", ["object/apply:os.mkdir", "object/new:os.mkdir", "name:os.mkdir", "module:os"])
def test_a_tag_that_names_code_is_refused_and_not_run(tmp_path: Path, tag: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"data: {{phrasebook: {{}}}}\nseed: !!python/{tag} ['{tmp_path}/made']\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"cannot be read as a configuration: .*python/"):
        load_config(Config, file)
    assert not (tmp_path / "made").exists()


def test_the_configuration_files_are_beside_the_package_or_in_it() -> None:
    assert Path(conf_dir()).is_absolute()
    assert (Path(conf_dir()) / "train.yaml").is_file()


def test_the_cache_is_the_configured_folder_or_the_environments_or_the_homes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("NMT_CACHE", "/big/disk")
    assert cache_dir("~/other") == Path("/home/someone/other")
    assert cache_dir(None) == Path("/big/disk")
    monkeypatch.delenv("NMT_CACHE")
    assert cache_dir(None) == Path("/home/someone/.cache/nmt")


def test_every_field_says_what_it_is() -> None:
    classes = [
        node
        for file in Path(nmt.config.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and [ast.unparse(name) for name in node.decorator_list] == ["dataclass"]
    ]
    assert {node.name for node in classes} >= {"Config", "DataConfig", "SearchConfig"}
    assert [node.name for node in classes if not ast.get_docstring(node)] == []
    silent = {
        ast.unparse(field.target)
        for node in classes
        for field, after in itertools.pairwise([*node.body, ast.Pass()])
        if isinstance(field, ast.AnnAssign)
        and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
    }
    assert silent == {"kind"}  # encoders and decoders name themselves; SideConfig describes the key
