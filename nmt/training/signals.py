"""Deferred handling of SIGINT, SIGTERM and SIGUSR2: the loop stops after the current step."""

import signal
from types import FrameType, TracebackType
from typing import Self

TERMINATING = (signal.SIGINT, signal.SIGTERM)
NOTICE = signal.SIGUSR2
"""Signal that a queue sends to a job whose time is nearly over."""


class StopSignals:
    """Context manager in which a stop signal only stores its number in `received`, which is 0 before.

    After the first one, SIGINT and SIGTERM act as usual. SIGUSR2 never does: queues send it along with SIGTERM.

    Args:
        enabled: False installs no handlers, so that `received` stays 0; signals act as usual, and any thread can enter.
        hangup: also defer SIGHUP, unless nohup has set it to be ignored. A closed terminal sends it more than once, and
            often SIGTERM after it, so that it leaves the handlers of the others in place.
    """

    def __init__(self, *, enabled: bool = True, hangup: bool = False) -> None:
        self.received = 0
        hangup = hangup and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
        deferred = (*TERMINATING, NOTICE, signal.SIGHUP) if hangup else (*TERMINATING, NOTICE)
        self.deferred = deferred if enabled else ()

    def __enter__(self) -> Self:
        self.before = {number: signal.signal(number, self.receive) for number in self.deferred}
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
        for terminating in TERMINATING:
            signal.signal(terminating, self.before[terminating])
