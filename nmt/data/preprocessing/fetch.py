"""Gets a corpus's files: downloaded once into a folder, or read from a mirror; checked by SHA-256."""

import hashlib
import http.client
import logging
import os
import shutil
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from nmt.config.data import DownloadConfig
from nmt.data.preprocessing.locking import locked
from nmt.errors import UserError

_CHUNK = 1 << 16  # bytes
_MOST = 1 << 36  # bytes of a file, 64 GiB: the largest parallel corpora come in files of less
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP answers that may differ at the next attempt

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long a download puts up with a bad network."""

    attempts: int = 5
    """Attempts in a row that bring no new byte before giving up."""
    backoff: float = 1.0
    """Seconds before the second attempt; doubled before each further one."""
    timeout: float = 30.0
    """Seconds to wait for a connection, and for the next bytes."""


PATIENT = Patience()


class _Fault(Exception):
    """An attempt failed in a way that another may not."""


def fetch(
    download: DownloadConfig,
    folder: Path,
    mirror: Path | None,
    paths: Collection[str],
    patience: Patience = PATIENT,
) -> dict[str, Path]:
    """Returns where each of `paths` lies on disk, complete and with the SHA-256 that `download` gives.

    With a mirror, files are read where they are and nothing is written. Without one, what is not yet in
    `folder` is fetched into it; a download that was cut off goes on where it stopped. Several processes may
    call this at once. Raises UserError for a path without digest or outside the folder, a wrong digest, and a
    network or disk that fails.
    """
    wanted = dict.fromkeys(paths)
    for path in wanted:
        _check_path(path)
        if path not in download.sha256:
            raise UserError(f"data.download.sha256 has no entry for {path}; add the file's SHA-256 there")
    if mirror is not None:
        return {path: _from_mirror(mirror / path, download, path) for path in wanted}
    return {path: _from_network(folder / path, download, path, patience) for path in wanted}


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal; memory does not grow with the file. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_path(path: str) -> None:
    pure = PurePosixPath(path)
    inside = pure.parts and not pure.is_absolute() and ".." not in pure.parts
    if not inside or "\\" in path or not path.isprintable():
        raise UserError(
            f"{path!r} is no path inside data.download.url; "
            "write it relative to that address, with / between folders and without .."
        )


def _from_mirror(file: Path, download: DownloadConfig, path: str) -> Path:
    try:
        found = sha256_of(file)
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({_cause(error)}); put {path} into data.mirror, "
            f"or leave data.mirror out to download it from {download.url}"
        ) from error
    if found != download.sha256[path]:
        raise UserError(
            f"{file}: is another version, SHA-256 {found}, expected {download.sha256[path]}; "
            f"put the right file there, or leave data.mirror out to download it from {download.url}"
        )
    return file


def _from_network(file: Path, download: DownloadConfig, path: str, patience: Patience) -> Path:
    digest = download.sha256[path]
    try:
        # Before the lock is touched, so that a finished folder may be read-only.
        if file.is_file() and sha256_of(file) == digest:
            return file
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(Path(f"{file}.lock")):
            if not (file.is_file() and sha256_of(file) == digest):  # another process may have been faster
                _download(f"{download.url.rstrip('/')}/{quote(path)}", file, digest, patience)
    except OSError as error:  # the network's errors never get here, so this is the disk
        raise UserError(
            f"{file}: cannot be read or written ({_cause(error)}); check its rights and room on the disk, "
            "or set data.cache to another folder"
        ) from error
    return file


def _download(url: str, file: Path, digest: str, patience: Patience) -> None:
    """Brings `url` into `file` by way of `file.part`, which is what an interruption leaves behind."""
    part = file.with_name(file.name + ".part")
    resumed = part.exists()
    failures, furthest = 0, _size(part)
    while True:
        try:
            _attempt(url, part, digest, patience.timeout)
        except _Fault as fault:
            # Only bytes beyond any earlier attempt count as progress: a server that ignores Range and always
            # breaks off at the same place would otherwise be asked for ever.
            failures = 1 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= patience.attempts:
                raise UserError(
                    f"{url}: download failed {failures} times in a row ({fault}); try again later, "
                    "or set data.mirror=FOLDER to read the same files from a folder"
                ) from fault
            pause = patience.backoff * 2 ** (failures - 1)
            _log.warning("%s: %s; trying again in %g s", url, fault, pause)
            time.sleep(pause)
            continue
        found = sha256_of(part)
        if found == digest:
            break
        part.unlink()
        if not resumed:
            raise UserError(
                f"{file}: downloaded from {url} with SHA-256 {found}, expected {digest}; it was deleted: "
                "try again; if the digest stays the same, compare data.download.sha256 with the publisher's"
            )
        resumed = False  # the part of an earlier call may stem from another version: once more from the start
    with open(part, "rb+") as done:
        os.fsync(done.fileno())
    os.replace(part, file)


def _attempt(url: str, part: Path, digest: str, timeout: float) -> None:
    """Adds to `part` what is missing.

    Raises _Fault if another attempt may succeed, UserError if none can, OSError if the disk fails.
    """
    offset = _size(part)
    headers = {"User-Agent": "nmt"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            if sha256_of(part) == digest:  # it was complete, and lacked only its name
                return
            part.unlink()
            raise _Fault("the partial file was longer than the server's, and was deleted") from error
        if error.code in _PASSING:
            raise _Fault(_cause(error)) from error
        raise UserError(_hopeless(url, error)) from error
    except (ValueError, http.client.InvalidURL) as error:
        raise UserError(_hopeless(url, error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Fault(_cause(error)) from error
    with response:
        sent = response.headers.get("Content-Range", "")
        if response.status == 206 and not sent.startswith(f"bytes {offset}-"):
            part.unlink()
            raise _Fault("the server sent another range than was asked for")
        if response.status != 206:
            offset = 0  # the server ignores Range and sends the whole file
        _receive(response, part, offset)


def _receive(response: http.client.HTTPResponse, part: Path, offset: int) -> None:
    """Writes the response's body into `part` from byte `offset` on."""
    length = response.headers.get("Content-Length", "")
    total = offset + int(length) if length.isdecimal() and len(length) < 20 else None
    _refuse_too_large(part, total or 0, (total or 0) - _size(part))
    received = offset
    with open(part, "ab") as file, _progress_bar() as bar:
        file.truncate(offset)
        # Starting from what is there already, the bar's speed and time left count this attempt's bytes alone.
        task = bar.add_task(escape(part.name.removesuffix(".part")), total=total, completed=offset)
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Fault(f"{_cause(error)} after {received} bytes") from error
            if not chunk:
                break
            file.write(chunk)
            received += len(chunk)
            _refuse_too_large(part, received)
            bar.update(task, completed=received)
    # http.client says nothing when a body of known length is cut off.
    if total is not None and received < total:
        raise _Fault(f"the connection broke off after {received} of {total} bytes")


def _refuse_too_large(part: Path, size: int, missing: int = 0) -> None:
    """
    Raises:
        UserError: a file has more bytes than is sensible, or lacks more than the disk has room for.
    """
    name = part.name.removesuffix(".part")
    if size > _MOST:
        raise UserError(f"{name} is larger than {_MOST >> 30} GiB; fetch it yourself and give data.mirror=FOLDER")
    if missing > 0 and missing > (free := shutil.disk_usage(part.parent).free):
        raise UserError(f"{name} needs {missing:,} bytes more, and {part.parent} has {free:,}; give another data.cache")


def _progress_bar() -> Progress:
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    terminal = sys.stderr.isatty()
    return Progress("{task.description}", *columns, console=Console(stderr=True), disable=not terminal)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _hopeless(url: str, error: Exception) -> str:
    return (
        f"{url}: cannot be downloaded ({_cause(error)}); check data.download.url and the file's name, "
        "or set data.mirror=FOLDER to read the same files from a folder"
    )


def _cause(error: BaseException) -> str:
    """Says in a few words what went wrong, without Python's wrapping."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code} {error.reason}".strip()
    if isinstance(error, URLError):  # it wraps the socket's error, or a few words
        return _cause(error.reason) if isinstance(error.reason, BaseException) else error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
