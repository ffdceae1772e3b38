"""Signals that ask to stop, as a wish that the loop grants between two steps."""

import signal
from types import FrameType, TracebackType
from typing import Self

IMPATIENT = (signal.SIGINT, signal.SIGTERM)
NOTICE = signal.SIGUSR2
"""What a queue sends to a job whose time is nearly over."""


class StopSignals:
    """While entered, SIGINT, SIGTERM and SIGUSR2 only leave their number in `received`, else 0.

    After the first one, SIGINT and SIGTERM act as usual. SIGUSR2 never does: queues send it along with SIGTERM.
    """

    def __init__(self) -> None:
        self.received = 0

    def __enter__(self) -> Self:
        self.before = {number: signal.signal(number, self.receive) for number in (*IMPATIENT, NOTICE)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for impatient in IMPATIENT:
            signal.signal(impatient, self.before[impatient])
