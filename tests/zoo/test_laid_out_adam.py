"""Adam on tensors as they lie in memory: torch's numbers bit for bit, whatever the layout, and torch's state."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from saddlepoint.games.laidout import LaidOutAdam, as_it_lies
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.networks import winograd3


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 4), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(2 * 81, 3))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_numbers_are_those_of_torch(dtype: torch.dtype, fused: bool) -> None:
    ours, theirs = network().to(dtype), network().to(dtype)
    for net in (ours, theirs):
        net[0].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        net[1].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizers = [kind(net.parameters(), lr=1e-2, weight_decay=1e-3, fused=fused) for kind, net in ((LaidOutAdam, ours), (torch.optim.Adam, theirs))]
    x = torch.randn(5, 3, 8, 8, dtype=dtype).contiguous(memory_format=torch.channels_last)
    for step in range(4):
        for net, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            if step == 2:
                net[0].weight.grad = net[0].weight.grad.contiguous()  # a gradient of another layout
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b) and a.stride() == b.stride()
    for a, b in zip(optimizers[0].state.values(), optimizers[1].state.values(), strict=True):
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        assert a["exp_avg"].shape == b["exp_avg"].shape
    state = copy.deepcopy(optimizers[0].state_dict())
    optimizers[1].load_state_dict(state)


def test_only_what_lies_channels_last_is_turned() -> None:
    plain = torch.zeros(2, 3, 4, 5)
    assert as_it_lies(plain) is plain
    turned = as_it_lies(plain.contiguous(memory_format=torch.channels_last))
    assert turned.is_contiguous() and turned.shape == (2, 4, 5, 3)
    strided = torch.zeros(4, 3, 4, 5)[::2]
    assert as_it_lies(strided) is strided
    assert isinstance(Adam().build([nn.Parameter(plain)]), LaidOutAdam)


@pytest.mark.parametrize("optimizer", [Adam(lr=0.1), RMSprop(lr=0.1), SGD(lr=0.1)])
def test_what_is_kept_of_a_kernel_does_not_outlive_its_move(optimizer: Adam | RMSprop | SGD) -> None:
    kernel = nn.Parameter(torch.randn(128, 128, 3, 3).contiguous(memory_format=torch.channels_last))
    x = torch.empty(1, 128, 8, 8)
    kernel.grad, move, held = torch.ones_like(kernel), optimizer.build([kernel]), winograd3.factors(kernel, x)
    assert winograd3.factors(kernel, x) is held
    move.step()
    assert torch.equal(winograd3.factors(kernel, x), winograd3.factors(kernel.detach().clone(), x))
    assert not torch.equal(winograd3.factors(kernel, x), held)
