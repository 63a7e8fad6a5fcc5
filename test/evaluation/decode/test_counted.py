"""Counting what work does."""

import torch
from torch import nn
from torch.nn import functional

from dvla_ros.evaluation.decode.counted import counted_work


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.first, self.second, self.unused = (
            nn.Embedding(50, 4),
            nn.Linear(4, 6, bias=False),
            nn.Linear(6, 2, bias=False),
            nn.Linear(100, 100),
        )

    def forward(self, ids):
        return self.second(self.first(self.table(ids)))


@torch.no_grad()
def test_weights_that_ran_and_operations_are_counted_and_embeddings_are_not():
    net = Net()
    work = counted_work(lambda: net(torch.tensor([1, 2, 3])))
    assert work.nbytes == 4 * (24 + 12)
    assert work.flop == 2 * 3 * (24 + 12)


@torch.no_grad()
def test_a_module_can_be_left_out_and_weights_count_once():
    net = Net()

    def twice():
        net(torch.tensor([1]))
        net(torch.tensor([2]))

    assert counted_work(twice, leave_out=net.second).nbytes == 4 * 24


@torch.no_grad()
def test_attention_is_counted_on_a_cpu_too():
    q = torch.randn(1, 2, 5, 4)
    assert counted_work(lambda: functional.scaled_dot_product_attention(q, q, q)).flop == 2 * 2 * 2 * 5 * 5 * 4
