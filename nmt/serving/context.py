"""Objects that the endpoints share, and the check of keys and rates."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from nmt.config import user_path
from nmt.serving.files import FileStore
from nmt.serving.keys import RateLimit, is_key
from nmt.serving.requests import RequestError
from nmt.serving.service import Service


class Context:
    """Service, API keys, rates, translated files and the file of corrections."""

    def __init__(self, service: Service, keys: Sequence[str]) -> None:
        self.service = service
        self.config = service.config
        self.keys = list(keys)
        self.rate = RateLimit(service.config.requests_per_minute)
        self.files = FileStore()
        corrections = service.config.corrections
        self.corrections = None if corrections is None else user_path(corrections)
        """File to which corrections are appended; None: none are saved."""

    def check(self, request: Request, fields: dict[str, Any]) -> None:
        """Check the API key and count the request.

        Raises:
            RequestError: the key is missing or wrong, or the address has used its rate.
        """
        address = request.client.host if request.client else "unknown"
        if not self.rate.admit(address):
            raise RequestError(429, "Slow down: too many requests per minute from this address")
        if self.keys:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            given = fields.get("api_key") or bearer
            if not given:
                raise RequestError(400, "Please send an API key as api_key, or as a bearer token")
            if not isinstance(given, str) or not is_key(given, self.keys):
                raise RequestError(403, "Invalid API key")
