"""Application of the server with toy models, and a client of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.testclient import TestClient
from toy_translator import build_long

from nmt.config import ServeConfig
from nmt.data import Tokenizer
from nmt.serving import Model, build_app

KEY = "a-key-of-the-tests-with-32-letters"


def toy_models(tokenizer: Tokenizer) -> list[Model]:
    """Return two models of one direction and one of the other, with random weights."""
    first, other, back = (build_long(tokenizer, **search) for search in ({}, {"beam_size": 2}, {"n_best": 1}))
    return [
        Model.of(first, "first", "en", "de"),
        Model.of(other, "other", "en", "de"),
        Model.of(back, "back", "de", "en"),
    ]


@contextmanager
def client_of(models: list[Model], keys: tuple[str, ...] = (), **settings: Any) -> Iterator[TestClient]:
    """Yield a client of an application with these models; its queue is closed at the end."""
    config = ServeConfig(run="run", **{"requests_per_minute": 0, **settings})
    app = build_app(models, config, keys)
    with TestClient(app, base_url="http://127.0.0.1:5000") as client:
        yield client
