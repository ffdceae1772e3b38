"""HTTP server on uvicorn, which finishes accepted requests before it ends. The only file that imports uvicorn."""

import contextlib
import logging
import signal
import socket
from collections.abc import Generator, Sequence

import uvicorn

from nmt.config import ServeConfig
from nmt.errors import UserError
from nmt.serving.app import build_app
from nmt.serving.model import Model
from nmt.serving.threads import compute_on_one_thread

MAX_CONNECTIONS = 1000
"""Number of connections above which requests are answered with status 503."""

log = logging.getLogger(__name__)


class QuietServer(uvicorn.Server):
    """Server that ends with exit code 0 after SIGINT or SIGTERM."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle the signals without raising them again at the end."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(models: Sequence[Model], config: ServeConfig, keys: Sequence[str], threads: int) -> None:
    """Serve until SIGINT or SIGTERM; a second signal ends without waiting for accepted requests.

    Args:
        models: models to serve.
        config: address and limits.
        keys: API keys; none: no key is needed.
        threads: number of model threads.

    Raises:
        UserError: the address cannot be used.
    """
    listener = listen(config.host, config.port)
    compute_on_one_thread()
    settings = uvicorn.Config(
        build_app(models, config, keys, threads),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=config.shutdown_seconds,
    )
    for model in models:
        log.info("%s translates from %s to %s", model.name, model.src, model.tgt)
        if not model.attends:
            log.warning("%s has no attention; tags in a sentence are placed by relative position", model.name)
    host, port = listener.getsockname()[:2]
    log.info(
        "listening on http://%s:%d with %d model threads; Ctrl-C stops",
        f"[{host}]" if ":" in host else host,
        port,
        threads,
    )
    with listener:
        QuietServer(settings).run(sockets=[listener])
    log.info("stopped; all accepted requests are finished")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        UserError: the address cannot be used.
    """
    try:
        family, kind, *_ = socket.getaddrinfo(host, port or None, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"host={host} is not an address of this machine: {error}; choose another host") from None
    except OSError as error:
        raise UserError(f"host={host} port={port} cannot be used: {error.strerror}; choose another port") from None
    return listener
