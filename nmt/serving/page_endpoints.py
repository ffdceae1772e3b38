"""Endpoints of the page: models, translation with details, alternatives for a word, corrections, and long texts."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from nmt.config import SUFFIXES, DocumentFormat
from nmt.data import append_correction
from nmt.decoding import checked_correction
from nmt.errors import UserError
from nmt.serving.context import Context
from nmt.serving.guard import error_response
from nmt.serving.languages import direction, language_name
from nmt.serving.libretranslate import check_length
from nmt.serving.model import Model
from nmt.serving.requests import RequestError, mapping_of, number_of, text_of, texts_of
from nmt.serving.service import Wish

MAX_PREFIX = 5000

log = logging.getLogger(__name__)


def models(context: Context) -> Response:
    """Return the models with their languages and search settings."""
    return JSONResponse(
        {
            "keyRequired": bool(context.keys),
            "charLimit": context.config.max_characters,
            "byteLimit": context.config.max_bytes,
            "formats": {".txt": DocumentFormat.text} | SUFFIXES,
            "maxBeamSize": context.config.max_beam_size,
            "corrections": context.corrections is not None,
            "models": [
                {
                    "name": model.name,
                    "source": {"code": model.src, "name": language_name(model.src), "dir": direction(model.src)},
                    "target": {"code": model.tgt, "name": language_name(model.tgt), "dir": direction(model.tgt)},
                    "attention": model.attends and model.translator.forces_targets,
                    "calibration": calibration_summary(model),
                    "search": {
                        "kind": model.translator.config.kind,
                        "beam_size": model.translator.config.beam_size,
                        "length_penalty": model.translator.config.length_penalty,
                        "alpha": model.translator.config.alpha,
                    },
                }
                for model in context.service.models
            ],
        }
    )


def calibration_summary(model: Model) -> dict[str, Any] | None:
    """Return the errors of a model's calibration; None if it has none."""
    calibration = model.calibration
    if calibration is None:
        return None
    return {
        "before": round(calibration.before.value, 4),
        "after": round(calibration.after.value, 4),
        "words": calibration.tested_words,
    }


def read_wish(fields: dict[str, Any]) -> Wish:
    """Return the settings of a request.

    Raises:
        RequestError: a field has the wrong type.
    """
    prefixes = mapping_of(fields, "prefixes")
    if not all(key.isdecimal() and len(key) < 7 and isinstance(value, str) for key, value in prefixes.items()):
        raise RequestError(400, "Invalid request: prefixes must be texts by number of the sentence")
    if sum(map(len, prefixes.values())) > MAX_PREFIX:
        raise RequestError(400, f"Invalid request: prefixes have more than {MAX_PREFIX} characters")
    return Wish(
        mapping_of(fields, "search"),
        texts_of(fields, "require"),
        texts_of(fields, "forbid"),
        {int(key): value.encode(errors="replace").decode() for key, value in prefixes.items()},
    )


def chosen_model(context: Context, fields: dict[str, Any]) -> Model:
    """Return the model that a request names by its number."""
    return context.service.models[number_of(fields, "model", 0, 0, len(context.service.models) - 1)]


async def translate(context: Context, request: Request, fields: dict[str, Any]) -> Response:
    """Translate a text, with words, attention, confidence and n best of each sentence."""
    text = text_of(fields, "q")
    check_length(context, [text])
    return JSONResponse(await context.service.details(chosen_model(context, fields), text, read_wish(fields)))


async def alternatives(context: Context, request: Request, fields: dict[str, Any]) -> Response:
    """Return alternatives for the word of a sentence's translation behind a prefix."""
    line, prefix = text_of(fields, "q"), text_of(fields, "prefix", "")
    check_length(context, [line, prefix])
    found = await context.service.alternatives(chosen_model(context, fields), line, prefix, read_wish(fields))
    return JSONResponse({"alternatives": found})


async def correct(context: Context, request: Request, fields: dict[str, Any]) -> Response:
    """Append the correction of a sentence to the file of corrections.

    Raises:
        RequestError: the server saves none, a text is empty or too long, the vocabulary cannot write the correction, or
            the file cannot be written.
    """
    if context.corrections is None:
        raise RequestError(403, "this server saves no corrections; start it with corrections=FILE")
    model = chosen_model(context, fields)
    source, wanted = text_of(fields, "q"), text_of(fields, "correction")
    translation = text_of(fields, "translation", "")
    check_length(context, [source, wanted, translation])
    try:
        correction = checked_correction(model.translator, source, wanted, translation, model.src, model.tgt)
    except UserError as error:
        raise RequestError(400, f"Invalid request: {error}") from None
    try:
        await asyncio.to_thread(append_correction, context.corrections, correction)
    except UserError as error:
        log.error("%s", error)
        raise RequestError(503, "the correction cannot be saved; the log of the server gives the reason") from None
    return JSONResponse({"saved": True})


def document_format_of(fields: dict[str, Any]) -> DocumentFormat:
    """Return the format of a document.

    Raises:
        RequestError: there is none of this name.
    """
    kind = text_of(fields, "format", "text")
    if kind not in list(DocumentFormat):
        raise RequestError(400, f"{kind} format is not supported; use {', '.join(DocumentFormat)}")
    return DocumentFormat(kind)


async def stream(context: Context, request: Request, fields: dict[str, Any]) -> Response:
    """Translate a long text, and send its progress as server-sent events: `progress`, then `done` or `failed`."""
    text, kind = text_of(fields, "q"), document_format_of(fields)
    model, wish = chosen_model(context, fields), read_wish(fields)
    service = context.service
    search = replace(service.search_of(model, wish.search), n_best=1)
    divided = await asyncio.to_thread(service.divide, model, text, kind, "the document")
    total = len(divided.segments)
    windows = service.translate_markup(model, search, divided.segments, divided.escapes, wish.forbid)

    async def events() -> AsyncIterator[bytes]:
        found: list[str] = []
        yield event("progress", {"done": 0, "total": total})
        try:
            async for window in windows:
                found += [of_line[0] for of_line in window]
                yield event("progress", {"done": len(found), "total": total})
        except Exception as error:  # the status is sent already
            yield b"event: failed\ndata: " + bytes(error_response(error).body) + b"\n\n"
            return
        yield event("done", {"translatedText": divided.join(found)})

    return StreamingResponse(events(), media_type="text/event-stream")


def event(name: str, data: dict[str, Any]) -> bytes:
    """Return a server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
