"""Planted motifs: the density is that of the draw."""

from __future__ import annotations

import math

import pytest
import torch

from saddlepoint.data.drawn_dna import BOXES, GAPS, LENGTH, LETTERS, PLACES, PURE, PlantedDNA
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


def opened() -> PlantedDNA:
    data = open_data("motifs")
    assert isinstance(data, PlantedDNA)
    return data


def test_the_boxes_stand_where_the_record_says() -> None:
    data = opened()
    rows = data.records(torch.arange(4_000))
    for box, start in zip(BOXES, (rows["place"], rows["place"] + 6 + rows["gap"]), strict=True):
        letters = rows["tokens"].gather(1, start[:, None] + torch.arange(6))
        own = torch.tensor([LETTERS.index(letter) for letter in box])
        assert torch.allclose((letters == own).double().mean(0), torch.full((6,), PURE, dtype=torch.float64), atol=0.02)
    assert data.column("place").bincount().shape == (PLACES,)
    assert torch.allclose(data.column("gap").bincount()[16:] / len(data), torch.tensor([0.25, 0.5, 0.25]), atol=0.01)
    assert data.spec.vocabulary == ("A", "C", "G", "T")
    assert data.spec.content_hash == "4cbe3c72e9b2d70e"


def test_the_density_is_the_sum_over_all_places_and_gaps() -> None:
    data = opened()
    tokens = data.column("tokens")[:3]
    expected = []
    for sequence in tokens.tolist():
        total = 0.0
        for place in range(PLACES):
            for gap, share in GAPS.items():
                probability = share / PLACES * 0.25 ** (LENGTH - 12)
                for box, start in zip(BOXES, (place, place + 6 + gap), strict=True):
                    for j, letter in enumerate(box):
                        probability *= PURE if LETTERS[sequence[start + j]] == letter else (1 - PURE) / 3
                total += probability
        expected.append(math.log(total))
    assert data.density(tokens).tolist() == pytest.approx(expected, rel=1e-12)


def test_what_is_no_such_sequence_is_said() -> None:
    data = opened()
    with pytest.raises(DataError, match=r"Sequences of 64 letters are needed, int64 \[n, 64\]; torch.int64 \(2, 10\) came"):
        data.density(torch.zeros(2, 10, dtype=torch.int64))
    with pytest.raises(DataError, match=r"numbered 0 to 3 \(A, C, G, T\); 4 to 4 came"):
        data.density(torch.full((1, 64), 4))
    with pytest.raises(UsageError, match="motifs holds sequences, which have no resolution"):
        open_data("motifs", resolution=32)
    assert len(open_data("motifs:test")) == 2_000
