"""Outer layer of the server: size and time of bodies, errors, counts, and the access log, which holds no texts."""

import asyncio
import json
import logging
import time
from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nmt.errors import UserError
from nmt.serving.batching import QueueFull, ShuttingDown
from nmt.serving.metrics import Metrics
from nmt.serving.requests import RequestError

BODY_SECONDS = 20
"""Maximum time in which a body must arrive."""
MAX_DRAINED = 64_000_000
"""Number of bytes of a refused body that are read, so that the client can read the answer."""
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}

log = logging.getLogger(__name__)


class Guard:
    """ASGI layer around the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, max_bytes: int, paths: Collection[str]) -> None:
        """
        Args:
            app: the application.
            metrics: counters.
            max_bytes: maximum size of a body.
            paths: paths that are counted and logged by name; another path could be a text.
        """
        self.app = app
        self.metrics = metrics
        self.max_bytes = max_bytes
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, status, cut = time.monotonic(), 0, False

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                message["headers"] += [(name, value) for name, value in HEADERS.items() if name not in present]
            await send(message)

        try:
            body = await self.read_body(scope, receive)
            inner = {**scope, "app": self.app}  # the router raises errors that it would answer itself otherwise
            await self.app(inner, replaying(body, receive), counting)
        except asyncio.CancelledError:
            cut = True
            raise
        except Exception as error:
            if isinstance(error, ClientLeft):
                cut = True
            elif status:
                cut = True
                log_failure(error)
            else:
                await error_response(error)(scope, receive, counting)
        finally:
            self.finish(scope, 499 if cut else status, time.monotonic() - begin)

    async def read_body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request.

        Raises:
            RequestError: it is too large, or takes too long.
            ClientLeft: the client closed the connection.
        """
        length = dict(scope["headers"]).get(b"content-length", b"0")
        declared = int(length) if length.isdigit() and len(length) < 20 else 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                parts, size, more = [], 0, True
                while more and size <= max(self.max_bytes, min(declared, MAX_DRAINED)):
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientLeft
                    part = message.get("body", b"")
                    more = message.get("more_body", False)
                    size += len(part)
                    if size <= self.max_bytes:
                        parts.append(part)
        except TimeoutError:
            raise RequestError(408, f"the body did not arrive within {BODY_SECONDS} seconds") from None
        if size > self.max_bytes:
            raise RequestError(413, f"the request has more than {self.max_bytes} bytes; send less at once")
        return b"".join(parts)

    def finish(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request and write its line of the access log."""
        path = next((path for path in self.paths if scope["path"] == path), "other")
        self.metrics.observe_request(path, status, seconds)
        address = (scope.get("client") or ["unknown"])[0]
        line = {
            "method": scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other",
            "path": path,
            "status": status,
            "ms": round(1000 * seconds, 1),
            "client": address,
        }
        log.info("%s", json.dumps(line))


class ClientLeft(Exception):
    """Connection that the client closed before the end of its request."""


def replaying(body: bytes, receive: Receive) -> Receive:
    """Return a function that gives the body first, and then the further messages of the connection."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def error_response(error: Exception) -> Response:
    """Return the answer to an error: one line, never a traceback."""
    headers: dict[str, str] = {}
    match error:
        case RequestError():
            status, message = error.status, error.message
        case UserError():
            status, message = 400, str(error)
        case QueueFull():
            status, message, headers = 429, "Slow down: the queue is full; try again later", {"Retry-After": "1"}
        case ShuttingDown():
            status, message = 503, "the server is shutting down"
        case HTTPException():
            status, message = error.status_code, str(error.detail)
        case _:
            log_failure(error)
            status, message = 500, "the server failed on this request; its log names the place"
    return JSONResponse({"error": message}, status_code=status, headers=headers)


def log_failure(error: Exception) -> None:
    """Log the kind and the place of an error, without its message, which could hold a text."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    log.error("%s in %s; this is a bug in the program, or the memory is exhausted", type(error).__name__, place)
