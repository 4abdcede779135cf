"""The brute-force encoder: who learns when and from what, its losses by hand, and that real images far from the samples stay far."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.autoencoding import Encodes, Reconstructs
from saddlepoint.games.brute_force import BruteForceConfig
from saddlepoint.games.game import Classifies, Measures, Samples, Shows

TINY: dict[str, Any] = {"resolution": 16, "width": 4, "encoder_width": 4, "latent_dim": 3, "batch": 8, "pretrain": 2, "rounds": 6}


@pytest.mark.parametrize("conditional", [False, True])
def test_first_the_gan_then_the_encoder(conditional: bool, make: Any, images: Any, play: Any) -> None:
    game, config, data = make("brute-force", "small", images(), **TINY, conditional=conditional)
    encoder = [p.clone() for p in game.encoder.parameters()]
    with play(game, config, data) as table:
        table.rounds(2)
        assert all(torch.equal(a, b) for a, b in zip(encoder, game.encoder.parameters(), strict=True))
        others = [value.clone() for name, value in game.state_dict().items() if not name.startswith("encoder")]
        read = table.trainer.feed.position
        table.rounds(2)
        assert [{name.partition("/")[0] for name in values} for values in table.log[-2:]] == [{"encoder"}, {"encoder"}]
    now = [value for name, value in game.state_dict().items() if not name.startswith("encoder")]
    assert all(torch.equal(a, b) for a, b in zip(others, now, strict=True)), "G is as it was trained, its running statistics too"
    assert table.trainer.feed.position == read, "the encoder read real records"


def test_losses_by_hand(make: Any, images: Any) -> None:
    game, *_ = make("brute-force", "small", images(), **TINY, conditional=True)
    game.double().draws = Draws.seeded(2, dtype=torch.float64)
    with use(game.draws):
        terms = game.encoder_turn(Batch({"image": torch.zeros(8, 1, 16, 16, dtype=torch.float64)})).terms
    draws = Draws.seeded(2, dtype=torch.float64)
    z, labels = draws.normal(8, 3), draws.integers(8, high=4)
    game.generator.eval()
    raw = game.encoder(game.generator(z, labels))
    torch.testing.assert_close(terms["latent"], ((raw[:, :3] - z) ** 2).sum() / 24)
    torch.testing.assert_close(terms["classes"], -raw[:, 3:].log_softmax(1)[torch.arange(8), labels].mean())


def test_what_it_can_do(make: Any, images: Any) -> None:
    game, *_ = make("brute-force", "small", images(), **TINY, conditional=True)
    for protocol in (Samples, Shows, Measures, Encodes, Reconstructs, Classifies):
        assert isinstance(game, protocol)
    game.eval()
    batch = Batch({"image": torch.zeros(3, 1, 16, 16)})
    assert game.encode(batch.x).shape == (3, 3) and game.classify(batch.x).shape == (3, 4)
    assert game.show(batch, Draws.seeded(0)).shape == (3, 4, 1, 16, 16)
    assert set(game.measure(batch, Draws.seeded(0))) == {"error_share", "error", "error_fakes", "gap", "latent_share"}
    with pytest.raises(UsageError, match="no truncation"):
        game.sample(2, Draws.seeded(0), truncation=1.0)
    plain, *_ = make("brute-force", "small", images(), **TINY)
    with pytest.raises(UsageError, match="--conditional"):
        plain.classify(batch.x)
    with pytest.raises(UsageError, match="lower --pretrain"):
        BruteForceConfig(rounds=5, pretrain=5)
    data = images()
    data.spec = type(data.spec)(name="bare", kind="image", shape=(1, 16, 16), num_records=40)
    with pytest.raises(DataError, match="needs labels; bare has none"):
        make("brute-force", "small", data, **TINY, conditional=True)
