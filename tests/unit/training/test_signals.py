"""Stop signals, which are really raised: the first is deferred, the second acts as usual."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nmt.errors import Interrupted
from nmt.training.signals import StopSignals

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
EACH = pytest.mark.parametrize("number", ALL)


class Usual(Exception):
    """Exception that the handlers of these tests raise."""


def usual(number: int, frame: object) -> None:
    raise Usual(number)


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    before = {number: signal.signal(number, usual) for number in ALL}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in ALL]


@EACH
def test_a_signal_is_only_noted(number: int) -> None:
    with StopSignals() as signals:
        assert signals.received == 0
        os.kill(os.getpid(), number)
        assert signals.received == number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", ALL)
def test_after_a_first_signal_a_second_one_acts_as_usual(first: int, number: int) -> None:
    with StopSignals() as signals:
        signal.raise_signal(first)
        with pytest.raises(Usual):
            signal.raise_signal(number)
        assert signals.received == first


@pytest.mark.parametrize("first", ALL)
def test_a_queue_may_say_twice_that_the_time_is_over(first: int) -> None:
    """Raise SIGTERM and SIGUSR2 together, as Slurm does; the second must not interrupt the checkpoint."""
    with StopSignals() as signals:
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGUSR2)
        assert signals.received == signal.SIGUSR2


def test_a_closed_terminal_is_deferred_with_hangup() -> None:
    """Raise SIGHUP twice, as the kernel and the shell do."""
    before = signal.signal(signal.SIGHUP, usual)
    try:
        with StopSignals(hangup=True) as signals:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
            assert signals.received == signal.SIGHUP
            signal.raise_signal(signal.SIGTERM)  # a later request to stop must still work
            assert signals.received == signal.SIGTERM
        with StopSignals(), pytest.raises(Usual):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nohup_is_left_alone() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals(hangup=True) as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.received == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_put_back_at_the_end() -> None:
    with StopSignals():
        assert usual not in handlers()
    assert handlers() == [usual, usual, usual]


def test_handlers_are_put_back_after_an_error_too() -> None:
    with pytest.raises(ValueError, match="inside"), StopSignals():
        raise ValueError("inside")
    assert handlers() == [usual, usual, usual]


def test_handlers_are_put_back_after_a_signal_too() -> None:
    with StopSignals():
        signal.raise_signal(signal.SIGTERM)
    assert handlers() == [usual, usual, usual]


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [(signal.SIGINT, "SIGINT", 130), (signal.SIGTERM, "SIGTERM", 143), (signal.SIGUSR2, "SIGUSR2", 140)],
)
def test_an_interruption_tells_the_signal_and_the_shells_exit_code(number: int, name: str, code: int) -> None:
    error = Interrupted(number)
    assert str(error) == name
    assert error.exit_code == code


def test_without_deferring_no_handler_is_installed_and_any_thread_can_enter() -> None:
    before = handlers()

    def inside() -> tuple[int, list[object]]:
        with StopSignals(enabled=False) as signals:
            return signals.received, handlers()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() == (0, before)
        with pytest.raises(ValueError, match="main thread"):
            pool.submit(StopSignals().__enter__).result()
    assert inside() == (0, before)
