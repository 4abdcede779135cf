"""LAPGAN's game: one GAN a level of a Laplacian pyramid, each trained on real coarse images, independently of the others.

    for each level:  D minimises BCE on half a batch of real bands and half a batch of generated ones, on other images' coarse versions
                     G minimises -log D(l + G(z, l)) on the whole batch

Denton et al. 2015 (arXiv:1506.05751), section 3.2, and the authors' code. Errors made at one level do not reach the next in training; sampling goes
from the coarsest level to the finest, on generated images.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Average, Game, Loss, Turn, halflife_decay
from saddlepoint.games.player import SGD, Adam, Clock, RMSprop, Schedule
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.base import Judgement
from saddlepoint.networks.lapgan import LapganGenerator, resize
from saddlepoint.objectives.minimax import NonSaturating


@dataclass(frozen=True, kw_only=True)
class PyramidConfig(GameConfig):
    """Settings of the game; ``batch`` counts D's samples, half of them real.

    Attributes:
        latent_dim: d of the coarsest level's z [n, d], uniform on [-1, 1] as the planes of noise are.
        d_steps: D's turns at a level in a round.
        generator_optimizer: how G moves at every level.
        discriminator_optimizer: how D moves at every level.
        ema_halflife_kimg: half-life of the generators' averages in thousands of images; None keeps none.
        lr_divisor: both learning rates are divided by it each epoch (SGD only).
        momentum_step: added to both momenta each epoch (SGD only).
        momentum_limit: that they never pass (SGD only).
        epoch_rounds: rounds in an epoch; None: until D has seen every image as a real one.
        balance: the code's rule for larger images: of a round's moves at a level, only D's where D's error on fakes exceeds that on real samples by
            more than ``margin``, only G's otherwise, but D's always where its error on real samples exceeds ``ceiling``.
        margin: see ``balance``.
        ceiling: see ``balance``.
    """

    latent_dim: int = 100
    d_steps: int = 1
    generator_optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: SGD(lr=0.02, momentum=0.5, dampened=True))
    discriminator_optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: SGD(lr=0.02, momentum=0.5, dampened=True))
    ema_halflife_kimg: float | None = None
    lr_divisor: float = 1.00004
    momentum_step: float = 0.0008
    momentum_limit: float = 0.8
    epoch_rounds: int | None = None
    balance: bool = False
    margin: float = 0.3
    ceiling: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch % 2:
            raise UsageError(f"LAPGAN's batch is half real and half generated, so it must be even; it is {self.batch}.")
        if self.epoch_rounds is not None and self.epoch_rounds < 1:
            raise UsageError(f"epoch_rounds must be at least 1; it is {self.epoch_rounds}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "d_steps")

    @property
    def reads_a_round(self) -> int:
        """Batches of real records that a round reads: all levels share them."""
        return self.d_steps


class PyramidGame(Game):
    """A generator and a discriminator a level; the players are named by the level's height: generator_32, discriminator_32.

    Args:
        config: the settings above.
        generator: all levels.
        discriminators: one a level, the coarsest first.
        num_records: in an epoch.
        num_classes: set where the networks are told labels.
    """

    moves: Tensor

    def __init__(
        self,
        config: PyramidConfig,
        generator: LapganGenerator,
        discriminators: Sequence[nn.Module],
        *,
        num_records: int,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.config, self.num_records, self.num_classes = config, num_records, num_classes
        self.generator, self.discriminator, self.objective = generator, nn.ModuleList(discriminators), NonSaturating()
        self.terms = nn.ModuleList()
        self.names = [str(height) for height, _ in generator.sizes]
        self.register_buffer("moves", torch.ones(len(self.names), 2, dtype=torch.long))  # level; D, G: 1 moves
        for index, name in enumerate(self.names):
            for kind, module, optimizer in (
                ("discriminator", self.discriminator[index], config.discriminator_optimizer),
                ("generator", generator.levels[index], config.generator_optimizer),
            ):
                self.add_player(f"{kind}_{name}", [module], optimizer, schedule=self._schedule(optimizer))
        if config.ema_halflife_kimg is not None:
            self.generator_ema = copy.deepcopy(generator).requires_grad_(False)
            decay = halflife_decay(config.ema_halflife_kimg)
            for index, name in enumerate(self.names):
                self.averages.append(Average(f"generator_{name}", f"generator.levels.{index}", f"generator_ema.levels.{index}", decay))

    def _schedule(self, optimizer: Adam | RMSprop | SGD) -> Schedule | None:
        """Learning rate and momentum by epoch, as in the authors' code."""
        if not isinstance(optimizer, SGD):
            return None
        config, lr, momentum = self.config, optimizer.lr, optimizer.momentum

        def at(clock: Clock) -> dict[str, float]:
            epochs = clock.round // config.epoch_rounds if config.epoch_rounds else clock.images_seen // 2 // self.num_records
            now = max(momentum, min(momentum + config.momentum_step * epochs, config.momentum_limit))
            values = {"lr": max(lr / config.lr_divisor**epochs, 1e-6), "momentum": now}
            return values | ({"dampening": now} if optimizer.dampened else {})

        return at

    @property
    def saturates(self) -> bool:
        """As cross-entropy does."""
        return True

    def play(self) -> Iterator[Turn]:
        """D's and G's moves at each level, all on the same images; with ``balance`` those that last round's errors allow."""
        moves = self.moves.tolist() if self.config.balance else [[True, True]] * len(self.names)
        for index, (discriminator, generator) in enumerate(moves):
            turns = [("discriminator", self.config.d_steps)] * discriminator + [("generator", 1)] * generator
            for player, times in turns:
                loss = self.discriminator_loss if player == "discriminator" else self.generator_loss
                for step in range(times):
                    yield Turn(f"{player}_{self.names[index]}", "new" if step else "same", partial(loss, index), f"{player}_turn_{self.names[index]}")

    def discriminator_loss(self, index: int, batch: Batch) -> Loss:
        """D of a level on the even records, as they are, and on bands generated for the odd ones."""
        band, low, labels = self.parts(index, batch)
        n = len(batch) // 2
        if len(batch) != 2 * n:
            raise UsageError(
                f"LAPGAN's batch is half real and half generated; a piece of {len(batch)} came. Choose a batch that cuts into even pieces."
            )
        fake_low, fake_labels = low[1::2], None if labels is None else labels[1::2]
        with torch.no_grad():
            fake = self.band(index, n, fake_low, fake_labels)
        x = torch.cat([band[::2] + low[::2], fake + fake_low])
        with self.draws.together(2):
            logits = self.judge(index, x, None if labels is None or fake_labels is None else torch.cat([labels[::2], fake_labels])).logits
        real_logits, fake_logits = logits[:n], logits[n:]
        return Loss(adversarial=self.objective.discriminator(real_logits, fake_logits).mean() / 2).watch(**self._opinion(real_logits, fake_logits))

    def generator_loss(self, index: int, batch: Batch) -> Loss:
        """G of a level on the coarse versions of all records."""
        band, low, labels = self.parts(index, batch)
        x = low + self.band(index, len(batch), low, labels)
        fake_logits = self.judge(index, x, labels).logits
        loss = Loss(adversarial=self.objective.generator(fake_logits).mean())
        if self.config.balance:
            with torch.no_grad():
                loss.watch(**self._opinion(self.judge(index, band + low, labels).logits, fake_logits))
        return loss

    def parts(self, index: int, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """A level of the batch's standardised images: the band, what it is added to (0 at the coarsest), the labels."""
        sizes = self.generator.sizes
        x = self.generator.standardise(batch.x)
        for size in reversed(sizes[index:-1]):
            x = resize(x, size)
        low = resize(resize(x, sizes[index - 1]), sizes[index]) if index else torch.zeros_like(x)
        return x - low, low, batch["label"] if self.num_classes is not None else None

    def band(self, index: int, n: int, low: Tensor, labels: Tensor | None) -> Tensor:
        """What G of a level makes: n bands for ``low`` [n, c, h, w], or images where it is the coarsest."""
        level = self.generator.levels[index]
        made: Tensor = level(low, labels) if index else level(self.latents(n, self.draws), labels)
        return made

    def judge(self, index: int, x: Tensor, labels: Tensor | None) -> Judgement:
        """D of a level on sums of band and coarse version."""
        judgement: Judgement = self.discriminator[index](x, labels)
        return judgement

    def latents(self, n: int, draws: Draws) -> Tensor:
        """z of the coarsest level, [n, latent_dim]."""
        return draws.uniform(n, self.config.latent_dim, low=-1.0, high=1.0)

    @torch.no_grad()
    def _opinion(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Mean logits, and D's errors on either kind."""
        real, fake = real_logits.detach(), fake_logits.detach()
        errors = nn.functional.softplus(-real).mean(), nn.functional.softplus(fake).mean()
        return {"real": real.mean(), "fake": fake.mean(), "error_real": errors[0], "error_fake": errors[1]}

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """With ``balance``: who moves at this level in the next round (lsun/train.lua, which decides on the round's own batch)."""
        if self.config.balance:
            real, fake = values[f"{turn.player}/error_real"], values[f"{turn.player}/error_fake"]
            ahead = fake > real + self.config.margin
            level = self.names.index(turn.player.rpartition("_")[2])
            self.moves[level] = torch.stack([ahead | (real > self.config.ceiling), ~ahead])
        return {}

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Draw n images from the coarsest level to the finest (protocol ``Samples``); latents are not truncated."""
        if truncation is not None:
            raise UsageError("LAPGAN draws noise at every level and cannot truncate it. Leave the truncation out.")
        generator = getattr(self, "generator_ema", self.generator)
        was_training = generator.training
        generator.eval()
        with use(draws):
            if labels is None and self.num_classes is not None:
                labels = self.draw_classes(n, self.num_classes, draws)
            x: Tensor = generator(self.latents(n, draws), labels)
        generator.train(was_training)
        return x
