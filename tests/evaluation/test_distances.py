"""Perceptual distances: LPIPS against torch-fidelity's, files of weights, and walks through a generator."""

from __future__ import annotations

import dataclasses
import hashlib
import types
import urllib.error

import pytest
import torch
import torchvision
from torch import Tensor, nn

from saddlepoint.draws import Draws, draws_like
from saddlepoint.errors import UsageError
from saddlepoint.evaluation import distances, fidelity
from saddlepoint.evaluation.distances import distance_of_extractor, open_distance
from saddlepoint.evaluation.extractors import open_extractor
from saddlepoint.evaluation.fidelity import PUBLISHED
from saddlepoint.evaluation.perceptual import join, walk_path_length
from saddlepoint.evaluation.walks import Walk, walk_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def images(n: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    """Bytes as floats in [-1, 1], so that a reference that reads bytes sees the same."""
    pixels = torch.randint(0, 256, (n, 3, side, side), generator=torch.Generator().manual_seed(seed))
    return pixels / 127.5 - 1


@pytest.fixture
def vgg(cache, monkeypatch) -> tuple[nn.Sequential, dict[str, Tensor]]:
    """Random weights of VGG16's convolutions and of LPIPS, in files in the cache whose checksums count as the published ones."""
    torch.manual_seed(0)
    features = _features()
    learnt = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))}
    (cache / "weights").mkdir(parents=True)
    state = {f"features.{name}": value for name, value in features.state_dict().items()}
    for published, content in ((PUBLISHED["vgg16"], state), (distances.LPIPS, learnt)):
        torch.save(content, published.path)
        known = dataclasses.replace(published, sha256=hashlib.sha256(published.path.read_bytes()).hexdigest())
        if content is learnt:
            monkeypatch.setattr(distances, "LPIPS", known)
        else:
            monkeypatch.setitem(PUBLISHED, "vgg16", known)
    return features, learnt


def _features() -> nn.Sequential:
    with torch.device("meta"):
        features = torchvision.models.vgg16(init_weights=False).features
    features = features.to_empty(device="cpu")
    for parameter in features.parameters():
        nn.init.kaiming_normal_(parameter) if parameter.ndim > 1 else nn.init.normal_(parameter, std=0.1)
    return features


def test_lpips_is_that_of_torch_fidelity(vgg, monkeypatch) -> None:
    from torch_fidelity import sample_similarity_lpips as reference

    features, learnt = vgg
    monkeypatch.setattr(reference, "load_state_dict_from_url", lambda *args, **kwargs: learnt)
    monkeypatch.setattr(reference, "torchvision_load_pretrained_vgg16", lambda: types.SimpleNamespace(features=features))
    monkeypatch.setattr(reference.SampleSimilarityLPIPS, "load_state_dict", lambda self, state: nn.Module.load_state_dict(self, state, strict=False))
    theirs = reference.SampleSimilarityLPIPS("lpips")
    x, y = images(seed=1), images(seed=2)
    expected = theirs((x + 1) * 127.5, (y + 1) * 127.5).flatten()
    found = open_distance("lpips")
    assert torch.allclose(found.between(x, y), expected, rtol=1e-4)  # five float32 sums, and 1e-10 added to a norm or not
    assert found.between(x, x).abs().max() == 0
    assert len(found.weights_hash.split()) == 2


def test_vgg16_without_weights_counts_every_channel_once(vgg) -> None:
    x, y = images(seed=1), images(seed=2)
    found, expected, a, b = open_distance("vgg16"), torch.zeros(3), *((i * 127.5 + 127.5) / 255 for i in (x, y))
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    a, b = (a - mean) / std, (b - mean) / std
    for index, layer in enumerate(vgg[0]):
        a, b = layer(a), layer(b)
        if index in (3, 8, 15, 22, 29):
            unit = [m / m.norm(dim=1, keepdim=True).clamp(min=1e-10) for m in (a, b)]
            expected += (unit[0] - unit[1]).square().sum(1).mean((1, 2))
    assert torch.allclose(found.between(x, y), expected, rtol=1e-4)
    with pytest.raises(UsageError, match="needs images of 16 pixels or more"):
        found.between(images(side=8), images(side=8))


@pytest.mark.parametrize("name", ["quick", "lite0@64"])
def test_distances_of_small_networks_rise_with_noise(name) -> None:
    distance, x = open_distance(name), images(4) * 0.5
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    found = torch.stack([distance.between(x, x + level * noise).mean() for level in (0.0, 0.1, 0.5)])
    assert found[0] < 1e-6 < found[1] < found[2]
    assert torch.allclose(distance.between(x, noise), distance.between(noise, x), rtol=1e-4)
    assert distance.stamp["distance"] == name and distance.stamp["distance_hash"]
    with pytest.raises(UsageError, match="1 or 3 channels"):
        distance.between(torch.zeros(1, 2, 16, 16), torch.zeros(1, 2, 16, 16))


def test_a_grey_image_is_one_of_three_equal_channels() -> None:
    grey = images(2)[:, :1], images(2, seed=5)[:, :1]
    distance = open_distance("quick")
    assert torch.equal(distance.between(*grey), distance.between(*(x.expand(-1, 3, -1, -1) for x in grey)))


def test_ones_own_distance_and_wrong_names(tmp_path, monkeypatch) -> None:
    (tmp_path / "apart.py").write_text("def mean(x, y):\n    return (x - y).abs().flatten(1).mean(1)\n")
    monkeypatch.chdir(tmp_path)
    assert open_distance("apart:mean").between(torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)).tolist() == [1.0, 1.0]
    with pytest.raises(UsageError, match="There is no distance 'lpipz'. Nearest: lpips"):
        open_distance("lpipz")
    with pytest.raises(UsageError, match="The distance nowhere:net cannot be imported"):
        open_distance("nowhere:net")
    with pytest.raises(UsageError, match="The extractor inception has no distance of its own"):
        distance_of_extractor("inception")


def test_lpips_offline_names_file_place_and_checksum(cache, monkeypatch) -> None:
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(fidelity.urllib.request, "urlopen", offline)
    with pytest.raises(UsageError) as raised:
        open_distance("lpips")
    line, published = str(raised.value), PUBLISHED["vgg16"]
    assert all(part in line for part in (published.file, published.sha256, published.url, str(cache / "weights"), "no network"))
    assert "\n" not in line
    (cache / "weights").mkdir(parents=True)
    (cache / "weights" / published.file).write_bytes(b"no weights")
    with pytest.raises(UsageError, match=r"is not vgg16-397923af.pth: its SHA-256 begins"):
        open_distance("lpips")


def test_vgg16_extractor_from_a_file(tmp_path, monkeypatch) -> None:
    def small(**kwargs) -> nn.Module:
        net = nn.Module()
        net.features = nn.Sequential(nn.Conv2d(3, 2, 3, stride=32, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(7))
        net.classifier = nn.Sequential(nn.Linear(98, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 5))
        net.forward = lambda x: net.classifier(net.features(x).flatten(1))
        return net

    monkeypatch.setattr(torchvision.models, "vgg16", small)
    torch.save(small().state_dict(), tmp_path / "vgg.pth")
    digest = hashlib.sha256((tmp_path / "vgg.pth").read_bytes()).hexdigest()
    monkeypatch.setitem(PUBLISHED, "vgg16", dataclasses.replace(PUBLISHED["vgg16"], sha256=digest, dimension=6))
    extractor = open_extractor("vgg16", weights=tmp_path / "vgg.pth")
    found = extractor(torch.randint(0, 256, (3, 1, 40, 40), dtype=torch.uint8))["features"]
    assert found.shape == (3, 6) and bool((found >= 0).all()) and extractor.weights_hash == digest


# -- walks ---------------------------------------------------------------------------------------------------------------------------------


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum((1, 2, 3))


def walk(**changes) -> Walk:
    matrix = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def paint(z: Tensor, labels: Tensor | None = None) -> Tensor:
        noise = draws_like(z).normal(len(z), 12).to(z)
        shift = 0 if labels is None else labels[:, None]
        return (z.flatten(1) @ matrix.T + noise + shift).view(-1, 3, 2, 2)

    given = {"latents": lambda n, draws: draws.normal(n, 5), "images": paint, "between": "slerp", "dtype": torch.float64} | changes
    return Walk(**given)


@pytest.mark.parametrize("between", ["slerp", "straight"])
def test_path_length_of_a_linear_generator_does_not_depend_on_the_step(between) -> None:
    found = [walk_path_length(walk(between=between), squared, num_samples=300, epsilon=epsilon) for epsilon in (1e-3, 1e-4)]
    assert found[0].value == pytest.approx(found[1].value, rel=2e-3)  # noise is the same at both ends, or this would be 1e8
    assert 0 < found[0].error < 0.2 * found[0].value


def test_labels_and_styles_are_the_same_at_both_ends() -> None:
    plain = walk_path_length(walk(between="straight"), squared, num_samples=100)
    told = walk_path_length(walk(between="straight", num_classes=9), squared, num_samples=100)
    assert told.value == pytest.approx(plain.value, rel=1e-3)
    styled = walk(between="unit", mapping=lambda z, labels: z[:, None], synthesis=walk().images)
    in_w = walk_path_length(styled, squared, space="w", num_samples=100)
    assert in_w.value == pytest.approx(plain.value, rel=1e-3)
    assert walk_path_length(styled, squared, space="w", sampling="end", num_samples=100).value == pytest.approx(plain.value, rel=1e-3)
    with pytest.raises(UsageError, match="A path in w needs a generator with styles"):
        walk_path_length(walk(), squared, space="w", num_samples=100)


def test_great_circles_keep_the_size_of_normal_latents() -> None:
    a, b = torch.randn(2, 200, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    middle = join(a, b, torch.full((200, 1), 0.5, dtype=torch.float64), "slerp").norm(dim=1)
    assert middle.mean() == pytest.approx(8.0, rel=0.02)
    assert join(a, b, torch.full((200, 1), 0.5, dtype=torch.float64), "unit").norm(dim=1).mean() == pytest.approx(1.0)


def test_a_game_without_latents_has_no_walk() -> None:
    assert walk_of(nn.Linear(1, 1)) is None
    game = nn.Module()
    game.generator, game.num_classes, game.config = nn.Linear(2, 3), None, types.SimpleNamespace(latent="uniform")
    game.latents, game.generate = (lambda n, draws: draws.uniform(n, 2)), (lambda z, labels, generator: generator(z))
    found = walk_of(game)
    assert found is not None and found.between == "straight" and found.mapping is None
    assert found.images(found.latents(4, Draws.seeded(0)), None).shape == (4, 3)
