"""Server that translates over HTTP, and its page."""

from nmt.serving.app import build_app
from nmt.serving.keys import read_keys
from nmt.serving.model import Model
from nmt.serving.server import serve

__all__ = ["Model", "build_app", "read_keys", "serve"]
