"""Downloads from a local server that misbehaves on request."""

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nmt.config.data import DownloadConfig
from nmt.data.preprocessing.fetch import Patience, fetch, sha256_of
from nmt.errors import UserError

BODY = b"".join(b"the house number %d\n" % number for number in range(20_000))
NAME = "raw/train.en"
QUICK = Patience(attempts=3, backoff=0.001, timeout=2.0)
Output = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
Log = pytest.LogCaptureFixture


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@dataclass
class Site:
    """Behaviour of the server, and the requests that it received."""

    url: str = ""
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # number of bytes after which the next responses break off
    always_cut: int | None = None
    statuses: list[int] = field(default_factory=list)  # status codes of the next responses
    false_starts: list[int] = field(default_factory=list)  # wrong starts of the next ranges
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range header

    def download(self, body: bytes = BODY, name: str = NAME) -> DownloadConfig:
        return DownloadConfig(url=self.url, sha256={name: sha(body)})

    @property
    def requested_ranges(self) -> list[str | None]:
        return [requested for _, requested in self.requests]


@pytest.fixture
def site(monkeypatch: Patch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested = self.headers["Range"]
            state.requests.append((self.path, requested))
            if state.statuses or self.path not in (f"/files/{NAME}", "/files/with%20space%23.txt"):
                self.send_error(state.statuses.pop(0) if state.statuses else 404)
                return
            start = 0
            if requested and state.ranges:
                start = int(requested.removeprefix("bytes=").removesuffix("-"))
                if start >= len(BODY):
                    self.send_error(416)
                    return
                if state.false_starts:
                    start = state.false_starts.pop()
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(BODY) - start))
            self.end_headers()
            cut = state.cuts.pop(0) if state.cuts else state.always_cut
            self.wfile.write(BODY[start:] if cut is None else BODY[start : start + cut])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/files"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def part_of(folder: Path) -> Path:
    return folder / f"{NAME}.part"


def leave_part(folder: Path, body: bytes) -> None:
    part_of(folder).parent.mkdir(parents=True)
    part_of(folder).write_bytes(body)


def fetched(site: Site, folder: Path) -> bytes:
    return fetch(site.download(), folder, None, [NAME], QUICK)[NAME].read_bytes()


def refused(download: DownloadConfig, folder: Path, mirror: Path | None = None, name: str = NAME) -> str:
    """Return the message of the UserError that `fetch` raises, which must be one line."""
    with pytest.raises(UserError) as caught:
        fetch(download, folder, mirror, [name], QUICK)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sha256_of_a_published_vector(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("slash", ["", "/"])
def test_fetches_only_what_is_missing_or_damaged(site: Site, tmp_path: Path, slash: str) -> None:
    site.url += slash
    for _ in range(2):
        assert fetch(site.download(), tmp_path, None, [NAME, NAME], QUICK) == {NAME: tmp_path / NAME}
        assert (tmp_path / NAME).read_bytes() == BODY
        assert not part_of(tmp_path).exists()
    assert site.requests == [(f"/files/{NAME}", None)]
    (tmp_path / NAME).write_bytes(BODY[:-1])
    assert fetched(site, tmp_path) == BODY


def test_name_is_quoted_in_the_address(site: Site, tmp_path: Path) -> None:
    name = "with space#.txt"
    assert fetch(site.download(name=name), tmp_path, None, [name], QUICK)[name].read_bytes() == BODY


def test_resumes_in_the_next_call(site: Site, tmp_path: Path) -> None:
    half = len(BODY) // 2
    site.cuts, site.always_cut = [half], 0
    message = refused(site.download(), tmp_path)
    assert f"{half} of {len(BODY)} bytes" in message
    assert "data.mirror=FOLDER" in message
    assert part_of(tmp_path).read_bytes() == BODY[:half]
    assert not (tmp_path / NAME).exists()
    site.always_cut = None
    site.requests.clear()
    assert fetched(site, tmp_path) == BODY
    assert site.requested_ranges == [f"bytes={half}-"]


def test_resumes_within_a_call_as_long_as_there_is_progress(site: Site, tmp_path: Path) -> None:
    site.always_cut = len(BODY) // 5
    assert fetched(site, tmp_path) == BODY
    starts = range(site.always_cut, len(BODY), site.always_cut)
    assert site.requested_ranges == [None, *(f"bytes={start}-" for start in starts)]
    assert len(site.requests) > QUICK.attempts


def test_server_that_ignores_range(site: Site, tmp_path: Path) -> None:
    site.ranges, site.cuts = False, [100_000]
    assert fetched(site, tmp_path) == BODY
    assert site.requested_ranges == [None, "bytes=100000-"]


def test_gives_up_on_a_server_that_ignores_range_and_always_breaks_off(site: Site, tmp_path: Path) -> None:
    site.ranges, site.always_cut = False, 100_000
    assert "100000 of" in refused(site.download(), tmp_path)
    assert len(site.requests) == QUICK.attempts


def test_server_that_sends_another_range(site: Site, tmp_path: Path, caplog: Log) -> None:
    leave_part(tmp_path, BODY[:1000])
    site.false_starts = [0]
    assert fetched(site, tmp_path) == BODY
    assert site.requested_ranges == ["bytes=1000-", None]
    assert "another range" in caplog.text


@pytest.mark.parametrize(
    ("part", "ranges"),
    [
        (BODY, [f"bytes={len(BODY)}-"]),
        (BODY + b"more", [f"bytes={len(BODY) + 4}-", None]),
        (b"x" * 1000, ["bytes=1000-", None]),
    ],
    ids=["complete", "longer", "of another version"],
)
def test_part_from_an_earlier_call(site: Site, tmp_path: Path, part: bytes, ranges: list[str | None]) -> None:
    leave_part(tmp_path, part)
    assert fetched(site, tmp_path) == BODY
    assert site.requested_ranges == ranges


def test_wrong_checksum(site: Site, tmp_path: Path) -> None:
    message = refused(site.download(b"another version"), tmp_path)
    for named in (
        NAME,
        sha(BODY),
        sha(b"another version"),
        "deleted",
    ):
        assert named in message
    assert not part_of(tmp_path).exists()
    assert not (tmp_path / NAME).exists()
    assert len(site.requests) == 1


def test_missing_on_the_server_is_not_tried_again(site: Site, tmp_path: Path) -> None:
    message = refused(site.download(name="raw/none.de"), tmp_path, name="raw/none.de")
    for named in (f"{site.url}/raw/none.de", "HTTP 404", "data.mirror=FOLDER"):
        assert named in message
    assert len(site.requests) == 1


def test_busy_server_is_tried_again(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429]
    assert fetched(site, tmp_path) == BODY
    assert len(site.requests) == 3


def test_refused_connection(site: Site, tmp_path: Path, caplog: Log) -> None:
    site.url = "http://127.0.0.1:9/files"  # the discard port: nothing listens there
    message = refused(site.download(), tmp_path)
    for named in (f"http://127.0.0.1:9/files/{NAME}", "Connection refused", "3 times", "data.mirror=FOLDER"):
        assert named in message
    assert len(caplog.records) == QUICK.attempts - 1


@pytest.mark.parametrize("url", ["http://[::1/files", "http://127.0.0.1:port/files"])
def test_address_that_is_none(site: Site, tmp_path: Path, url: str) -> None:
    site.url = url
    assert url in refused(site.download(), tmp_path)


def test_mirror_is_read_in_place(site: Site, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / NAME).write_bytes(BODY)
    assert fetch(site.download(), tmp_path / "cache", tmp_path, [NAME], QUICK) == {NAME: tmp_path / NAME}
    assert not site.requests
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "raw", tmp_path / NAME]


def test_mirror_with_a_wrong_file_or_none(site: Site, tmp_path: Path) -> None:
    message = refused(site.download(), tmp_path / "cache", mirror=tmp_path)
    assert f"{tmp_path / NAME}: cannot be read (No such file" in message
    (tmp_path / "raw").mkdir()
    (tmp_path / NAME).write_bytes(b"other")
    message = refused(site.download(), tmp_path / "cache", mirror=tmp_path)
    for named in (str(tmp_path / NAME), sha(b"other"), sha(BODY)):
        assert named in message
    assert (tmp_path / NAME).read_bytes() == b"other"


@pytest.mark.parametrize("name", ["../out", "raw/../../out", "/etc/out", "", ".", "..\\out", "a\nb"])
@pytest.mark.parametrize("mirrored", [True, False])
def test_path_must_stay_inside(site: Site, tmp_path: Path, name: str, mirrored: bool) -> None:
    message = refused(site.download(name=name), tmp_path / "in", tmp_path if mirrored else None, name)
    assert repr(name) in message
    assert not site.requests
    assert not list(tmp_path.iterdir())


def test_path_without_digest_stops_before_any_download(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.download\.sha256 has no entry for raw/other\.en"):
        fetch(site.download(), tmp_path, None, [NAME, "raw/other.en"], QUICK)
    assert not site.requests


def test_disk_that_fails_is_not_tried_again(site: Site, tmp_path: Path) -> None:
    part_of(tmp_path).mkdir(parents=True)  # a folder in place of the file
    (tmp_path / "file").write_text("where a folder should be")
    site.ranges = False
    for folder, requests in ((tmp_path / "file", 0), (tmp_path, 1)):
        message = refused(site.download(), folder)
        assert message.startswith(f"{folder / NAME}: cannot be read or written")
        assert len(site.requests) == requests


def test_two_at_once_download_once(site: Site, tmp_path: Path) -> None:
    barrier = threading.Barrier(2)

    def run(_: int) -> bytes:
        barrier.wait(timeout=5)
        return fetched(site, tmp_path)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [BODY, BODY]
    assert len(site.requests) == 1


def test_progress_only_on_a_terminal(site: Site, tmp_path: Path, monkeypatch: Patch, capfd: Output) -> None:
    fetched(site, tmp_path / "silent")
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal)
        fetched(site, tmp_path)
        shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "train.en" in shown
    assert "/s" in shown
