"""Corrections from the page: what is stored, what is refused, and that a server without a file stores nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_client import KEY, client_of
from starlette.testclient import TestClient

from nmt.data import read_corrections
from nmt.serving import Model

FIELDS = {"q": "The  house is red.", "correction": "Das Haus ist rot.", "translation": "Das Haus rot."}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "corrections.jsonl"


@pytest.fixture
def writer(models: list[Model], file: Path) -> Iterator[TestClient]:
    with client_of(models, corrections=str(file), max_characters=100) as client:
        yield client


def send(client: TestClient, status: int, **fields: Any) -> Any:
    answer = client.post("/page/corrections", json=fields)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_correction_is_appended_in_normal_form_with_the_languages_of_its_model(
    writer: TestClient, file: Path
) -> None:
    assert writer.get("/page/models").json()["corrections"] is True
    assert send(writer, 200, **FIELDS) == {"saved": True}
    send(writer, 200, q="Das Haus ist rot.", correction="The house is red.", model=2)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]
    languages = {"src_lang": "en", "tgt_lang": "de"}
    assert lines[0] == {
        "source": "The house is red.",
        "correction": "Das Haus ist rot.",
        "translation": "Das Haus rot.",
        **languages,
    }
    assert lines[1] == {
        "source": "Das Haus ist rot.",
        "correction": "The house is red.",
        "src_lang": "de",
        "tgt_lang": "en",
    }
    assert len(read_corrections(file)) == 2


def test_a_server_without_a_file_saves_nothing(client: TestClient) -> None:
    assert client.get("/page/models").json()["corrections"] is False
    assert "corrections=FILE" in send(client, 403, **FIELDS)["error"]


def test_a_correction_needs_the_key_that_translations_need(models: list[Model], file: Path) -> None:
    with client_of(models, (KEY,), corrections=str(file)) as client:
        assert "key" in send(client, 400, **FIELDS)["error"]
        assert "key" in send(client, 403, **FIELDS, api_key=KEY[:-1] + "x")["error"]
        assert not file.exists()
        assert send(client, 200, **FIELDS, api_key=KEY) == {"saved": True}


def test_the_rate_of_requests_holds_for_corrections(models: list[Model], file: Path) -> None:
    with client_of(models, corrections=str(file), requests_per_minute=1) as client:
        send(client, 200, **FIELDS)
        assert "Slow down" in send(client, 429, **FIELDS)["error"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"q": None}, "missing q"),
        ({"correction": None}, "missing correction"),
        ({"correction": ["a"]}, "correction must be a text"),
        ({"correction": " \u200b "}, "the correction is empty"),
        ({"q": ""}, "the source is empty"),
        ({"q": "My uncle ate the sausage. Can you open the window?"}, "the source has 2 sentences"),
        ({"correction": "Das 家 ist rot."}, "cannot write '家'"),
        ({"correction": "a" * 101}, "exceeds text limit"),
        ({"translation": "a" * 101}, "exceeds text limit"),
        ({"model": 3}, "model must be"),
    ],
)
def test_what_cannot_be_learned_is_refused(writer: TestClient, file: Path, fields: dict[str, Any], error: str) -> None:
    assert error in send(writer, 400, **{**FIELDS, **fields})["error"]
    assert not file.exists()


def test_a_failure_to_write_is_logged_without_texts(
    models: list[Model], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client_of(models, corrections=str(tmp_path / "missing" / "file.jsonl")) as client:
        assert "the log of the server" in send(client, 503, **FIELDS)["error"]
    assert "missing" in caplog.text
    assert "Haus" not in caplog.text
