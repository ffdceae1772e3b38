"""Endpoints of the page: words, attention, confidence, alternatives, constraints, progress."""

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from serving_client import client_of
from starlette.testclient import TestClient

from nmt.data import make_batch
from nmt.decoding import align_words
from nmt.evaluation.calibration import Calibration, CalibrationError
from nmt.evaluation.perplexity import forced_log_probs
from nmt.phrasebook import Pair
from nmt.serving import Model


def post(client: TestClient, path: str, status: int = 200, **fields: Any) -> Any:
    answer = client.post(f"/page/{path}", json=fields)
    assert answer.status_code == status, answer.text
    return answer.json()


def events(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_models_are_listed(client: TestClient) -> None:
    answer = client.get("/page/models").json()
    assert [model["name"] for model in answer["models"]] == ["first", "other", "back"]
    assert answer["models"][0]["target"] == {"code": "de", "name": "German", "dir": "ltr"}
    assert answer["models"][0]["attention"] is True


def test_words_confidence_and_attention_agree_with_the_model(
    client: TestClient, models: list[Model], phrases: list[Pair]
) -> None:
    for pair in phrases[:4]:
        line = pair.en
        [segment] = post(client, "translate", q=line, search={"n_best": 2})["segments"]
        translator = models[0].with_search(models[0].search({"n_best": 2}))
        candidates = translator.translate([line])[0]
        assert [found["text"] for found in segment["candidates"]] == [candidate.text for candidate in candidates]
        assert segment["candidates"][0]["probability"] == pytest.approx(math.exp(candidates[0].log_prob), rel=1e-3)
        words = segment["words"]
        assert words["source"] == line.split()
        assert words["target"] == candidates[0].text.split()
        # The product over the words and eos is the probability of the sentence.
        [source], [target] = translator.src.encode([line]), candidates[0].pieces
        eos = forced_log_probs(translator.model, make_batch([source], [target], range(1)))[-1, 0].item()
        total = math.prod(words["confidence"]) * math.exp(eos)
        assert total == pytest.approx(math.exp(candidates[0].log_prob), rel=0.05, abs=1e-3)
        links = {tgt: src for src, tgt in align_words(translator, [line], [candidates[:1]])[0][0]}
        for number, row in enumerate(words["attention"]):
            assert sum(row) == pytest.approx(1, abs=1e-2)
            assert row[links[number]] == pytest.approx(max(row), abs=1e-3)


def test_a_calibration_maps_the_confidence_of_words(models: list[Model], phrases: list[Pair]) -> None:
    errors = CalibrationError(0.2, 0.1, 0.3), CalibrationError(0.02, 0.01, 0.03)
    calibration = Calibration(1, (0.0, 1.0), (0.5, 1.0), 100, 50, *errors)
    line = phrases[0].en
    with client_of([models[0], replace(models[0], calibration=calibration)]) as client:
        listed = client.get("/page/models").json()["models"]
        assert [model["calibration"] for model in listed] == [None, {"before": 0.2, "after": 0.02, "words": 50}]
        found = [post(client, "translate", q=line, model=number)["segments"][0]["words"] for number in (0, 1)]
    plain, mapped = (words["confidence"] for words in found)
    assert mapped == pytest.approx([0.5 + value / 2 for value in plain], abs=1e-3)


def test_a_prefix_is_forced_in_its_sentence(client: TestClient, models: list[Model], phrases: list[Pair]) -> None:
    text = f"{phrases[0].en} {phrases[1].en}"
    answer = post(client, "translate", q=text, prefixes={"1": "Das Haus"})
    assert [segment["source"] for segment in answer["segments"]] == [phrases[0].en, phrases[1].en]
    assert answer["segments"][1]["candidates"][0]["text"].startswith("Das Haus")
    free = models[0].translator.translate([phrases[0].en])[0][0].text
    assert answer["segments"][0]["candidates"][0]["text"] == free


def test_required_and_forbidden_phrases(client: TestClient, phrases: list[Pair]) -> None:
    line = phrases[0].en
    [segment] = post(client, "translate", q=line, require=["Haus"], search={"beam_size": 4})["segments"]
    assert re.search(r"(?<!\S)Haus(?!\w)", segment["candidates"][0]["text"])
    [free] = post(client, "translate", q=line)["segments"]
    word = re.sub(r"\W+$", "", free["candidates"][0]["text"].split()[0])
    [without] = post(client, "translate", q=line, forbid=[word])["segments"]
    assert not re.search(rf"(?<!\S){re.escape(word)}(?!\w)", without["candidates"][0]["text"])
    refused = post(client, "translate", 400, q=line, require=["das Haus"], forbid=["Haus"])
    assert "forbidden" in refused["error"]


def test_alternatives_are_the_most_probable_next_words(
    client: TestClient, models: list[Model], phrases: list[Pair]
) -> None:
    line = phrases[0].en
    found = post(client, "alternatives", q=line, prefix="Das")["alternatives"]
    assert found
    probabilities = [alternative["probability"] for alternative in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len({alternative["word"] for alternative in found}) == len(found)
    for alternative in found:
        assert alternative["text"].split()[:2] == ["Das", alternative["word"]]
    translator = models[0].translator
    [source], [prefix] = translator.src.encode([line]), translator.tgt.encode(["Das"])
    pieces = [i for i, piece in enumerate(translator.tgt.spellings) if piece.startswith("▁")]
    scores = [
        forced_log_probs(translator.model, make_batch([source], [[*prefix, piece]], range(1)))[-2, 0].item()
        for piece in pieces
    ]
    assert sum(probabilities) >= math.exp(max(scores)) - 1e-4


def test_long_texts_report_progress(client: TestClient, models: list[Model], phrases: list[Pair]) -> None:
    lines = [pair.en for pair in phrases[:150]]
    answer = client.post("/page/stream", json={"q": "\n".join(lines)})
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer.text)
    done = [data["done"] for name, data in found if name == "progress"]
    assert done[0] == 0
    assert done[-1] == found[0][1]["total"] >= 150
    assert done == sorted(done)
    assert len(done) > 3
    assert found[-1][0] == "done"
    assert len(found[-1][1]["translatedText"].split("\n")) == 150


def test_a_failure_in_the_middle_of_a_stream_is_an_event(
    models: list[Model], phrases: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Any, lines: list[str], **more: Any) -> Any:
        raise MemoryError(lines[0])

    monkeypatch.setattr(type(models[0].translator), "translate", failing)
    with client_of(models) as client:
        found = events(client.post("/page/stream", json={"q": phrases[0].en}).text)
    assert [name for name, _ in found] == ["progress", "failed"]
    assert phrases[0].en not in found[1][1]["error"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"search": {"beam_size": 1000}}, "at most 20"),
        ({"search": {"beam_size": "many"}}, "beam_size"),
        ({"search": {"batch_size": 1}}, "search has batch_size"),
        ({"search": {"kind": "mbr"}}, "search.kind is mbr"),
        ({"search": {"kind": "sampling", "temperature": 0}}, "temperature"),
        ({"search": []}, "search must be an object"),
        ({"model": 3}, "model must be a whole number from 0 to 2"),
        ({"prefixes": {"x": "a"}}, "prefixes must be"),
        ({"require": "a"}, "require must be a list"),
        ({"forbid": ["a" * 201]}, "more than 200 characters"),
        ({"require": ["Haus"], "search": {"kind": "greedy"}}, "does not support lexical constraints"),
        ({"prefixes": {"0": "家"}}, "cannot write"),
    ],
)
def test_mistakes_in_settings_are_refused(client: TestClient, fields: dict[str, Any], error: str) -> None:
    assert error in post(client, "translate", 400, q="The house is red.", **fields)["error"]


def test_sampling_with_a_seed_gives_the_same_text_again(client: TestClient, phrases: list[Pair]) -> None:
    search = {"kind": "sampling", "temperature": 1.5, "n_best": 3, "seed": 5}
    first, again = (post(client, "translate", q=phrases[0].en, search=search)["segments"] for _ in range(2))
    assert first == again
    assert len(first[0]["candidates"]) == 3
