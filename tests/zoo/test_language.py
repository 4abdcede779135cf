"""The Wasserstein game of letters: networks, what the critic reads, samples as text, the quick score, and that it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from saddlepoint import api
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.sequences import ngram_jensen_shannon
from saddlepoint.games.player import Adam
from saddlepoint.networks.letters import LetterCritic, LetterGenerator
from saddlepoint.views.ada import ADA
from tests.zoo.conftest import Playing, make_game

FAST = Adam(lr=2e-3, beta1=0.5, beta2=0.9)
SMALL: dict[str, Any] = {
    "width": 16,
    "blocks": 1,
    "latent_dim": 8,
    "batch": 32,
    "rounds": 100,
    "d_steps": 2,
    "generator_optimizer": FAST,
    "discriminator_optimizer": FAST,
}


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Lines of eight letters, of which every second is a vowel."""
    rng = torch.Generator().manual_seed(0)
    pick = torch.randint(0, 3, (400, 8), generator=rng).tolist()
    lines = ["".join(("aei" if position % 2 else "bdk")[letter] for position, letter in enumerate(row)) for row in pick]
    (tmp_path / "words.txt").write_text("\n".join(lines))
    return f"chars:{tmp_path / 'words.txt'}"


def test_the_networks_are_those_of_the_paper() -> None:
    generator, critic = LetterGenerator(128, 50, 32), LetterCritic(50, 32)
    block = 2 * (5 * 512 * 512 + 512)
    count = [sum(parameter.numel() for parameter in network.parameters()) for network in (generator, critic)]
    assert count[0] == 128 * 512 * 32 + 512 * 32 + 5 * block + 512 * 50 + 50
    assert count[1] == 50 * 512 + 512 + 5 * block + 512 * 32 + 1
    x = generator(torch.randn(3, 128))
    assert x.shape == (3, 50, 32)
    torch.testing.assert_close(x.sum(1), torch.ones(3, 32))
    assert critic(x).logits.shape == (3,)
    deviation = generator.blocks[0].first.weight.std().item()
    assert abs(deviation - (4 / (2 * 512 * 5)) ** 0.5) < 0.01 * deviation


def test_it_learns_which_letters_stand_where(file: str) -> None:
    data = open_data(file)
    game, config, prepared = make_game("wgan-gp-language", "small", data, ema_halflife_kimg=None, **SMALL)
    scorer = QuickScorer(data, num_real=200, num_fake=200)
    before = scorer.score(game.sample(200, Draws.seeded(0)))
    with Playing(game, config, prepared) as playing:
        for _ in range(config.rounds):
            playing.trainer.play_round()
    samples = game.sample(200, Draws.seeded(1))
    after = scorer.score(samples)
    assert samples.dtype == torch.int64 and samples.shape == (200, 8)
    assert after["ngram_js2"] < 0.3 * before["ngram_js2"]
    assert scorer.floor["ngram_js1"] < 0.01 and scorer.protocol["orders"] == [1, 2, 3, 4, 6]
    vowels = [line[1::2] for line in game.lines(samples)]
    assert sum(letter in "aei" for line in vowels for letter in line) > 0.9 * 800


def test_the_critic_reads_one_hot_tokens(file: str) -> None:
    data = open_data(file)
    game, _, _ = make_game("wgan-gp-language", "small", data, **SMALL)
    tokens = data.column("tokens")[:4]
    x = game.reals(type("B", (), {"x": tokens})())
    assert x.shape == (4, len(data.spec.vocabulary), 8)
    assert torch.equal(x.argmax(1), tokens) and float(x.sum()) == 32


def test_an_augmentation_of_images_is_refused(file: str) -> None:
    with pytest.raises(UsageError, match="these are sequences"):
        make_game("wgan-gp-language", "small", open_data(file), **SMALL, augmentation=ADA())


def test_the_quick_score_is_the_divergence_of_the_metrics_by_name(file: str) -> None:
    data = open_data(file)
    scorer = QuickScorer(data, num_real=200, num_fake=100)
    fake = torch.randint(0, 6, (100, 8), generator=torch.Generator().manual_seed(3))
    real = scorer._real.astype(int).tolist()
    assert scorer.score(fake)["ngram_js4"] == pytest.approx(ngram_jensen_shannon(real, fake.tolist(), 4))
    assert scorer.metric == "ngram_js4"


def test_from_the_command_to_a_text_file_and_its_scores(file: str, tmp_path: Path) -> None:
    settings = {name: value for name, value in SMALL.items() if name != "rounds"}
    api.train("wgan-gp-language", data=file, out=tmp_path / "run", preset="small", steps=4, **settings)
    api.sample(tmp_path / "run", num=5, out=tmp_path / "some.txt")
    lines = (tmp_path / "some.txt").read_text().splitlines()
    assert len(lines) == 5 and all(set(line) <= set("aeibdk") and len(line) <= 8 for line in lines)
    found = api.evaluate(tmp_path / "run", num=50)
    assert 0 <= found["scores"]["ngram_js_4"]["value"] <= 1
    assert not any("nll" in name or "perplexity" in name for name in found["scores"])


def test_lines_are_cut_into_sequences(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("abcdefgh\nabc\n")
    assert open_data(f"chars:{path}?cut=3").column("tokens").shape == (4, 3)
    path.write_text("abcdefgh\n" * 20)
    assert QuickScorer(open_data(f"chars:{path}?cut=3")).metric == "ngram_js3"
    with pytest.raises(UsageError, match="Choose one"):
        open_data(f"chars:{path}?cut=3&length=3")
