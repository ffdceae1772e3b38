"""Collectives of a single process, and of two processes against sums computed by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nmt.errors import UserError
from nmt.training.distributed import DistributedContext, join_process_group, reraise_on_all_ranks

pytestmark = pytest.mark.commands

ROOT = Path(__file__).resolve().parent.parent.parent.parent
TOGETHER = """
import json, sys
import torch
from torch import nn
from nmt.training.distributed import join_process_group

with join_process_group() as all:
    model = nn.Linear(2, 2)
    nn.init.constant_(model.weight, all.rank + 1.0)
    nn.init.constant_(model.bias, all.rank + 1.0)
    model.bias.requires_grad_(False)
    all.broadcast_parameters(model)
    weight = model.weight.tolist()
    if all.rank == 1:  # rank 0 has no gradient
        model(torch.tensor([3.0, 4.0])).sum().backward()
    all.all_reduce_gradients(model)
    results = [
        all.rank, all.world_size, all.all_reduce_sum(all.rank + 0.5, 2), all.all_reduce_max(5 * all.rank), weight,
        model.weight.grad.tolist(), model.bias.grad is None,
        all.broadcast_object({"of": ["ä", 1.5, None], "rank": all.rank}),
        [tensor.tolist() for tensor in all.all_gather(torch.tensor([all.rank, 7], dtype=torch.uint8))],
    ]
print(json.dumps(results))
"""


def test_a_single_process_changes_nothing() -> None:
    with join_process_group() as alone:
        assert alone == DistributedContext(0, 1)
    assert alone.is_main
    assert alone.all_reduce_sum(0.1, 3) == [0.1, 3]
    assert alone.all_reduce_max(15) == 15
    assert alone.broadcast_object(value := [object()]) is value
    assert torch.equal(alone.all_gather(torch.ones(2))[0], torch.ones(2))
    model = nn.Linear(2, 2)
    alone.all_reduce_gradients(model)
    assert model.weight.grad is None


def test_two_processes_agree() -> None:
    common = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
    }
    common["MASTER_PORT"] = str(20000 + os.getpid() % 10000)
    pair = [
        subprocess.Popen([sys.executable, "-c", TOGETHER], env={**common, "RANK": str(rank)}, stdout=subprocess.PIPE)
        for rank in (0, 1)
    ]
    outputs = [json.loads(process.communicate(timeout=60)[0]) for process in pair]
    for rank, (own_rank, world_size, sums, largest, weight, gradient, *others) in enumerate(outputs):
        assert (own_rank, world_size) == (rank, 2)
        assert sums == [2.0, 4.0]
        assert largest == 5
        assert weight == [[1.0, 1.0], [1.0, 1.0]]
        assert gradient == [[3.0, 4.0], [3.0, 4.0]]
        without_gradient, value, gathered = others
        assert without_gradient
        assert value == {"of": ["ä", 1.5, None], "rank": 0}
        assert gathered == [[0, 7], [1, 7]]


def test_a_lost_process_is_reported_in_one_line() -> None:
    with (
        pytest.raises(UserError, match=r"another process of this training has ended.*Connection closed"),
        reraise_on_all_ranks(),
    ):
        raise RuntimeError("Connection closed by peer\nat a place in gloo")
