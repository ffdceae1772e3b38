"""The queue: results do not depend on neighbours, failures stay alone, refusals and the end lose nothing."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from serving_client import client_of
from starlette.testclient import TestClient

from nmt.decoding import TargetConstraints
from nmt.phrasebook import Pair
from nmt.serving import Model
from nmt.serving.batching import BatchQueue, Job, QueueFull, ShuttingDown
from nmt.serving.metrics import Metrics


@pytest.fixture
def queue() -> Iterator[BatchQueue]:
    queue = BatchQueue(2, 100, 0.02, Metrics())
    yield queue
    queue.close()


def job(model: Model, line: str, **settings: Any) -> Job:
    return Job(model, model.search(settings), line, TargetConstraints())


def test_translations_are_those_of_single_sentences(
    queue: BatchQueue, models: list[Model], phrases: list[Pair]
) -> None:
    lines = [pair.en for pair in phrases[:40]]
    jobs = [job(models[0], line, n_best=2) for line in lines]
    others = [job(models[1], line) for line in lines] + [job(models[0], line, kind="greedy") for line in lines[:20]]
    queue.submit([*jobs, *others])
    for batched in [*jobs, *others]:
        alone = batched.model.with_search(batched.search).translate([batched.line])[0]
        found = batched.future.result(timeout=60)
        assert [candidate.text for candidate in found] == [candidate.text for candidate in alone]
        for one, another in zip(found, alone, strict=True):
            assert one.log_prob == pytest.approx(another.log_prob, abs=1e-4)
    batches = queue.metrics.batches
    assert batches.total == 100
    assert sum(batches.counts) <= 20


def test_a_failing_sentence_fails_alone(
    queue: BatchQueue, models: list[Model], phrases: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = phrases[1].en
    translate = type(models[0].translator).translate

    def failing(self: Any, lines: list[str], **more: Any) -> Any:
        if bad in lines:
            raise MemoryError
        return translate(self, lines, **more)

    monkeypatch.setattr(type(models[0].translator), "translate", failing)
    jobs = [job(models[0], pair.en) for pair in phrases[:4]]
    queue.submit(jobs)
    assert isinstance(jobs[1].future.exception(timeout=60), MemoryError)
    assert all(jobs[i].future.result(timeout=60) for i in (0, 2, 3))
    assert all(thread.is_alive() for thread in queue.threads)


def test_a_failure_is_answered_without_its_message(
    models: list[Model], phrases: list[Pair], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(self: Any, lines: list[str], **more: Any) -> Any:
        raise KeyError(lines[0])

    monkeypatch.setattr(type(models[0].translator), "translate", failing)
    with client_of(models) as client:
        answer = client.post("/translate", json={"q": phrases[0].en, "source": "en", "target": "de"})
        assert answer.status_code == 500
        assert list(answer.json()) == ["error"]
        assert client.get("/health").status_code == 200
    assert "KeyError in" in caplog.text
    assert phrases[0].en not in answer.text + caplog.text


def test_refusals_take_all_or_nothing_and_the_end_finishes_what_was_accepted(
    models: list[Model], phrases: list[Pair]
) -> None:
    queue = BatchQueue(1, 8, 0.5, Metrics())
    accepted = [job(models[0], pair.en) for pair in phrases[:6]]
    queue.submit(accepted)
    with pytest.raises(QueueFull):
        queue.submit([job(models[0], pair.en) for pair in phrases[:9]])
    queue.close()
    assert all(each.future.done() and each.future.result() for each in accepted)
    with pytest.raises(ShuttingDown):
        queue.submit(accepted[:1])
    assert not any(thread.is_alive() for thread in queue.threads)


def test_cancelled_sentences_are_not_decoded(models: list[Model], phrases: list[Pair]) -> None:
    queue = BatchQueue(1, 100, 0.0, Metrics())
    running, release = threading.Event(), threading.Event()

    def block() -> None:
        running.set()
        release.wait(60)

    queue.submit([Job(models[0], models[0].translator.config, "", TargetConstraints(), block)])
    assert running.wait(60)
    jobs = [job(models[0], pair.en) for pair in phrases[:3]]
    queue.submit(jobs)
    assert jobs[1].future.cancel()
    release.set()
    queue.close()
    assert [each.future.cancelled() for each in jobs] == [False, True, False]
    assert queue.metrics.batches.total == 3  # the function and two sentences


def test_requests_of_many_clients_share_batches(client: TestClient, models: list[Model], phrases: list[Pair]) -> None:
    lines = [pair.en for pair in phrases[:60]]
    expected = [of_line[0].text for of_line in models[0].translator.translate(lines)]

    def ask(line: str) -> str:
        answer = client.post("/translate", json={"q": line, "source": "en", "target": "de"})
        return str(answer.json()["translatedText"])

    start = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, lines)) == expected
    assert time.monotonic() - start < 60
