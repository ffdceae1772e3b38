"""Endpoints of LibreTranslate's protocol."""

import asyncio
from pathlib import PurePath
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nmt.config import SUFFIXES, DocumentFormat, SearchConfig, SearchKind
from nmt.serving.context import Context
from nmt.serving.languages import language_name
from nmt.serving.model import Model
from nmt.serving.requests import RequestError, clean, file_of, number_of, text_of

FORMATS = {".txt": DocumentFormat.text} | SUFFIXES
"""Formats of the files that can be translated, by suffix."""
MEDIA_TYPES = {
    DocumentFormat.text: "text/plain; charset=utf-8",
    DocumentFormat.markdown: "text/markdown; charset=utf-8",
    DocumentFormat.html: "text/html; charset=utf-8",
    DocumentFormat.srt: "application/x-subrip; charset=utf-8",
    DocumentFormat.vtt: "text/vtt; charset=utf-8",
    DocumentFormat.tmx: "application/x-tmx+xml; charset=utf-8",
    DocumentFormat.xliff: "application/xliff+xml; charset=utf-8",
}
"""Media type of each format."""


def languages(context: Context) -> Response:
    """Return the languages with the targets of each."""
    codes = context.service.languages().items()
    return JSONResponse([{"code": code, "name": language_name(code), "targets": targets} for code, targets in codes])


def settings(context: Context) -> Response:
    """Return what a client's page needs about this server."""
    model = context.service.models[0]
    return JSONResponse(
        {
            "apiKeys": bool(context.keys),
            "keyRequired": bool(context.keys),
            "charLimit": context.config.max_characters,
            "filesTranslation": True,
            "supportedFilesFormat": list(FORMATS),
            "frontendTimeout": 500,
            "suggestions": False,
            "language": {
                "source": {"code": model.src, "name": language_name(model.src)},
                "target": {"code": model.tgt, "name": language_name(model.tgt)},
            },
        }
    )


async def detect(context: Context, request: Request, fields: dict[str, Any]) -> Response:
    """Return the languages of this server that a text may be in, with their probabilities among all languages."""
    text = text_of(fields, "q")
    check_length(context, [text])
    return JSONResponse(context.service.detect(text))


def choose_model(context: Context, fields: dict[str, Any], text: str) -> tuple[Model, dict[str, Any] | None]:
    """Return the model of a request, and the detected language if the request leaves the source open.

    Raises:
        RequestError: the languages are missing, or no model has them.
    """
    source, target = text_of(fields, "source"), text_of(fields, "target")
    if source != "auto":
        return context.service.model_for(source, target), None
    sources = [model.src for model in context.service.models if model.tgt.lower() == target.lower()]
    found = [language for language in context.service.detect(text) if language["language"] in sources]
    source = found[0]["language"] if found else next(iter(sources), "auto")
    detected = {"language": source, "confidence": found[0]["confidence"] if found else 0.0}
    return context.service.model_for(source, target), detected


def check_length(context: Context, texts: list[str]) -> None:
    """Check the number of characters of a request.

    Raises:
        RequestError: there are too many.
    """
    count, most = sum(map(len, texts)), context.config.max_characters
    if count > most:
        raise RequestError(400, f"Invalid request: request ({count}) exceeds text limit ({most})")


def text_format(fields: dict[str, Any]) -> DocumentFormat:
    """Return the format of the texts of a request.

    Raises:
        RequestError: the format is neither text nor html.
    """
    kind = text_of(fields, "format", "text")
    if kind not in ("text", "html"):
        raise RequestError(400, f"{kind} format is not supported; use text or html")
    return DocumentFormat(kind)


def widened(search: SearchConfig, count: int) -> dict[str, Any]:
    """Return the changes of a search that make it find `count` translations of a sentence."""
    if count == 1 or search.kind not in (SearchKind.greedy, SearchKind.beam, SearchKind.diverse):
        return {} if search.n_best == count else {"n_best": count}
    diverse = search.kind == SearchKind.diverse
    beam_size = max(count, search.beam_size)
    beam_size += -beam_size % search.groups if diverse else 0
    return {"kind": "diverse" if diverse else "beam", "n_best": count, "beam_size": beam_size}


async def translate(context: Context, request: Request, fields: dict[str, Any]) -> Response:
    """Translate a text or a list of texts."""
    given = fields.get("q")
    if given is None:
        raise RequestError(400, "Invalid request: missing q parameter")
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise RequestError(400, "Invalid request: q must be a text or a list of texts")
    texts = [clean(text) for text in texts]
    kind = text_format(fields)
    check_length(context, texts)
    model, detected = choose_model(context, fields, " ".join(texts))
    service = context.service
    count = 1 + number_of(fields, "alternatives", 0, 0, context.config.max_beam_size - 1)
    search = model.search(widened(model.translator.config, count))
    divided = [service.divide(model, text, kind) for text in texts]
    segments = [segment for document in divided for segment in document.segments]
    escapes = [escape for document in divided for escape in document.escapes]
    found = iter(
        [of_line async for window in service.translate_markup(model, search, segments, escapes) for of_line in window]
    )
    results: list[list[str]] = []
    for document in divided:
        candidates = [next(found) for _ in document.segments]
        ranks = min(map(len, candidates), default=1)
        results.append(list(dict.fromkeys(document.join([of[rank] for of in candidates]) for rank in range(ranks))))
    answer: dict[str, Any] = {"translatedText": [ranked[0] for ranked in results]}
    if count > 1:
        answer["alternatives"] = [ranked[1:] for ranked in results]
    if detected is not None:
        answer["detectedLanguage"] = [detected] * len(texts)
    return JSONResponse(answer if isinstance(given, list) else {name: value[0] for name, value in answer.items()})


async def translate_file(context: Context, request: Request, fields: dict[str, Any]) -> Response:
    """Translate an uploaded file, and return the address of the result."""
    file = file_of(fields, "file")
    suffix = PurePath(file.filename or "").suffix.lower()
    if suffix not in FORMATS:
        raise RequestError(400, f"Invalid request: file format not supported; use {', '.join(FORMATS)}")
    try:
        text = (await file.read()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError(400, "Invalid request: the file is not UTF-8") from None
    model, _ = choose_model(context, fields, text[:5000])
    service, search = context.service, model.search({"n_best": 1})
    divided = await asyncio.to_thread(service.divide, model, text, FORMATS[suffix], PurePath(file.filename or "").name)
    windows = service.translate_markup(model, search, divided.segments, divided.escapes)
    found = [of_line[0] async for window in windows for of_line in window]
    name = context.files.add(divided.join(found).encode(), suffix)
    return JSONResponse({"translatedFileUrl": f"{request.base_url}download_file/{name}"})


def download(context: Context, request: Request) -> Response:
    """Return a translated file."""
    file = context.files.get(request.path_params["name"])
    if file is None:
        raise RequestError(404, "there is no such file, or it has expired")
    disposition = f'attachment; filename="translation{file.suffix}"'
    return Response(
        file.data, media_type=MEDIA_TYPES[FORMATS[file.suffix]], headers={"content-disposition": disposition}
    )
