"""Small studies of made-up pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saddlepoint.human.answers import AnswerStore
from saddlepoint.human.session import Session
from saddlepoint.human.study import Settings, Study, create_study


@pytest.fixture
def make_study(tmp_path: Path):
    """A function that writes a study of random 8 x 8 pictures: kind, layout, number of arms, pictures an arm, settings."""

    def make(kind: str, layout: str, arms: int = 2, num: int = 40, name: str = "study", **settings) -> Study:
        rng = torch.Generator().manual_seed(0)
        named = [(f"arm{i}", torch.randint(0, 256, (num, 3, 8, 8), generator=rng, dtype=torch.uint8), {"name": f"source{i}"}) for i in range(arms)]
        return create_study(tmp_path / name, Settings(kind=kind, layout=layout, **settings), named)

    return make


@pytest.fixture
def open_session():
    """A function that opens the door to a study; its answer file is closed at the end."""
    stores = []

    def open_door(study: Study) -> Session:
        stores.append(AnswerStore(study.folder))
        return Session(study, stores[-1])

    yield open_door
    for store in stores:
        store.close()
