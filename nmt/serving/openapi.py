"""OpenAPI document of the server."""

from typing import Any

import nmt
from nmt.config import ServeConfig

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
TEXTS = {"type": "array", "items": TEXT}
ERROR = {"type": "object", "properties": {"error": TEXT}, "required": ["error"]}
LANGUAGES = {"source": TEXT, "target": TEXT, "api_key": TEXT}
PAGE = {
    "q": TEXT,
    "model": NUMBER,
    "search": {"type": "object"},
    "require": TEXTS,
    "forbid": TEXTS,
    "prefixes": {"type": "object", "additionalProperties": TEXT},
    "api_key": TEXT,
}


def document(config: ServeConfig) -> dict[str, Any]:
    """Return the document, with the limits of the configuration."""
    text_or_list = {"oneOf": [TEXT, TEXTS], "description": f"At most {config.max_characters} characters in total."}
    translation = {
        "q": text_or_list,
        **LANGUAGES,
        "format": {"type": "string", "enum": ["text", "html"], "default": "text"},
        "alternatives": {"type": "integer", "minimum": 0, "maximum": config.max_beam_size - 1, "default": 0},
    }
    result = {"translatedText": {"oneOf": [TEXT, TEXTS]}, "alternatives": {"type": "array"}}
    file = {"file": {"type": "string", "format": "binary"}, **LANGUAGES}
    languages = {"type": "array", "items": properties({"code": TEXT, "name": TEXT, "targets": TEXTS})}
    detected = {"type": "array", "items": properties({"language": TEXT, "confidence": {"type": "number"}})}
    page_result = {"translatedText": TEXT, "between": TEXTS, "segments": {"type": "array"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "nmt", "version": nmt.__version__, "license": {"name": "MIT"}},
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{"key": []}, {}],
        "paths": {
            "/translate": post("Translate a text or a list of texts", translation, ["q", "source", "target"], result),
            "/detect": post("Detect the language of a text", {"q": TEXT, "api_key": TEXT}, ["q"], detected),
            "/translate_file": post(
                "Translate a file: text, Markdown, HTML, SRT, WebVTT, TMX or XLIFF",
                file,
                ["file", "source", "target"],
                {"translatedFileUrl": TEXT},
                "multipart/form-data",
            ),
            "/download_file/{name}": {
                **get("A translated file, by its translatedFileUrl", TEXT, "application/octet-stream"),
                "parameters": [{"name": "name", "in": "path", "required": True, "schema": TEXT}],
            },
            "/languages": get("Languages and their targets", languages),
            "/frontend/settings": get("Limits and default languages", {"type": "object"}),
            "/": get("Page to translate in a browser", TEXT, "text/html"),
            "/spec": get("This document", {"type": "object"}),
            "/health": get("State of the server", properties({"status": TEXT})),
            "/metrics": get("Metrics of Prometheus", TEXT, "text/plain"),
            "/page/models": get("Models with their languages and settings", {"type": "object"}),
            "/page/translate": post("Translate with attention, confidence and n best", PAGE, ["q"], page_result),
            "/page/alternatives": post(
                "Alternatives for the word behind a prefix", PAGE | {"prefix": TEXT}, ["q"], {"alternatives": {}}
            ),
            "/page/corrections": post(
                "Save a correction, if the server was started with corrections=FILE",
                {"q": TEXT, "translation": TEXT, "correction": TEXT, "model": NUMBER, "api_key": TEXT},
                ["q", "correction"],
                {"saved": {"type": "boolean"}},
            ),
            "/page/stream": post("Translate with progress as server-sent events", PAGE, ["q"], TEXT),
        },
    }


def properties(fields: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    """Return the schema of an object; the schema of another type stays as it is."""
    if "type" in fields and isinstance(fields["type"], str):
        return fields
    return {"type": "object", "properties": fields} | ({"required": required} if required else {})


def answers(schema: dict[str, Any], media: str = "application/json") -> dict[str, Any]:
    """Return the responses of an operation."""
    errors = {"4XX": "Mistake of the client", "5XX": "Failure of the server"}
    return {"200": {"description": "Result", "content": {media: {"schema": schema}}}} | {
        status: {"description": meaning, "content": {"application/json": {"schema": ERROR}}}
        for status, meaning in errors.items()
    }


def get(summary: str, schema: dict[str, Any], media: str = "application/json") -> dict[str, Any]:
    """Return a path with a GET operation."""
    return {"get": {"summary": summary, "responses": answers(schema, media)}}


def post(
    summary: str,
    fields: dict[str, Any],
    required: list[str],
    result: dict[str, Any],
    media: str = "application/json",
) -> dict[str, Any]:
    """Return a path with a POST operation."""
    body = {"required": True, "content": {media: {"schema": properties(fields, required)}}}
    answer = "text/event-stream" if result is TEXT else "application/json"
    return {"post": {"summary": summary, "requestBody": body, "responses": answers(properties(result), answer)}}
