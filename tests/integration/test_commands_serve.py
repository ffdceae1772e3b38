"""The serve command as a process: a real client, load, broken clients, signals, refusals."""

import contextlib
import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command import SMALL, call, refused
from libretranslatepy import LibreTranslateAPI
from serving_process import Server

from nmt.phrasebook import pairs

pytestmark = pytest.mark.commands

LINES = [pair.en for pair in pairs(200, seed=3)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve") / "run"
    call("train", *SMALL, "train.max_steps=20", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[Server]:
    server = Server(run, run.parent / "log")
    yield server
    assert server.stop() == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "all accepted requests are finished" in log


def test_an_existing_client_works(server: Server, run: Path, tmp_path: Path) -> None:
    client = LibreTranslateAPI(server.url)
    assert [language["code"] for language in client.languages()] == ["en", "de"]
    assert client.detect(" ".join(LINES[:5]))[0]["language"] == "en"
    settings = ("machine.threads=1", "search.max_length_ratio=1.0")
    output, _ = call("translate", f"run={run}", *settings, cwd=tmp_path, given="\n".join(LINES[:5]))
    assert [client.translate(line, "en", "de") for line in LINES[:5]] == output.split("\n")[:5]
    with pytest.raises(urllib.error.HTTPError) as error:
        client.translate("a", "en", "fr")
    assert "does not translate" in json.load(error.value)["error"]


def test_many_requests_in_flight_are_all_answered(server: Server) -> None:
    expected = [server.translate(line) for line in LINES[:20]]
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(server.translate, LINES[:20] * 10))
    assert answers == expected * 10
    assert {status for status, _ in answers} == {200}


def test_broken_clients_do_not_disturb_others(server: Server) -> None:
    head = (
        b"POST /translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
    for number, connection in enumerate(connections):
        connection.sendall([head, head + b'{"q": "', b"\xff\x00\r\n\r\n", b"GET / HTTP"][number % 4])
    for connection in connections[::2]:
        connection.close()
    assert server.translate(LINES[0])[0] == 200
    for body in (b"x" * 10_000_000, b"{", b"\xff", b"[" * 100_000):
        status, answer = server.post("/translate", body)
        assert 400 <= status < 500
        assert list(answer) == ["error"]
    for connection in connections[1::2]:
        connection.close()
    assert server.translate(LINES[0])[0] == 200
    with urllib.request.urlopen(server.url + "/health") as answer:
        assert json.load(answer) == {"status": "ok"}


def test_a_client_that_leaves_during_a_stream_does_not_disturb_others(server: Server) -> None:
    body = json.dumps({"q": "\n".join(LINES * 5)}).encode()
    head = f"POST /page/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head + body)
        assert b"200 OK" in connection.recv(4096)
    assert server.translate(LINES[1])[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_accepted_requests_are_finished_after_a_signal(run: Path, tmp_path: Path, number: int) -> None:
    server = Server(run, tmp_path / "log")
    with ThreadPoolExecutor(4) as pool:
        texts = [" ".join(LINES[start : start + 40]) for start in (0, 40, 80, 120)]
        answers = [pool.submit(server.translate, text) for text in texts]
        time.sleep(0.3)
        assert server.stop(number) == 0
        for answer in answers:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):  # one that the server had not accepted
                assert answer.result()[0] in (200, 503)
        assert sum(answer.exception() is None and answer.result()[0] == 200 for answer in answers) >= 1
    assert "Traceback" not in server.log.read_text()


def test_what_cannot_be_served_is_refused_in_one_line(run: Path, tmp_path: Path) -> None:
    assert "host is 0.0.0.0, which others can reach" in refused("serve", f"run={run}", "host=0.0.0.0", cwd=tmp_path)
    (tmp_path / "keys").write_text("short\n")
    line = refused("serve", f"run={run}", "host=0.0.0.0", "keys_file=keys", cwd=tmp_path)
    assert "less than 16 characters" in line
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "choose another port" in refused("serve", f"run={run}", f"port={port}", cwd=tmp_path)
    assert "nowhere" in refused("serve", "run=nowhere", cwd=tmp_path)
