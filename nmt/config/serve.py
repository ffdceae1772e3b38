"""Configuration of the command `serve`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nmt.config.checks import number
from nmt.config.machine import MachineConfig
from nmt.config.root import checkpoint_problems

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class ServeConfig:
    """`serve`: translate over HTTP with the protocol of LibreTranslate, and serve a page for people."""

    run: str
    """Run directory."""
    ensemble: list[str] = field(default_factory=list)
    """Further runs with the same tokenizers, which form an ensemble with `run`."""
    others: list[str] = field(default_factory=list)
    """Further runs that are served beside `run`: other directions, or other models to compare on the page. Of several
    runs of one direction, `/translate` uses the first."""
    checkpoint: str = "best"
    """Checkpoint: best, last, or average:N, the mean weights of the N latest (see train.keep_checkpoints)."""
    host: str = "127.0.0.1"
    """Address to listen on. An address other than loopback needs `keys_file`."""
    port: int = 5000
    """Port to listen on; 0: a free one, which the log names."""
    keys_file: str | None = None
    """File of API keys, one per line. Requests then need one of them, as `api_key` or as a bearer token."""
    corrections: str | None = None
    """File to which corrections from the page are appended, for the command `adapt`. It is created if it is
    missing. null: the server saves no corrections, and the page does not offer it."""
    max_characters: int = 5000
    """Maximum number of characters of a request to `/translate`, lists in total."""
    max_bytes: int = 2_000_000
    """Maximum size of a request in bytes, files included."""
    max_beam_size: int = 20
    """Maximum beam size, and maximum number of translations per sentence, that a request can set."""
    max_queue: int = 2000
    """Maximum number of waiting sentences. Requests beyond it are refused with status 429."""
    requests_per_minute: int = 600
    """Maximum number of requests per minute from one address; 0: no limit."""
    wait_ms: float = 5.0
    """Time in milliseconds that a sentence waits for others to be decoded with."""
    shutdown_seconds: int = 30
    """Maximum time that accepted requests get to finish after SIGINT or SIGTERM."""
    search: dict[str, Any] = field(default_factory=dict)
    """Changes to the search settings of the run."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads. Each thread decodes batches of its own."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.host not in LOOPBACK and self.keys_file is None:
            yield "host", f"is {self.host}, which others can reach; give keys_file=FILE with API keys, or use 127.0.0.1"
        yield from number(self, "port", 0, 65535)
        yield from number(self, "max_characters", 1, 10_000_000)
        yield from number(self, "max_bytes", 1000, 100_000_000)
        yield from number(self, "max_beam_size", 1, 1000)
        yield from number(self, "max_queue", 1, 1_000_000)
        yield from number(self, "requests_per_minute", 0, 1_000_000)
        yield from number(self, "wait_ms", 0, 1000)
        yield from number(self, "shutdown_seconds", 1, 3600)
        yield from checkpoint_problems(self.checkpoint)
