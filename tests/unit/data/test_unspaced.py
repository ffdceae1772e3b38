"""Warning about text without spaces between words and a BLEU tokenizer that splits at spaces."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import sacrebleu
import torch
from damaged_corpus import TEST, TRAIN, VALID, Lines, cheap
from damaged_corpus import config as corpus
from shapes import model_config

from nmt.cli.score import command
from nmt.config import (
    Config,
    OptimConfig,
    ScoreConfig,
    SearchConfig,
    TokenizerConfig,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
)
from nmt.config.data import BLEU_TOKENIZERS
from nmt.data import prepare, tokenizer_advice
from nmt.data.words import unspaced
from nmt.decoding import load_translator
from nmt.evaluation import evaluate_split
from nmt.lab.doctor.findings import Verdict
from nmt.metrics.scores import bleu_words
from nmt.phrasebook import Pair
from nmt.run import RunDirectory, read_metrics
from nmt.training import Tracker, build_trainer

ZH = ["今天的天气非常好,我们去公园散步。", "这个房间里有三张桌子和五把椅子。", "请告诉我火车站怎么走。"]
JA = [
    "今日はとても天気がいいので公園を散歩します。",
    "この部屋には机が三つと椅子が五つあります。",
    "駅への行き方を教えてください。",
]
TH = ["วันนี้อากาศดีมากเราไปเดินเล่นในสวนสาธารณะ", "ในห้องนี้มีโต๊ะสามตัวและเก้าอี้ห้าตัว", "กรุณาบอกทางไปสถานีรถไฟ"]
KO = ["오늘은 날씨가 아주 좋아서 공원을 산책합니다.", "이 방에는 책상 세 개와 의자 다섯 개가 있습니다."]


@pytest.mark.parametrize(
    ("lines", "tokenize", "better"),
    [
        (ZH, "13a", "zh"),
        (ZH, "none", "zh"),
        (ZH, "intl", "zh"),
        (JA, "13a", "ja-mecab"),
        (TH, "13a", "char"),
        (TH, "zh", "char"),
        ([line.replace(" ", "") for line in KO], "13a", "ko-mecab"),
        (["ສະບາຍດີຂ້ອຍຊື່ວ່າສົມຊາຍແລະຂ້ອຍມາຈາກວຽງຈັນ"], "13a", "char"),
    ],
)
def test_the_warning_names_the_tokenizer_of_the_script(lines: list[str], tokenize: str, better: str) -> None:
    advice = tokenizer_advice(lines, tokenize)
    assert advice is not None
    split = [" ".join(bleu_words(line, tokenize)) for line in lines]
    assert unspaced(split), "sacrebleu's tokenizer finds words after all"
    assert advice.endswith(f"use data.bleu_tokenize={better}")
    assert f"tokenizer {tokenize} " in advice
    assert "\n" not in advice
    assert better in BLEU_TOKENIZERS


def test_the_tokenizer_that_it_names_counts_more_than_whole_sentences() -> None:
    """Each sentence differs in one word: the translation is good, but its score with 13a is 0."""
    other = [line.replace("三", "四").replace("好", "坏").replace("火", "汽") for line in ZH]
    assert sacrebleu.corpus_bleu(other, [ZH], tokenize="13a").score < 1
    assert sacrebleu.corpus_bleu(other, [ZH], tokenize="zh").score > 60


@pytest.mark.parametrize(
    ("lines", "tokenize"),
    [
        (ZH, "zh"),
        (ZH, "char"),
        (JA, "zh"),
        (TH, "char"),
        (JA, "ja-mecab"),
        (TH, "flores200"),
        (KO, "13a"),
        ([" ".join(line) for line in ZH], "none"),
        (["A dog runs.", "Donaudampfschifffahrtsgesellschaft", "Zwei Hunde rennen."], "13a"),
        ([], "13a"),
        (["", "..."], "13a"),
    ],
)
def test_nothing_is_said_of_other_text_and_of_tokenizers_that_split_it(lines: list[str], tokenize: str) -> None:
    assert tokenizer_advice(lines, tokenize) is None
    if tokenize not in ("ja-mecab", "flores200"):  # these tokenizers need more than sacrebleu
        assert not unspaced(" ".join(bleu_words(line, tokenize)) for line in lines)


def test_the_phrasebook_is_spaced(phrases: list[Pair]) -> None:
    for side in ("en", "de"):
        assert tokenizer_advice([getattr(pair, side) for pair in phrases], "13a") is None


def score(tmp_path: Path, caplog: pytest.LogCaptureFixture, tokenize: str) -> list[str]:
    for name in ("hyp", "ref"):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in ZH), encoding="utf-8")
    config = ScoreConfig(hyp=str(tmp_path / "hyp"), ref=str(tmp_path / "ref"), bleu_tokenize=tokenize)
    with caplog.at_level(logging.WARNING, "nmt"):
        command(config)  # type: ignore[arg-type]
    return caplog.messages


def test_score_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    (message,) = score(tmp_path, caplog, "13a")
    assert message.endswith("use bleu_tokenize=zh")
    caplog.clear()
    assert score(tmp_path, caplog, "zh") == []


def without_spaces(lines: Lines) -> Lines:
    """Return the targets in Han characters without spaces."""
    han = str.maketrans({chr(code): chr(code + 0x4E00) for code in range(0x30, 0x180)} | {" ": ""})
    return [(src, tgt.translate(han)) for src, tgt in lines]


def test_training_and_evaluation_warn_and_the_best_checkpoint_is_that_of_the_lowest_perplexity(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = corpus(tmp_path, *map(without_spaces, (TRAIN[:200], VALID[:20], TEST[:20]))).data
    settings = Config(
        data=replace(data, cache=str(tmp_path / "cache"), tokenizer=TokenizerConfig(vocab_size=150)),
        model=model_config(embed_size=8, hidden_size=8, dropout=0.0),
        optim=OptimConfig(learning_rate=0.01, warmup_steps=1),
        train=TrainConfig(max_steps=5, batch_size=16, validate_every=1, patience=1),
        search=SearchConfig(max_length_ratio=0.0, max_length_offset=4),
        tracking=TrackingConfig(mode=TrackingMode.disabled),
    )
    run, cpu = RunDirectory(tmp_path / "run"), torch.device("cpu")
    run.create(settings, prepare(settings.data))
    with caplog.at_level(logging.WARNING, "nmt"):
        build_trainer(
            settings, run, prepare(settings.data), Tracker(run.path, settings.tracking, {}), cpu, bfloat16=False
        ).train()
        (training,) = [
            message for message in caplog.messages if "bleu_tokenize" in message
        ]  # not that of a busy machine
        caplog.clear()
        validations = [line for line in read_metrics(run.metrics_path) if "valid/bleu" in line]
        translator, step = load_translator(run, "best", settings.search, cpu)
        evaluate_split(run, translator, "test", step, settings)
        (evaluation,) = [message for message in caplog.messages if "bleu_tokenize" in message]
    assert training.endswith("use data.bleu_tokenize=zh")
    assert "scripts/score.py bleu_tokenize=zh" in evaluation
    assert {line["valid/matching_4grams"] for line in validations} == {0}
    assert max(line["valid/bleu"] for line in validations) > 1  # not 0 only because of smoothing
    assert step == min(validations, key=lambda line: line["valid/perplexity"])["step"] == 5


def test_doctor_calls_it_bad_and_names_the_remedy(tmp_path: Path) -> None:
    config = corpus(tmp_path, *map(without_spaces, (TRAIN, VALID, TEST)))
    finding = cheap(config)["bleu tokenizer"]
    assert (finding.verdict, finding.remedy) == (Verdict.bad, "use data.bleu_tokenize=zh")
    finding = cheap(replace(config, data=replace(config.data, bleu_tokenize="zh")))["bleu tokenizer"]
    assert (finding.verdict, finding.remedy) == (Verdict.ok, "")
