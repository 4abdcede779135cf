"""Previews and scores of games that show and measure themselves on real records."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws
from saddlepoint.games.game import Game, Loss, turn
from saddlepoint.games.player import SGD
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run
from saddlepoint.training.session import Session
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.training.watchers import MEASURED, make_watchers


class Copies(Game):
    """Learns one number that grey images are multiplied by to give themselves."""

    metric = "error"

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.model.weight)
        self.add_player("model", [self.model], SGD(lr=0.5))

    def play(self):  # type: ignore[no-untyped-def]
        yield self.learn

    @turn("model")
    def learn(self, batch: Batch) -> Loss:
        assert batch["index"].dtype == torch.int64
        return Loss(error=self.error(batch))

    def error(self, batch: Batch) -> Tensor:
        return (self.model.weight * batch.x - batch.x).square().mean()

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        assert not self.training
        return torch.stack([batch.x, self.model.weight * batch.x], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        return {"error": self.error(batch), "size": torch.tensor(float(len(batch)))}


def session_of(game: Game, folder: Path, **settings: object) -> tuple[Session, Trainer]:
    data = open_data("digits", resolution=8)
    about = {"seed": 0, "data": {"kind": "image"}}
    run = Run(folder, about)
    run.create()
    trainer = Trainer(game, data, TrainerConfig(batch=16, horizon=8))
    return Session(trainer, run, Plan(steps=8, preview_every=4, score_every=4, log_every=4), make_watchers(run, game, data, None)), trainer


def test_a_game_that_shows_and_measures_itself(tmp_path: Path) -> None:
    game = Copies()
    session, trainer = session_of(game, tmp_path / "run")
    session.train()
    trainer.close()
    names = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert names == [f"round-{round:08d}.png" for round in (0, 1, 2, 4, 8)]
    with Image.open(tmp_path / "run" / "samples" / "round-00000008.png") as picture:
        assert picture.size == (4 * 10 - 2, 6 * 10 - 2)  # twelve records, two pictures each, four in a row
    scores = [session.run.folder / "scores.jsonl"][0].read_text().splitlines()
    assert len(scores) == 2
    assert '"metric": "error"' in scores[0]
    assert session.best is not None
    assert session.best[0] < 0.05
    assert session.best[1] == 8


def test_measures_are_means_over_the_same_records(tmp_path: Path) -> None:
    game = Copies()
    session, trainer = session_of(game, tmp_path / "run")
    trainer.close()
    scorer = session.watchers.scorer
    assert scorer is not None
    found = scorer.score(0, 0)
    data = open_data("digits", resolution=8)
    assert found["size"] == 64
    assert found == scorer.score(1, 99)
    whole = data.column("image").double() / 127.5 - 1
    assert abs(found["error"] - whole.square().mean().item()) < 0.05
    assert len(data) >= MEASURED
    assert game.training
