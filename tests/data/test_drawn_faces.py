"""Faces drawn from an identity and attributes: exact targets of edits."""

from __future__ import annotations

import hashlib

import pytest
import torch

from saddlepoint.data.drawn_faces import ATTRIBUTES, HAIR_COLOURS, IDENTITIES, attributes_of_all, draw_faces
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError

N = 24


def test_a_record_is_what_its_identity_and_attributes_draw() -> None:
    data = open_data("faces", resolution=32)
    rows = data.records(torch.tensor([5, 9_999, 5]))
    assert data.attribute_names == ATTRIBUTES
    assert data.spec.shapes == {"attributes": (8,), "identity": ()}
    assert rows["identity"].tolist() == [5, 9_999, 5]
    assert torch.equal(rows["image"], draw_faces(rows["identity"], rows["attributes"], 32))
    part = open_data("faces:test", resolution=32).records(torch.arange(3))
    assert torch.equal(part["image"], draw_faces(part["identity"], part["attributes"], 32))


def test_the_drawing_is_fixed_for_good() -> None:
    assert open_data("faces").spec.content_hash == "ab81e33b12d338ee"
    images = draw_faces(torch.arange(N), attributes_of_all()[:N])
    assert images.shape == (N, 3, 64, 64)
    assert hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16] == "2df3bf746b36e481"


def test_sizes_and_channels() -> None:
    whole = open_data("faces", resolution=48).records(torch.arange(2))["image"]
    part = open_data("faces", resolution=(32, 48)).records(torch.arange(2))["image"]
    assert torch.equal(part, whole[:, :, 8:40])
    grey = open_data("faces", resolution=48, channels=1).records(torch.arange(2))["image"]
    assert grey.shape == (2, 1, 48, 48)
    assert len({open_data("faces", resolution=side).spec.content_hash for side in (32, 64)}) == 2


def test_every_attribute_shows_and_only_where_it_is() -> None:
    """Turned on and off, each changes at least 20 pixels of every face at 64 pixels, in its own part of the picture."""
    identity, base = torch.arange(N), attributes_of_all()[:N].clone()
    base[:, 3:] = 0
    for column, name in enumerate(ATTRIBUTES):
        off, on = base.clone(), base.clone()
        off[:, column], on[:, column] = 0, 1
        if name in HAIR_COLOURS:
            off[:, :3] = on[:, :3] = 0
            on[:, column], off[:, (column + 1) % 3] = 1, 1
        changed = (draw_faces(identity, off) != draw_faces(identity, on)).any(1)
        assert changed.flatten(1).sum(1).min() >= 20, name
        if name in ("smile", "beard"):
            assert not changed[:, :28].any(), name
        if name in ("glasses", "hat"):
            assert not changed[:, 42:].any(), name


def test_attributes_are_independent_and_hair_has_one_colour() -> None:
    values = attributes_of_all().double()
    assert values.shape == (IDENTITIES, 8)
    assert torch.equal(values[:, :3].sum(1), torch.ones(IDENTITIES, dtype=torch.float64))
    shares = torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.5, 0.4, 0.5, 0.35, 0.3])
    assert torch.allclose(values.mean(0), shares.double(), atol=0.02)
    correlations = torch.corrcoef(values[:, 2:].T) - torch.eye(6)
    assert correlations.abs().max() < 0.04


def test_identities_differ() -> None:
    same = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0]]).expand(N, -1)
    images = draw_faces(torch.arange(N), same, 32).flatten(1)
    assert len({bytes(image.numpy()) for image in images}) == N


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(DataError, match=r"drawn with 8 attributes each \(black-hair, .*\(1, 3\) came"):
        draw_faces(torch.tensor([0]), torch.zeros(1, 3))
    with pytest.raises(DataError, match="There are 10000 identities, from 0 on; 10000 to 10000 came"):
        draw_faces(torch.tensor([10_000]), torch.zeros(1, 8))
    assert draw_faces(torch.arange(0), torch.zeros(0, 8), 32).shape == (0, 3, 32, 32)
