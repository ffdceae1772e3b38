"""Endpoints of LibreTranslate's protocol."""

from pathlib import PurePath
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nmt.serving.context import Context
from nmt.serving.languages import language_name
from nmt.serving.model import Model
from nmt.serving.requests import RequestError, clean, file_of, number_of, text_of

SUFFIXES = {
    ".txt": "text/plain; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
}
"""Kinds of files that can be translated."""


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
            "supportedFilesFormat": list(SUFFIXES),
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


def html_format(fields: dict[str, Any]) -> bool:
    """Return whether the texts of a request are HTML.

    Raises:
        RequestError: the format is neither text nor html.
    """
    kind = text_of(fields, "format", "text")
    if kind not in ("text", "html"):
        raise RequestError(400, f"{kind} format is not supported; use text or html")
    return kind == "html"


async def translate(context: Context, request: Request, fields: dict[str, Any]) -> Response:
    """Translate a text or a list of texts."""
    given = fields.get("q")
    if given is None:
        raise RequestError(400, "Invalid request: missing q parameter")
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise RequestError(400, "Invalid request: q must be a text or a list of texts")
    texts = [clean(text) for text in texts]
    html = html_format(fields)
    check_length(context, texts)
    model, detected = choose_model(context, fields, " ".join(texts))
    service = context.service
    count = 1 + number_of(fields, "alternatives", 0, 0, context.config.max_beam_size - 1)
    search = model.translator.config
    if count > 1:
        search = model.search({"n_best": count, "beam_size": max(count, search.beam_size)})
    divided = [service.divide(model, text, html) for text in texts]
    found = iter(await service.translate(model, search, [line for text in divided for line in text.sentences]))
    results: list[list[str]] = []
    for text in divided:
        candidates = [next(found) for _ in text.sentences]
        ranks = min(map(len, candidates), default=1)
        results.append(list(dict.fromkeys(text.join([of[rank].text for of in candidates]) for rank in range(ranks))))
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
    if suffix not in SUFFIXES:
        raise RequestError(400, f"Invalid request: file format not supported; use {', '.join(SUFFIXES)}")
    try:
        text = (await file.read()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError(400, "Invalid request: the file is not UTF-8") from None
    model, _ = choose_model(context, fields, text[:5000])
    divided = context.service.divide(model, text, suffix != ".txt")
    found = await context.service.translate(model, model.translator.config, divided.sentences)
    name = context.files.add(divided.join([of_line[0].text for of_line in found]).encode(), suffix)
    return JSONResponse({"translatedFileUrl": f"{request.base_url}download_file/{name}"})


def download(context: Context, request: Request) -> Response:
    """Return a translated file."""
    file = context.files.get(request.path_params["name"])
    if file is None:
        raise RequestError(404, "there is no such file, or it has expired")
    disposition = f'attachment; filename="translation{file.suffix}"'
    return Response(file.data, media_type=SUFFIXES[file.suffix], headers={"content-disposition": disposition})
