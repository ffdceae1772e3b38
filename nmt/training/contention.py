"""Warning for a training that loses processor time to other processes."""

import logging
import time

import torch

from nmt.processor import ContentionMeter

WARN_ABOVE = 0.15
"""Share of time without a processor above which a warning is logged."""
PAUSE = 600.0
"""Shortest time between two warnings, in seconds."""

log = logging.getLogger(__name__)


class ContentionMonitor:
    """Measurement of how long this process's threads wait for a processor, with a warning every ten minutes at most."""

    def __init__(self, meter: ContentionMeter | None = None) -> None:
        self.meter = meter or ContentionMeter()
        self.warned: float | None = None

    def check(self, seconds: float) -> None:
        """Warn if other processes took much of the last `seconds` of training."""
        threads = torch.get_num_threads()
        share = self.meter.share(seconds, threads)
        now = time.monotonic()
        if share < WARN_ABOVE or (self.warned is not None and now - self.warned < PAUSE):
            return
        self.warned = now
        log.warning(
            "other processes slow this training down: its %d threads waited for a processor %.0f %% of the time; "
            "stop them%s",
            threads,
            100 * share,
            ", or give this training fewer threads (machine.threads)" if threads > 1 else "",
        )
