"""One application for the tests of the server."""

from collections.abc import Iterator

import pytest
from serving_client import client_of, toy_models
from starlette.testclient import TestClient

from nmt.data import Tokenizer
from nmt.serving import Model


@pytest.fixture(scope="session")
def models(own_environment: None, tokenizer: Tokenizer) -> list[Model]:
    return toy_models(tokenizer)


@pytest.fixture(scope="module")
def client(models: list[Model]) -> Iterator[TestClient]:
    with client_of(models) as client:
        yield client
