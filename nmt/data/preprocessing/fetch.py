"""Download of a corpus's files into a folder, or use of a mirror folder, with verification by SHA-256."""

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
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from nmt.config.data import DownloadConfig
from nmt.data.preprocessing.locking import locked
from nmt.errors import UserError

_CHUNK = 1 << 16  # bytes
_MAX_BYTES = 1 << 36  # maximum size of a file, 64 GiB: files of the largest parallel corpora are smaller
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # HTTP status codes that justify another attempt

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Retry policy of a download."""

    attempts: int = 5
    """Maximum number of consecutive attempts without a new byte."""
    backoff: float = 1.0
    """Seconds before the second attempt; doubled before each further attempt."""
    timeout: float = 30.0
    """Timeout in seconds for a connection and for each read."""


PATIENT = Patience()


class _TransientError(Exception):
    """Failure of an attempt that another attempt may overcome."""


def fetch(
    download: DownloadConfig, folder: Path, mirror: Path | None, paths: Collection[str], patience: Patience = PATIENT
) -> dict[str, Path]:
    """Return the location on disk of each of `paths`, complete and with the SHA-256 given in `download`.

    With a mirror, its files are used in place and nothing is written. Without a mirror, missing files are downloaded
    into `folder`, and an interrupted download is resumed. Several processes may call this function at once.

    Raises:
        UserError: a path has no digest or is outside the folder, a digest does not match, or network or disk fail.
    """
    unique = dict.fromkeys(paths)
    for path in unique:
        _check_path(path)
        if path not in download.sha256:
            raise UserError(
                f"data.download.sha256 has no entry for {path}; choose languages that the corpus has, or add the "
                "file's SHA-256 there"
            )
    if mirror is not None:
        return {path: _check_mirror(mirror / path, download, path) for path in unique}
    return {path: _fetch_file(folder / path, download, path, patience) for path in unique}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, in constant memory; raise OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_path(path: str) -> None:
    pure = PurePosixPath(path)
    inside = pure.parts and not pure.is_absolute() and ".." not in pure.parts
    if not inside or "\\" in path or not path.isprintable():
        raise UserError(
            f"{path!r} is not a path inside data.download.url; "
            "write it relative to that address, with / between folders and without .."
        )


def _check_mirror(file: Path, download: DownloadConfig, path: str) -> Path:
    """Return a file of the mirror after checking its digest."""
    try:
        digest = sha256_of(file)
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({_describe(error)}); put {path} into data.mirror, "
            f"or unset data.mirror to download it from {download.url}"
        ) from error
    if digest != download.sha256[path]:
        raise UserError(
            f"{file}: is another version, SHA-256 {digest}, expected {download.sha256[path]}; "
            f"put the right file there, or unset data.mirror to download it from {download.url}"
        )
    return file


def _fetch_file(file: Path, download: DownloadConfig, path: str, patience: Patience) -> Path:
    """Return a file of the download folder, after downloading it if it is missing or its digest differs."""
    digest = download.sha256[path]
    try:
        # This check precedes the lock, so that a complete folder may be read-only.
        if file.is_file() and sha256_of(file) == digest:
            return file
        with locked(Path(f"{file}.lock")):
            if not (file.is_file() and sha256_of(file) == digest):  # it may have been downloaded meanwhile
                _download(f"{download.url.rstrip('/')}/{quote(path)}", file, digest, patience)
    except OSError as error:  # network errors are handled in _download, so this is a disk error
        raise UserError(
            f"{file}: cannot be read or written ({_describe(error)}); check permissions and free disk space, "
            "or set data.cache to another folder"
        ) from error
    return file


def _download(url: str, file: Path, digest: str, patience: Patience) -> None:
    """Download `url` into `file` by way of `file.part`, which is kept after an interruption."""
    part = file.with_name(file.name + ".part")
    resumed = part.exists()
    failures, furthest = 0, _size(part)
    while True:
        try:
            _attempt(url, part, digest, patience.timeout)
        except _TransientError as fault:
            # Only bytes beyond every earlier attempt count as progress. Otherwise a server that ignores Range and
            # always breaks off at the same byte would cause an endless loop.
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
        part_digest = sha256_of(part)
        if part_digest == digest:
            break
        part.unlink()
        if not resumed:
            raise UserError(
                f"{file}: downloaded from {url} with SHA-256 {part_digest}, expected {digest}; it was deleted: "
                "try again; if the digest stays the same, compare data.download.sha256 with the publisher's"
            )
        resumed = False  # the part of an earlier call may be of another version, so restart from byte 0 once
    with open(part, "rb+") as done:
        os.fsync(done.fileno())
    os.replace(part, file)


def _attempt(url: str, part: Path, digest: str, timeout: float) -> None:
    """Download the missing bytes of `part`.

    Raises:
        _TransientError: another attempt may succeed.
        UserError: no attempt can succeed.
        OSError: the disk fails.
    """
    offset = _size(part)
    headers = {"User-Agent": "nmt"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            if sha256_of(part) == digest:  # the part is complete and only has to be renamed
                return
            part.unlink()
            raise _TransientError("the partial file was longer than the server's, and was deleted") from error
        if error.code in _TRANSIENT:
            raise _TransientError(_describe(error)) from error
        raise _permanent_error(url, error) from error
    except (ValueError, http.client.InvalidURL) as error:
        raise _permanent_error(url, error) from error
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(_describe(error)) from error
    with response:
        sent = response.headers.get("Content-Range", "")
        if response.status == 206 and not sent.startswith(f"bytes {offset}-"):
            part.unlink()
            raise _TransientError("the server sent another range than requested")
        if response.status != 206:
            offset = 0  # the server ignores Range and sends the whole file
        _receive(response, part, offset)


def _receive(response: http.client.HTTPResponse, part: Path, offset: int) -> None:
    """Write the body of the response into `part` from byte `offset` on."""
    length = response.headers.get("Content-Length", "")
    total = offset + int(length) if length.isdecimal() and len(length) < 20 else None
    _refuse_too_large(part, total or 0, (total or 0) - _size(part))
    received = offset
    with open(part, "ab") as file, _progress_bar() as bar:
        file.truncate(offset)
        # With `completed` set to the offset, speed and time left count only the bytes of this attempt.
        task = bar.add_task(escape(part.name.removesuffix(".part")), total=total, completed=offset)
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _TransientError(f"{_describe(error)} after {received} bytes") from error
            if not chunk:
                break
            file.write(chunk)
            received += len(chunk)
            _refuse_too_large(part, received)
            bar.update(task, completed=received)
    # http.client raises no error when a body of known length is cut off.
    if total is not None and received < total:
        raise _TransientError(f"the connection broke off after {received} of {total} bytes")


def _refuse_too_large(part: Path, size: int, missing: int = 0) -> None:
    """Raise UserError if a file exceeds the maximum size, or its missing bytes exceed the free disk space."""
    name = part.name.removesuffix(".part")
    if size > _MAX_BYTES:
        raise UserError(
            f"{name} is larger than {_MAX_BYTES >> 30} GiB; download it yourself and set data.mirror=FOLDER"
        )
    if missing > 0 and missing > (free := shutil.disk_usage(part.parent).free):
        raise UserError(
            f"{name} needs {missing:,} bytes more, but {part.parent} has {free:,} free; choose another data.cache"
        )


def _progress_bar() -> Progress:
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    terminal = sys.stderr.isatty()
    return Progress("{task.description}", *columns, console=Console(stderr=True), disable=not terminal)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _permanent_error(url: str, error: Exception) -> UserError:
    return UserError(
        f"{url}: cannot be downloaded ({_describe(error)}); check data.download.url and the file's name, "
        "or set data.mirror=FOLDER to read the same files from a folder"
    )


def _describe(error: BaseException) -> str:
    """Return the cause of a network or disk error in a few words."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code} {error.reason}".strip()
    if isinstance(error, URLError):  # it wraps the socket's error or a short text
        return _describe(error.reason) if isinstance(error.reason, BaseException) else error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
