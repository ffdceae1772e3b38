"""Fields of requests, as JSON, as a form, or as a form with a file, with checks of their types."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

MAX_FIELDS = 1000


class RequestError(Exception):
    """Mistake of a client, which is answered with a status and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def clean(text: str) -> str:
    """Return a text without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


async def read_fields(request: Request) -> dict[str, Any]:
    """Return the fields of a request's body and query.

    Raises:
        RequestError: the body is not JSON or a form, or is not UTF-8.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query = dict(request.query_params)
    if kind == "multipart/form-data":
        try:
            form = await request.form(max_files=1, max_fields=100)
        except (MultiPartException, HTTPException):
            raise RequestError(400, "the form cannot be read; send multipart/form-data with one file") from None
        return query | dict(form)
    body = await request.body()
    if not body:
        return query
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(400, "the body is not UTF-8") from None
    if kind == "application/x-www-form-urlencoded":
        try:
            return query | dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace"))
        except ValueError:
            raise RequestError(400, "the form has too many fields") from None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError(400, "the body is not valid JSON") from None
    if not isinstance(fields, dict):
        raise RequestError(400, "the body is not a JSON object")
    return query | fields


def refuse_other_sites(request: Request) -> None:
    """Refuse a request that a page of another site makes in the user's browser, for example to store a correction.

    Browsers send where a request is from in `Sec-Fetch-Site`, older ones in `Origin`; programs send neither.

    Raises:
        RequestError: the request is from another site.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        same = site in ("same-origin", "none")
    else:
        same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not same:
        raise RequestError(403, "requests from pages of other sites are refused")


def text_of(fields: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a text field.

    Raises:
        RequestError: it is missing or not a text.
    """
    value = fields.get(name, default)
    if value is None:
        raise RequestError(400, f"Invalid request: missing {name} parameter")
    if not isinstance(value, str):
        raise RequestError(400, f"Invalid request: {name} must be a text")
    return clean(value)


def number_of(fields: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    """Return a whole number, which a form may write as text.

    Raises:
        RequestError: it is not a number, or out of range.
    """
    value = fields.get(name, default)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RequestError(400, f"Invalid request: {name} must be a whole number from {low} to {high}")
    return value


def texts_of(fields: dict[str, Any], name: str, most: int = 20, length: int = 200) -> list[str]:
    """Return a list of short texts.

    Raises:
        RequestError: it is not a list of at most `most` texts of at most `length` characters.
    """
    value = fields.get(name, [])
    if not isinstance(value, list) or len(value) > most or not all(isinstance(text, str) for text in value):
        raise RequestError(400, f"Invalid request: {name} must be a list of at most {most} texts")
    if any(len(text) > length for text in value):
        raise RequestError(400, f"Invalid request: a text of {name} has more than {length} characters")
    return [clean(text) for text in value]


def mapping_of(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a mapping.

    Raises:
        RequestError: it is not a mapping.
    """
    value = fields.get(name, {})
    if not isinstance(value, dict):
        raise RequestError(400, f"Invalid request: {name} must be an object")
    return value


def file_of(fields: dict[str, Any], name: str) -> UploadFile:
    """Return an uploaded file.

    Raises:
        RequestError: there is none.
    """
    value = fields.get(name)
    if not isinstance(value, UploadFile):
        raise RequestError(400, f"Invalid request: missing {name} parameter")
    return value
