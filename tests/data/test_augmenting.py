"""Augmentations of the data: what they do, and that chance is a matter of the place in the stream alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saddlepoint import api
from saddlepoint.data.augmenting import AUGMENTATIONS, Chance, augment, augmentation, check_augmentations
from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.training.batches import Feed
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run

IMAGES = torch.randint(0, 256, (400, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PLACES = torch.arange(1000, 1400)


def test_every_other_image_is_mirrored_with_all_that_belongs_to_it() -> None:
    records = {"image": IMAGES, "partner": IMAGES[:, :1], "label": torch.arange(400)}
    seen = augment(records, ["mirror"], seed=3, positions=PLACES)
    kept = (seen["image"] == IMAGES).flatten(1).all(1)
    turned = (seen["image"] == IMAGES.flip(3)).flatten(1).all(1)
    assert torch.equal(kept, ~turned)
    assert 150 < int(kept.sum()) < 250
    assert torch.equal((seen["partner"] == IMAGES[:, :1]).flatten(1).all(1), kept)
    assert torch.equal(seen["label"], records["label"])


def test_a_crop_is_a_window_of_the_reflected_image() -> None:
    seen = augment({"image": IMAGES}, ["crop"], seed=0, positions=PLACES)["image"].numpy()
    wide = np.pad(IMAGES.numpy(), ((0, 0), (0, 0), (2, 2), (3, 3)), mode="reflect")
    found = set()
    for image, large in zip(seen, wide, strict=True):
        windows = {(y, x) for y in range(5) for x in range(7) if np.array_equal(image, large[:, y : y + 16, x : x + 24])}
        assert len(windows) == 1
        found |= windows
    assert len(found) == 35  # every move there is


def test_small_and_floating_images() -> None:
    tiny = torch.rand(50, 1, 2, 1)
    seen = augment({"image": tiny}, ["mirror", "crop"], seed=0, positions=torch.arange(50))["image"]
    assert torch.equal(seen.sort(2)[0], tiny.sort(2)[0]) or set(seen.unique().tolist()) <= set(tiny.unique().tolist())
    assert seen.dtype == torch.float32


def test_chance_is_even_and_differs_by_seed_place_and_purpose() -> None:
    draws = Chance(1, torch.arange(60_000)).below(6)
    counts = torch.bincount(draws, minlength=6)
    assert (counts - 10_000).abs().max() < 500
    assert not torch.equal(draws, Chance(2, torch.arange(60_000)).below(6))
    assert not torch.equal(draws, Chance(1, torch.arange(60_000)).below(6, "other"))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_batch_is_the_same_on_several_processes_and_when_resumed(processes: int) -> None:
    data = open_data("digits", resolution=16)

    def batch(processes: int, position: int) -> torch.Tensor:
        parts = []
        for rank in range(processes):
            feed = Feed(
                data,
                seed=5,
                batch=16,
                rank=rank,
                processes=processes,
                device=torch.device("cpu"),
                dtype=torch.float32,
                augmentations=("mirror", "crop"),
            )
            feed.position = position
            parts.append(feed.next().image)
            feed.close()
        return torch.cat(parts)

    assert torch.equal(batch(processes, 48), batch(1, 48))


def test_a_run_records_them_and_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    def train(name: str, steps: int, *augment_data: str, **more: Any) -> Run:
        plan = Plan(steps=steps, log_every=1, preview_every=0, score_every=0)
        flags = {"data": "digits", "resolution": 16, "width": 4, "batch": 8, "device": "cpu"}
        return api.train("dcgan", **flags, augment_data=augment_data, plan=plan, out=tmp_path / name, **more)  # type: ignore[arg-type]

    whole, half, plain = train("whole", 4, "mirror", "crop"), train("half", 2, "mirror", "crop"), train("plain", 4)
    assert whole.about["augment_data"] == ["mirror", "crop"]
    api.resume(half.folder, steps=4, device="cpu")
    states = [api.load(run.folder)[0].state_dict() for run in (whole, half, plain)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not all(torch.equal(value, states[2][name]) for name, value in states[0].items())


def test_volumes_turn_about_the_up_axis() -> None:
    data = open_data("shapes3d", resolution=8)
    rows = torch.arange(40)
    records = data.records(rows)
    turned = augment(records, ["turn"], seed=0, positions=rows)["volume"]
    every = torch.stack([records["volume"].rot90(k, (2, 4)) for k in range(4)])
    found = (every == turned).flatten(2).all(2)  # quarter, record
    assert found.any(0).all()
    assert found.any(1).all()  # each of the four is drawn
    again = augment(data.records(rows[10:20]), ["turn"], seed=0, positions=rows[10:20])["volume"]
    assert torch.equal(again, turned[10:20])
    assert torch.equal(turned.sum((2, 4)), records["volume"].sum((2, 4)))  # a layer keeps its height


def test_what_does_not_fit_is_refused() -> None:
    spec = open_data("ring8").spec
    with pytest.raises(UsageError, match="no augmentation of data named 'miror'"):
        check_augmentations(["miror"], spec)
    with pytest.raises(UsageError, match=r"mirror augments image data; ring8 holds points\. For it there is: none"):
        check_augmentations(["mirror"], spec)
    with pytest.raises(UsageError, match="named once"):
        check_augmentations(["crop", "crop"], open_data("digits").spec)
    with pytest.raises(ValueError, match="two augmentations"):
        augmentation("crop", kinds=("image",), title="again")(AUGMENTATIONS["crop"].change)
