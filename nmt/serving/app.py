"""Application: the protocol of LibreTranslate, the endpoints of the page, health and metrics."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from nmt.config import ServeConfig
from nmt.config.serve import LOOPBACK
from nmt.serving import libretranslate, page_endpoints
from nmt.serving.context import Context
from nmt.serving.guard import Guard
from nmt.serving.model import Model
from nmt.serving.openapi import document
from nmt.serving.requests import read_fields, refuse_other_sites
from nmt.serving.service import Service

PAGE = Path(__file__).with_name("page.html")
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:"
Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Context, Request, dict[str, Any]], Awaitable[Response]]


def build_app(models: Sequence[Model], config: ServeConfig, keys: Sequence[str] = (), threads: int = 1) -> ASGIApp:
    """Return the application. Its queue closes when the application's lifespan ends.

    Args:
        models: models to serve.
        config: limits.
        keys: API keys; none: no key is needed.
        threads: number of model threads.
    """
    service = Service(models, config, threads)
    context = Context(service, keys)

    def guarded(handler: Handler) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            fields = await read_fields(request)
            context.check(request, fields)
            return await handler(context, request, fields)

        return endpoint

    def for_page(handler: Handler) -> Endpoint:
        endpoint = guarded(handler)

        async def same_site(request: Request) -> Response:
            refuse_other_sites(request)
            return await endpoint(request)

        return same_site

    async def health(request: Request) -> Response:
        alive = all(thread.is_alive() for thread in service.queue.threads)
        return JSONResponse({"status": "ok" if alive else "failing"}, status_code=200 if alive else 503)

    async def metrics(context: Context, request: Request, fields: dict[str, Any]) -> Response:
        text = service.metrics.text(len(service.queue.waiting))
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def page(request: Request) -> Response:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers={"content-security-policy": POLICY})

    async def languages(request: Request) -> Response:
        return libretranslate.languages(context)

    async def settings(request: Request) -> Response:
        return libretranslate.settings(context)

    async def specification(request: Request) -> Response:
        return JSONResponse(document(config))

    async def models_endpoint(request: Request) -> Response:
        return page_endpoints.models(context)

    async def download(request: Request) -> Response:
        return libretranslate.download(context, request)

    routes = [
        Route("/", page),
        Route("/health", health),
        Route("/metrics", guarded(metrics)),
        Route("/languages", languages),
        Route("/frontend/settings", settings),
        Route("/spec", specification),
        Route("/translate", guarded(libretranslate.translate), methods=["POST"]),
        Route("/detect", guarded(libretranslate.detect), methods=["POST"]),
        Route("/translate_file", guarded(libretranslate.translate_file), methods=["POST"]),
        Route("/download_file/{name}", download),
        Route("/page/models", models_endpoint),
        Route("/page/translate", for_page(page_endpoints.translate), methods=["POST"]),
        Route("/page/alternatives", for_page(page_endpoints.alternatives), methods=["POST"]),
        Route("/page/corrections", for_page(page_endpoints.correct), methods=["POST"]),
        Route("/page/stream", for_page(page_endpoints.stream), methods=["POST"]),
    ]

    app: ASGIApp = Router(routes, lifespan=lambda app: Lifespan(service))
    if config.host in LOOPBACK:  # a foreign page whose name was pointed at this machine is refused
        app = TrustedHostMiddleware(app, [*LOOPBACK, "[::1]"])
    return Guard(app, service.metrics, config.max_bytes, [route.path for route in routes])


class Lifespan:
    """Start and end of the application."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        self.service.queue.close()
