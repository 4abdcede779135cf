"""Spectral normalisation: its value against SVD, its gradient, and its state."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from saddlepoint.networks.convolution import Convolution
from saddlepoint.networks.heads import ClassHead
from saddlepoint.networks.projection import ProjectionHead
from saddlepoint.networks.sncnn import SNCNNDiscriminator
from saddlepoint.networks.spectral import (
    Embedding,
    Linear,
    SpectralNorm,
    WeightNorm,
    effective_rank,
    normalised_layers,
    refresh_spectral_norms,
    singular_values,
    use_weight_norm,
)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [
        Convolution(3, 8, spectral_norm=True),
        nn.Flatten(),
        Linear(128, 5, spectral_norm=True),
        Embedding(6, 7, spectral_norm=True),
        Linear(5, 2),
    ]
    return nn.ModuleList(layers).double()


def test_sigma_is_the_largest_singular_value(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))  # the vectors of construction no longer fit
    refresh_spectral_norms(network, 50)
    names = []
    for name, spectral, weight in normalised_layers(network):
        names.append(name)
        assert spectral.sigma(weight).item() == pytest.approx(torch.linalg.svdvals(weight.flatten(1))[0].item(), rel=1e-3)
        assert torch.linalg.svdvals(spectral(weight).flatten(1))[0].item() == pytest.approx(1, rel=1e-3)
    assert names == ["0", "2", "3"]


def test_sigma_is_right_from_the_start(network: nn.Module) -> None:
    for _, spectral, weight in normalised_layers(network):
        assert spectral.sigma(weight).item() == pytest.approx(torch.linalg.svdvals(weight.flatten(1))[0].item(), rel=0.05)


def test_forward_changes_no_state_and_refresh_does(network: nn.Module) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network[2](network[1](network[0](torch.randn(2, 3, 4, 4, dtype=torch.float64))))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    with torch.no_grad():
        network[2].weight.mul_(torch.linspace(1, 3, 128))
    refresh_spectral_norms(network)
    assert not torch.equal(before["2.spectral.u"], network.state_dict()["2.spectral.u"])


def test_refresh_is_algorithm_1(network: nn.Module) -> None:
    layer = network[2]
    u = layer.spectral.u.clone()
    refresh_spectral_norms(network)
    v = layer.weight.T @ u
    v = v / v.norm()
    u = layer.weight @ v
    torch.testing.assert_close(layer.spectral.v, v)
    torch.testing.assert_close(layer.spectral.u, u / u.norm())


def test_gradient_flows_through_the_weight_inside_sigma() -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    spectral = SpectralNorm(weight)
    assert torch.autograd.gradcheck(spectral, (weight,))
    outside = torch.randn_like(weight)
    (ours,) = torch.autograd.grad(spectral(weight), weight, outside)
    with torch.no_grad():  # Miyato et al. 2018, Eq. 12 with the vectors in use
        sigma, first = spectral.sigma(weight), torch.outer(spectral.u, spectral.v).view_as(weight)
        expected = (outside - (outside * weight / sigma).sum() * first) / sigma
    torch.testing.assert_close(ours, expected)


def test_state_round_trips_and_copies(network: nn.Module) -> None:
    twin = copy.deepcopy(network)
    refresh_spectral_norms(network)
    assert not torch.equal(twin[3].spectral.u, network[3].spectral.u) or torch.allclose(twin[3].spectral.u, network[3].spectral.u)
    twin.load_state_dict(network.state_dict())
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert torch.equal(twin[0](x), network[0](x))
    assert {"0.spectral.u", "0.spectral.v", "0.weight"} <= set(network.state_dict())


def test_a_graph_keeps_the_vectors_it_was_made_with(network: nn.Module) -> None:
    loss = network[2](torch.randn(3, 128, dtype=torch.float64)).sum()
    refresh_spectral_norms(network)
    loss.backward()  # would fail if the vectors had been overwritten
    assert network[2].weight.grad is not None


def test_spectra_of_all_layers(network: nn.Module) -> None:
    refresh_spectral_norms(network, 50)
    spectra = singular_values(network)
    assert set(spectra) == {"0", "2", "3", "4"}
    assert spectra["0"].shape == (8,)
    assert spectra["0"][0].item() == pytest.approx(1, rel=1e-3)
    torch.testing.assert_close(spectra["4"], torch.linalg.svdvals(network[4].weight.detach()))


def test_nothing_to_refresh_is_no_error() -> None:
    refresh_spectral_norms(nn.Linear(2, 2))


def test_sigma_keeps_its_precision_under_autocast(network: nn.Module) -> None:
    """bf16 has three digits: sigma and the power iteration stay in the weight's own precision, the layer's product does not."""
    layer = network.float()[2]
    x = torch.randn(3, 128)
    plain = layer.spectral.sigma(layer.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.spectral.sigma(layer.weight), plain)
        assert layer(x).dtype == torch.bfloat16
        layer(x).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32


def test_weight_norm_makes_rows_of_length_one(network: nn.Module) -> None:
    use_weight_norm(network)
    assert list(normalised_layers(network)) == []
    weight = network[0].weight.detach()
    expected = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(network[0].spectral(weight), expected)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(network[0](x), nn.functional.conv2d(x, expected, network[0].bias, padding=1))
    spectra = singular_values(network)
    assert [spectra[name].square().sum().item() for name in ("0", "2", "4")] == pytest.approx(
        [8, 5, 2]
    )  # as many as rows; the plain layer got it too
    assert torch.autograd.gradcheck(WeightNorm(), (torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True),))


def test_other_heads_keep_the_norm() -> None:
    def made(**norms: bool) -> SNCNNDiscriminator:
        return SNCNNDiscriminator((1, 8, 8), width=1 / 32, **norms)

    for norms, kind in (({}, SpectralNorm), ({"spectral_norm": False, "weight_norm": True}, WeightNorm), ({"spectral_norm": False}, type(None))):
        head = ClassHead(made(**norms), 3, "auxiliary").network.to_logit
        assert type(head.spectral) is type(ProjectionHead(made(**norms), 3).embedding.spectral) is kind


def test_effective_rank_is_the_exponential_of_the_entropy() -> None:
    values = torch.linalg.svdvals(torch.randn(6, 9, dtype=torch.float64))
    shares = (values / values.sum()).numpy()
    assert effective_rank(values) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert 1 < effective_rank(values) < 6 and effective_rank(7 * values) == pytest.approx(effective_rank(values))
