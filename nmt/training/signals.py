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

    Args:
        hangup: the same for SIGHUP, which a closed terminal sends more than once, and often SIGTERM after it, so that
            it leaves the others as they are; not where nohup has it ignored.
    """

    def __init__(self, *, hangup: bool = False) -> None:
        self.received = 0
        hangup = hangup and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
        self.heard = (*IMPATIENT, NOTICE, signal.SIGHUP) if hangup else (*IMPATIENT, NOTICE)

    def __enter__(self) -> Self:
        self.before = {number: signal.signal(number, self.receive) for number in self.heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if number == signal.SIGHUP:
            return
        for impatient in IMPATIENT:
            signal.signal(impatient, self.before[impatient])
