"""The protocol of LibreTranslate: answers, errors, limits and keys."""

import html
import json
import logging
import re
from typing import Any

import pytest
from serving_client import KEY, client_of
from starlette.testclient import TestClient

from nmt.config import SearchConfig, from_hydra
from nmt.documents.formats import markdown
from nmt.lab.doctor.language import language_scores
from nmt.phrasebook import Pair
from nmt.serving import Model, read_keys
from nmt.serving.guard import Guard
from nmt.serving.keys import RateLimit
from nmt.serving.libretranslate import widened

ENGLISH = {"source": "en", "target": "de"}


def single(models: list[Model], line: str, number: int = 0) -> str:
    return models[number].translator.translate([line])[0][0].text


def post(client: TestClient, path: str, status: int = 200, **fields: Any) -> Any:
    answer = client.post(path, json=fields)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_text_and_a_list_are_translated_as_without_a_server(
    client: TestClient, models: list[Model], phrases: list[Pair]
) -> None:
    lines = [pair.en for pair in phrases[:3]]
    alone = [single(models, line) for line in lines]
    assert post(client, "/translate", q=lines[0], **ENGLISH) == {"translatedText": alone[0]}
    assert post(client, "/translate", q=lines, **ENGLISH) == {"translatedText": alone}
    back = {"source": "de", "target": "en"}
    assert post(client, "/translate", q=phrases[0].de, **back)["translatedText"] == single(models, phrases[0].de, 2)


def test_paragraphs_blank_lines_and_sentences_are_kept(
    client: TestClient, models: list[Model], phrases: list[Pair]
) -> None:
    first, second, third = (pair.en for pair in phrases[:3])
    a, b, c = (single(models, line) for line in (first, second, third))
    answer = post(client, "/translate", q=f"\n  {first} {second}\r\n\r\n\t{third}\n", **ENGLISH)
    assert answer["translatedText"] == f"\n  {a} {b}\r\n\r\n\t{c}\n"
    assert post(client, "/translate", q="", **ENGLISH) == {"translatedText": ""}
    assert post(client, "/translate", q=[], **ENGLISH) == {"translatedText": []}


def test_html_keeps_tags_code_and_entities(client: TestClient, models: list[Model], phrases: list[Pair]) -> None:
    first, second = phrases[0].en, phrases[1].en
    text = (
        f'<!-- note --><p class="x">{first}</p>\n<script>if (a < b) "{first}"</script><code>a &lt; b</code>'
        f'<br/><b translate="no">{first}</b> {second} &amp; AT&T'
    )
    answer = post(client, "/translate", q=text, format="html", **ENGLISH)["translatedText"]
    assert answer.startswith(f'<!-- note --><p class="x">{single(models, first)}</p>\n<script>if (a < b) "{first}"')
    assert f'</script><code>a &lt; b</code><br/><b translate="no">{first}</b> ' in answer


def test_alternatives_are_the_n_best_translations(client: TestClient, models: list[Model], phrases: list[Pair]) -> None:
    model = models[0]
    search = model.search({"n_best": 3, "beam_size": 4})
    expected = [candidate.text for candidate in model.with_search(search).translate([phrases[0].en])[0]]
    answer = post(client, "/translate", q=phrases[0].en, alternatives=2, **ENGLISH)
    assert [answer["translatedText"], *answer["alternatives"]] == expected
    listed = post(client, "/translate", q=[phrases[0].en], alternatives=2, **ENGLISH)
    assert listed["alternatives"] == [expected[1:]]


def test_languages_settings_and_detection(client: TestClient, phrases: list[Pair]) -> None:
    assert client.get("/languages").json() == [
        {"code": "en", "name": "English", "targets": ["de"]},
        {"code": "de", "name": "German", "targets": ["en"]},
    ]
    settings = client.get("/frontend/settings").json()
    assert (settings["charLimit"], settings["keyRequired"]) == (5000, False)
    assert settings["language"]["target"] == {"code": "de", "name": "German"}
    found = post(client, "/detect", q=" ".join(pair.de for pair in phrases[:5]))
    assert found[0]["language"] == "de"
    assert found[0]["confidence"] > 90
    auto = post(client, "/translate", q=" ".join(pair.de for pair in phrases[:3]), source="auto", target="en")
    assert auto["detectedLanguage"]["language"] == "de"


def test_a_language_is_detected_in_all_its_regions() -> None:
    text = "O senhor sabe onde fica a estação de comboios mais próxima?"
    scores = language_scores(text, ["pt-BR", "es", "pt-PT", "pt-BR"])
    assert sorted(code for code, _ in scores[:2]) == ["pt-BR", "pt-PT"]
    assert scores[0][1] == scores[1][1] > scores[2][1]
    assert len(scores) == 3


def test_a_file_is_translated_and_fetched(client: TestClient, models: list[Model], phrases: list[Pair]) -> None:
    data = f"\ufeff{phrases[0].en}\n\n{phrases[1].en}\n".encode()
    answer = client.post("/translate_file", data=ENGLISH, files={"file": ("a.txt", data)})
    assert answer.status_code == 200, answer.text
    fetched = client.get(answer.json()["translatedFileUrl"])
    assert fetched.text == f"{single(models, phrases[0].en)}\n\n{single(models, phrases[1].en)}\n"
    assert fetched.headers["content-disposition"] == 'attachment; filename="translation.txt"'
    assert client.get("/download_file/unknown.txt").json()["error"].startswith("there is no such file")
    refused = client.post("/translate_file", data=ENGLISH, files={"file": ("a.docx", data)})
    assert (refused.status_code, "not supported" in refused.json()["error"]) == (400, True)
    latin = client.post("/translate_file", data=ENGLISH, files={"file": ("a.txt", b"\xe4\xff")})
    assert (latin.status_code, "UTF-8" in latin.json()["error"]) == (400, True)


def test_files_of_every_format_are_translated(client: TestClient, models: list[Model], phrases: list[Pair]) -> None:
    assert client.get("/frontend/settings").json()["supportedFilesFormat"] == [
        *(".txt", ".md", ".markdown", ".html", ".htm", ".xhtml", ".srt", ".vtt", ".tmx", ".xlf", ".xliff")
    ]
    line = phrases[0].en
    expected = single(models, line)
    for name, text in {
        "a.md": f"# {line}\n\n```\n{line}\n```\n",
        "a.srt": f"1\n00:00:01,000 --> 00:00:02,000\n{line}\n",
        "a.vtt": f"WEBVTT\n\n00:01.000 --> 00:02.000\n{line}\n",
        "a.tmx": f'<tmx><body><tu><tuv xml:lang="en"><seg>{line}</seg></tuv></tu></body></tmx>',
        "a.xlf": f'<xliff version="2.0" srcLang="en"><unit><segment><source>{line}</source></segment></unit></xliff>',
    }.items():
        answer = client.post("/translate_file", data=ENGLISH, files={"file": (name, text.encode())})
        assert answer.status_code == 200, answer.text
        fetched = client.get(answer.json()["translatedFileUrl"])
        written = {"a.md": markdown.escape(expected), "a.srt": expected}.get(name, html.escape(expected, quote=False))
        assert written in fetched.text
    bomb = b'<!DOCTYPE tmx [<!ENTITY a "aaaa">]><tmx>&a;</tmx>'
    refused = client.post("/translate_file", data=ENGLISH, files={"file": ("a.tmx", bomb)})
    assert (refused.status_code, "a.tmx: line 1 declares" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b"{", "application/json", "not valid JSON"),
        (b"[" * 100_000, "application/json", "not valid JSON"),
        (b'{"q": ' + b"9" * 5000 + b"}", "application/json", "not valid JSON"),
        (b"\xff\xfe", "application/json", "not UTF-8"),
        (b"[]", "application/json", "not a JSON object"),
        (b'{"source": "en", "target": "de"}', "application/json", "missing q"),
        (b'{"q": "a", "target": "de"}', "application/json", "missing source"),
        (b'{"q": [1], "source": "en", "target": "de"}', "application/json", "must be a text or a list"),
        (b'{"q": "a", "source": "en", "target": "fr"}', "application/json", "does not translate from en to fr"),
        (b'{"q": "a", "source": "en", "target": "de", "format": "pdf"}', "application/json", "pdf format"),
        (b'{"q": "a", "source": "en", "target": "de", "alternatives": -1}', "application/json", "whole number"),
        (b'{"q": "a", "source": "en", "target": "de", "alternatives": true}', "application/json", "whole number"),
        (b"q=a&" * 2000, "application/x-www-form-urlencoded", "too many fields"),
        (b"--x", "multipart/form-data", "form cannot be read"),
    ],
)
def test_a_mistake_is_answered_in_one_line(client: TestClient, body: bytes, kind: str, error: str) -> None:
    answer = client.post("/translate", content=body, headers={"content-type": kind})
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert error in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_strange_texts_are_translated(client: TestClient) -> None:
    for text in ["\ud83c house", "\x00\x1b[31m", "a" * 4000, "家は赤い", " \u3000 ", "</s> ▁ <unk>", "\uffff"]:
        answer = client.post("/translate", content=json.dumps({"q": text, **ENGLISH}))
        assert answer.status_code == 200, answer.text


def test_limits_are_refused_with_their_status(models: list[Model], phrases: list[Pair]) -> None:
    with client_of(models, max_characters=50, max_bytes=1000, max_queue=2, requests_per_minute=7) as client:
        assert "exceeds text limit (50)" in post(client, "/translate", 400, q="a" * 51, **ENGLISH)["error"]
        assert "more than 1000 bytes" in post(client, "/translate", 413, q="a" * 2000, **ENGLISH)["error"]
        assert "queue is full" in post(client, "/translate", 429, q=["a", "b", "c"], **ENGLISH)["error"]
        assert post(client, "/translate", q="a", **ENGLISH)
        assert client.get("/translate").status_code == 405
        assert client.get("/nowhere").json() == {"error": "Not Found"}
        answers = [client.post("/translate", json={"q": "a", **ENGLISH}).status_code for _ in range(6)]
        assert answers == [200, 200, 200, 200, 429, 429]
        assert client.get("/health").json() == {"status": "ok"}


def test_the_rate_is_refilled_evenly() -> None:
    now = [0.0]
    rate = RateLimit(60, lambda: now[0])
    assert [rate.admit("a") for _ in range(61)] == [True] * 60 + [False]
    assert rate.admit("b")
    now[0] = 2.5
    assert [rate.admit("a") for _ in range(3)] == [True, True, False]


def test_a_key_is_needed_where_there_are_keys(models: list[Model], tmp_path: Any) -> None:
    (tmp_path / "keys").write_text(f"\n{KEY}\n")
    with client_of(models, tuple(read_keys(str(tmp_path / "keys"))), host="0.0.0.0", keys_file="keys") as client:
        assert "API key" in post(client, "/translate", 400, q="a", **ENGLISH)["error"]
        assert post(client, "/translate", 403, q="a", api_key="wrong", **ENGLISH) == {"error": "Invalid API key"}
        assert post(client, "/translate", q="a", api_key=KEY, **ENGLISH)
        assert client.get("/metrics").status_code == 400
        assert client.get("/metrics", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
        assert client.get("/frontend/settings").json()["keyRequired"] is True


def test_a_foreign_host_name_is_refused_on_loopback(client: TestClient) -> None:
    assert client.get("/health", headers={"host": "attacker.example"}).status_code == 400
    assert client.get("/health", headers={"host": "localhost:5000"}).status_code == 200


def test_a_page_of_another_site_cannot_use_the_page_of_this_one(client: TestClient) -> None:
    """Mark the requests as browsers do: by Sec-Fetch-Site, or by the origin alone."""
    fields = {"q": "the house", "source": "en", "target": "de"}
    other = ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://elsewhere.example"})
    for headers in other:
        assert client.post("/page/translate", json=fields, headers=headers).status_code == 403
    host = str(client.base_url)
    for headers in ({}, {"sec-fetch-site": "same-origin", "origin": host}, {"origin": host}):
        assert client.post("/page/translate", json=fields, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("search", "count", "changes"),
    [
        ({}, 1, {}),
        ({"n_best": 3}, 1, {"n_best": 1}),
        ({"beam_size": 5}, 3, {"kind": "beam", "n_best": 3, "beam_size": 5}),
        ({"kind": "greedy"}, 3, {"kind": "beam", "n_best": 3, "beam_size": 5}),
        ({"kind": "diverse", "beam_size": 4, "groups": 4}, 6, {"kind": "diverse", "n_best": 6, "beam_size": 8}),
    ],
)
def test_every_search_is_widened_to_the_alternatives(
    search: dict[str, Any], count: int, changes: dict[str, Any]
) -> None:
    before = from_hydra(SearchConfig, search)
    assert widened(before, count) == changes
    assert from_hydra(SearchConfig, search | changes).n_best == count


def test_metrics_count_and_the_access_log_holds_no_text(
    models: list[Model], phrases: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="nmt"), client_of(models) as client:
        post(client, "/translate", q=[pair.en for pair in phrases[:3]], **ENGLISH)
        client.get(f"/{phrases[0].en}")
        text = client.get("/metrics").text
    assert 'nmt_requests_total{path="/translate",status="200"} 1' in text
    assert 'nmt_requests_total{path="other",status="404"} 1' in text
    assert f"nmt_characters_total {sum(len(pair.en) for pair in phrases[:3])}" in text
    buckets = [int(count) for count in re.findall(r"nmt_batch_size_bucket\{.*\} (\d+)", text)]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 1  # the three sentences were one batch
    logged = [json.loads(record.getMessage()) for record in caplog.records if record.name.endswith("guard")]
    assert [(line["path"], line["status"]) for line in logged] == [
        ("/translate", 200),
        ("other", 404),
        ("/metrics", 200),
    ]
    assert not any(word in caplog.text for word in phrases[0].en.split() if len(word) > 3)


def test_the_openapi_document_names_every_endpoint(client: TestClient) -> None:
    document = client.get("/spec").json()
    assert document["openapi"].startswith("3.1")
    assert isinstance(client.app, Guard)
    assert set(document["paths"]) == set(client.app.paths)
    for path, operations in document["paths"].items():
        assert client.request("PUT", path).status_code == 405, path
        for method in operations.keys() - {"parameters"}:
            assert client.request(method, path).status_code != 405, path
