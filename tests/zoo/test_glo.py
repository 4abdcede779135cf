"""GLO: its distance against SciPy, one move by hand, the ball, codes of unknown images, samples of the fitted normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.autoencoding import Encodes, Reconstructs
from saddlepoint.games.game import Measures, Samples, Shows
from saddlepoint.games.glo import GLOConfig, into_ball
from saddlepoint.objectives.pyramid import laplacian_l1
from saddlepoint.zoo.glo import principal_components


def flat(n: int = 60, rank: int = 3) -> ArrayDataset:
    """Images in a plane of few dimensions through the space of pixels."""
    rng = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(256, rank, generator=rng)).Q.T
    pixels = 128 + torch.randn(n, rank, generator=rng) * torch.tensor([400.0, 200.0, 100.0])[:rank] @ basis
    image = pixels.clamp(0, 255).round().to(torch.uint8).view(n, 1, 16, 16)
    return ArrayDataset({"image": image}, DataSpec(name="flat", kind="image", shape=(1, 16, 16), num_records=n))


def test_the_distance_is_that_of_the_pyramids() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 2, 3, 16, 12))
    taps = np.exp(-(np.arange(-2, 3) ** 2) / 4)
    taps /= taps.sum()

    def levels(image: np.ndarray) -> list[np.ndarray]:
        found = []
        for _ in range(2):
            blurred = correlate1d(correlate1d(image, taps, axis=2, mode="nearest"), taps, axis=3, mode="nearest")
            found.append(image - blurred)
            n, c, h, w = blurred.shape
            image = blurred.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
        return [*found, image]

    by_hand = sum(np.abs(a - b).mean((1, 2, 3)) for a, b in zip(levels(x), levels(y), strict=True))
    found = laplacian_l1(torch.from_numpy(x), torch.from_numpy(y), levels=2)
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-12)
    assert torch.equal(laplacian_l1(torch.from_numpy(x), torch.from_numpy(x)), torch.zeros(2, dtype=torch.float64))
    with pytest.raises(UsageError, match="sides of 8 pixels or more; 4x4 came"):
        laplacian_l1(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))


def test_codes_begin_as_principal_components(make: Any) -> None:
    data = flat()
    mean, axes = principal_components(data, 8)
    rows = (data.column("image").float() / 127.5 - 1).flatten(1)
    torch.testing.assert_close(mean.flatten(), rows.mean(0))
    directions = torch.linalg.svd(rows - rows.mean(0), full_matrices=False).Vh[:3]
    torch.testing.assert_close((axes[:3] @ directions.T).abs(), torch.eye(3), atol=1e-3, rtol=0)
    game, *_ = make("glo", "small", data, resolution=16, latent_dim=8, width=4)
    expected = into_ball((rows - rows.mean(0)) @ game.axes.T)
    torch.testing.assert_close(game.codes.weight.data, expected)
    few = principal_components(flat(n=4, rank=2), 8)[1]
    assert few.shape == (8, 256) and (few[4:] == 0).all()


def test_one_move_by_hand(make: Any, play: Any) -> None:
    """Both move by one gradient, at their own rates; rows that were not in the batch stay bit for bit, moved ones stay in the ball."""
    game, config, data = make("glo", "small", flat(), resolution=16, latent_dim=4, width=4, batch=16, code_lr=300.0)
    game.double()
    with play(game, config, data) as table:
        codes, weight = game.codes.weight.detach().clone(), game.generator.last.weight.detach().clone()
        seen: list[Any] = []
        table.trainer.fabric.backward = lambda loss: (loss.backward(), seen.append(game.codes.weight.grad.detach().to_dense().clone()))
        table.rounds(1)
        moved = seen[0].abs().sum(1) > 0
        assert moved.sum() == 16
        torch.testing.assert_close(game.codes.weight.detach()[moved], into_ball(codes - 300.0 * seen[0])[moved])
        assert torch.equal(game.codes.weight[~moved], codes[~moved])
        torch.testing.assert_close(game.generator.last.weight.detach(), weight - 1.0 * game.generator.last.weight.grad)
        assert (codes - 300.0 * seen[0]).norm(dim=1).max() > 1.1 > 1 + 1e-6 > game.codes.weight.norm(dim=1).max()


def test_it_learns_and_finds_codes_of_unknown_images(make: Any, play: Any) -> None:
    whole = flat(n=140)
    data, unknown = whole.part(torch.arange(120), "seen"), whole.part(torch.arange(120, 140), "unseen")
    game, config, _ = make("glo", "small", data, resolution=16, latent_dim=4, width=8, batch=40)
    assert isinstance(game, Samples) and isinstance(game, Shows) and isinstance(game, Measures)
    assert isinstance(game, Encodes) and isinstance(game, Reconstructs)
    with play(game, config, data) as table:
        table.rounds(150)
    first, last = (sum(float(values["generator/reconstruction"]) for values in part) for part in (table.log[:10], table.log[-10:]))
    assert last < 0.6 * first
    x = unknown.column("image").float() / 127.5 - 1
    game.eval()
    z = game.encode(x)
    assert z.norm(dim=1).max() < 1 + 1e-6
    guess = game.generator(into_ball((x - game.mean).flatten(1) @ game.axes.T))
    assert game.distance(game.reconstruct(x), x).mean() < 0.95 * game.distance(guess, x).mean()
    assert torch.equal(game.encode(x[:5]), game.encode(x[:5]))


def test_samples_are_of_the_normal_distribution_that_fits(make: Any) -> None:
    game, *_ = make("glo", "small", flat(), resolution=16, latent_dim=3, width=4)
    table = 0.1 * torch.randn(60, 3, generator=torch.Generator().manual_seed(1)) @ torch.tensor([[1.0, 0.8, 0], [0, 1, 0], [0, 0, 0.01]])
    game.codes.weight.data.copy_(table)
    mean, factor = game.gaussian()
    torch.testing.assert_close(mean, table.mean(0))
    torch.testing.assert_close(factor @ factor.T, torch.cov(table.T), atol=1e-6, rtol=1e-4)
    seen: list[Any] = []
    game.generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    game.sample(20_000, Draws.seeded(0))
    torch.testing.assert_close(torch.cov(seen[0].T), torch.cov(table.T), atol=5e-4, rtol=0)
    with torch.no_grad():
        game.codes.weight.mul_(2)  # a move in place
    assert not torch.equal(game.gaussian()[1], factor)
    with pytest.raises(UsageError, match="no truncation"):
        game.sample(2, Draws.seeded(0), truncation=0.5)


def test_settings_that_make_no_sense(make: Any) -> None:
    with pytest.raises(UsageError, match="must be more than 0"):
        GLOConfig(lr=0.0)
    with pytest.raises(UsageError, match="needs sides of 64 pixels"):
        make("glo", "small", flat(), resolution=16, levels=6)
    game, *_ = make("glo", "small-random", flat(), resolution=16)
    torch.testing.assert_close(game.codes.weight.norm(dim=1), torch.ones(60))
