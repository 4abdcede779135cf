"""The adversarial game: one generator, one discriminator (or an array of them), any value function, penalty, view and conditioning.

    repeat d_steps times:  D minimises  objective.discriminator(D(x), D(G(z))) + its terms
    repeat g_steps times:  G minimises  objective.generator(D(G(z)))           + its terms

Goodfellow et al. 2014 (arXiv:1406.2661), Algorithm 1, generalised. A paper that changes only the value function, a penalty, the networks, the view or
the conditioning is an instance of this class.

Axes: n batch, c channels, h w image, d latent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, halflife_decay, turn
from saddlepoint.games.player import SGD, Adam, Clock, RMSprop, Schedule, linear_decay
from saddlepoint.games.terms import Judge, Scene, Term
from saddlepoint.networks.base import Judgement, mixes_samples
from saddlepoint.networks.spectral import refresh_spectral_norms
from saddlepoint.objectives.objective import Objective


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """Settings that every recipe of the adversarial game has; a recipe's own configuration adds to them.

    Attributes:
        batch: real records in the whole batch of a turn.
        rounds: published length of training; learning-rate schedules are stretched over it unless a run's length is given.
        resolution: of square images; None keeps the data's own.
        latent_dim: d of z [n, d].
        latent: distribution of z: standard normal, uniform on [-1, 1], or uniform on [0, 1] ("unit-uniform").
        d_steps: discriminator turns a round (k of Algorithm 1).
        g_steps: generator turns a round.
        g_batch_factor: fakes in a generator's turn per real record.
        share_fakes: the generator's turn reuses the fakes of the discriminator's (as in the DCGAN releases) instead of fresh ones (Algorithm 1).
        generator_optimizer: how G moves.
        discriminator_optimizer: how D moves.
        lr_decay: "linear": both learning rates fall linearly to 0 over the rounds.
        ema_halflife_kimg: half-life of the generator's average in thousands of images; None keeps no average.
        augment: DiffAugment policy such as "color,translation,cutout" (Zhao et al. 2020); "" is off.
    """

    batch: int = 64
    rounds: int = 100_000
    resolution: int | None = None
    latent_dim: int = 100
    latent: Literal["normal", "uniform", "unit-uniform"] = "normal"
    d_steps: int = 1
    g_steps: int = 1
    g_batch_factor: int = 1
    share_fakes: bool = False
    generator_optimizer: Adam | RMSprop | SGD = field(default_factory=Adam)
    discriminator_optimizer: Adam | RMSprop | SGD = field(default_factory=Adam)
    lr_decay: Literal["constant", "linear"] = "constant"
    ema_halflife_kimg: float | None = None
    augment: str = ""

    def __post_init__(self) -> None:
        for name in ("batch", "rounds", "latent_dim", "d_steps", "g_steps", "g_batch_factor"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1; it is {getattr(self, name)}.")
        if self.share_fakes and (self.d_steps, self.g_steps, self.g_batch_factor) != (1, 1, 1):
            raise UsageError("share_fakes needs one turn of each player on equal batches: d_steps, g_steps and g_batch_factor must be 1.")


class AdversarialGame(Game):
    """G against D.

    Args:
        config: the settings above.
        generator: forward(z) -> samples, or forward(z, labels) where conditional.
        discriminator: forward(x) -> Judgement, or forward(x, labels) where conditional.
        objective: the value function.
        terms: what is added to either player's loss.
        view: what stands between a sample and D, applied to real and fake alike.
        view_fakes: whether fakes pass through the view "always", in the "discriminator"'s turn only, or "never"; the last two are negative controls.
        real_view: what is done to real samples before anything else, such as dequantisation.
        num_classes: set where G and D are conditioned on labels.
        opponent: what G plays against; None means D as it is (A8 plays against D as it will be).
        d_steps: clock -> discriminator turns of this round; None means ``config.d_steps``.
        adversarial_weight: of the value function in G's loss; 0 where feature matching replaces it.
        players: settings of :class:`Player` by player name: schedule, before_move, after_move, clip_norm.
    """

    def __init__(
        self,
        config: AdversarialConfig,
        generator: nn.Module,
        discriminator: nn.Module,
        objective: Objective,
        *,
        terms: Sequence[Term] = (),
        view: nn.Module | None = None,
        view_fakes: Literal["always", "discriminator", "never"] = "always",
        real_view: nn.Module | None = None,
        num_classes: int | None = None,
        opponent: Callable[[AdversarialGame, Batch, Tensor, Tensor | None], Judge] | None = None,
        d_steps: Callable[[Clock], int] | None = None,
        adversarial_weight: float = 1.0,
        players: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.config, self.objective, self.num_classes = config, objective, num_classes
        self.generator, self.discriminator = generator, discriminator
        self.view, self.view_fakes, self.real_view = view, view_fakes, real_view
        self.terms = nn.ModuleList(terms)
        self.opponent, self.adversarial_weight = opponent, adversarial_weight
        self.d_steps = d_steps or (lambda clock: config.d_steps)
        self.joint = not mixes_samples(discriminator) and view_fakes != "never"
        settings = {name: dict((players or {}).get(name, {})) for name in ("discriminator", "generator")}
        for name, optimizer in (("discriminator", config.discriminator_optimizer), ("generator", config.generator_optimizer)):
            settings[name].setdefault("schedule", self._schedule(optimizer.lr))
            self.add_player(name, [self.get_submodule(name)], optimizer, **settings[name])
        if config.ema_halflife_kimg is not None:
            self.add_average("generator", "generator", halflife_decay(config.ema_halflife_kimg))

    def _schedule(self, lr: float) -> Schedule | None:
        return linear_decay(lr) if self.config.lr_decay == "linear" else None

    @property
    def saturates(self) -> bool:
        """As the objective says."""
        return self.objective.saturates

    def play(self) -> Iterator[Turn]:
        """Algorithm 1: k discriminator turns, then the generator's."""
        for _ in range(self.d_steps(self.clock)):
            yield self.discriminator_turn
        for _ in range(self.config.g_steps):
            yield self.generator_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """D tells real from fake."""
        terms = self._terms("discriminator")
        x_real, x_fake, fake_labels = self.reals(batch), *self._fakes_for_discriminator(len(batch))
        slope = frozenset[str]().union(*(term.slope_at for term in terms))
        x_real = x_real.detach().requires_grad_() if "real" in slope else x_real
        x_fake = x_fake.detach().requires_grad_() if "fake" in slope else x_fake
        labels = self.labels_of(batch)
        real, fake = self._judge_both(x_real, x_fake, labels, fake_labels, together=self.joint and slope != {"real"})
        loss = Loss(adversarial=self.objective.discriminator(real.logits, fake.logits, labels).mean())
        scene = Scene(batch, x_real, x_fake, real, fake, labels, fake_labels, self.judge, self.draws, self.clock.round)
        opinion = self._opinion(real.logits.detach(), fake.logits.detach())
        return self._with_terms(loss, terms, scene).watch(**opinion)

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """G makes D take its samples for real."""
        terms = self._terms("generator")
        x_fake, fake_labels = self._fakes_for_generator(len(batch) * self.config.g_batch_factor)
        judge: Judge = partial(self.judge, viewed=self.view_fakes == "always")
        judge = self.opponent(self, batch, x_fake, fake_labels) if self.opponent else judge
        fake = judge(x_fake, fake_labels)
        x_real = labels = real = None
        if self.objective.needs_real_in_generator or any(term.needs_real for term in terms):
            x_real, labels = self.reals(batch), self.labels_of(batch)
            real = judge(x_real, labels)
        loss = Loss()
        if self.adversarial_weight:
            real_logits = None if real is None else real.logits
            loss.add("adversarial", self.adversarial_weight * self.objective.generator(fake.logits, real_logits, fake_labels).mean())
        scene = Scene(batch, x_real, x_fake, real, fake, labels, fake_labels, judge, self.draws, self.clock.round)
        return self._with_terms(loss, terms, scene)

    def reals(self, batch: Batch) -> Tensor:
        """The real samples of a batch."""
        x: Tensor = batch.x if self.real_view is None else self.real_view(batch.x)
        return x

    def judge(self, x: Tensor, labels: Tensor | None = None, *, viewed: bool = True) -> Judgement:
        """D's judgement of samples, behind the view or without it."""
        x = self.view(x) if viewed and self.view is not None else x
        judgement: Judgement = self.discriminator(x) if self.num_classes is None else self.discriminator(x, labels)
        return judgement

    def latents(self, n: int, draws: Draws) -> Tensor:
        """Draw z, shape [n, latent_dim]."""
        d = self.config.latent_dim
        if self.config.latent == "normal":
            return draws.normal(n, d)
        return draws.uniform(n, d, low=-1.0 if self.config.latent == "uniform" else 0.0, high=1.0)

    def generate(self, z: Tensor, labels: Tensor | None, generator: nn.Module | None = None) -> Tensor:
        """G(z), or G(z, labels) where conditional."""
        generator = generator or self.generator
        x: Tensor = generator(z) if self.num_classes is None else generator(z, labels)
        return x

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None) -> Tensor:
        """Draw n samples from the averaged generator, or from G where there is no average (protocol ``Samples``)."""
        generator = getattr(self, "generator_ema", self.generator)
        was_training = generator.training
        generator.eval()
        with use(draws):
            if labels is None and self.num_classes is not None:
                labels = draws.integers(n, high=self.num_classes)
            x = self.generate(self.latents(n, draws), labels, generator)
        generator.train(was_training)
        return x

    def before_turn(self, turn: Turn) -> None:
        """One power iteration of every spectral norm, whatever the number of micro-batches."""
        refresh_spectral_norms(self.discriminator)
        refresh_spectral_norms(self.generator)

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Let the objective and the terms move their running state."""
        logged: dict[str, Tensor] = {}
        for part in (self.objective, *self.terms):
            if hasattr(part, "after_turn"):
                logged |= part.after_turn(turn.player, values) or {}
        return logged

    def _terms(self, player: str) -> list[Term]:
        return [term for term in self.terms if isinstance(term, Term) and term.player == player and self.clock.round % term.every == 0]

    def _with_terms(self, loss: Loss, terms: list[Term], scene: Scene) -> Loss:
        for term in terms:
            loss.add(term.name, term.every * term(scene))
        return loss.watch(**scene.watched)

    def labels_of(self, batch: Batch) -> Tensor | None:
        """Labels of the real records, where anything in this game looks at them."""
        needed = self.num_classes is not None or self.objective.needs_labels
        return batch["label"] if needed else None

    def _fake_labels(self, n: int, draws: Draws) -> Tensor | None:
        return None if self.num_classes is None else draws.integers(n, high=self.num_classes)

    def _fakes_for_discriminator(self, n: int) -> tuple[Tensor, Tensor | None]:
        """Samples that carry no graph; with shared fakes the graph is kept aside for the generator's turn."""
        if not self.config.share_fakes:
            labels = self._fake_labels(n, self.draws)
            with torch.no_grad():
                return self.generate(self.latents(n, self.draws), labels), labels
        draws = self.shared_draws("fakes")
        labels = self._fake_labels(n, draws)
        with self.players["generator"].thawed():
            x_fake = self.generate(self.latents(n, draws), labels)
        self.kept["fakes", self.draws.piece] = x_fake, labels
        return x_fake.detach(), labels

    def _fakes_for_generator(self, n: int) -> tuple[Tensor, Tensor | None]:
        kept: tuple[Tensor, Tensor | None] | None = self.kept.pop(("fakes", self.draws.piece), None)
        if kept is not None:
            return kept
        labels = self._fake_labels(n, self.draws)
        return self.generate(self.latents(n, self.draws), labels), labels

    def _judge_both(
        self, x_real: Tensor, x_fake: Tensor, labels: Tensor | None, fake_labels: Tensor | None, *, together: bool
    ) -> tuple[Judgement, Judgement]:
        """D on real and fake: one pass where no layer mixes samples, else two."""
        if not together:
            return self.judge(x_real, labels), self.judge(x_fake, fake_labels, viewed=self.view_fakes != "never")
        both_labels = None if labels is None or fake_labels is None else torch.cat([labels, fake_labels])
        with self.draws.together(2):
            both = self.judge(torch.cat([x_real, x_fake]), both_labels)
        sizes = [len(x_real), len(x_fake)]
        parts = [(None, None) if part is None else torch.split(part, sizes) for part in both]
        real, fake = (Judgement(*(part[side] for part in parts)) for side in (0, 1))  # type: ignore[arg-type]
        return real, fake

    @torch.no_grad()
    def _opinion(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """What D thinks: mean realness of real and fake, the share of pairs ordered rightly (0.5: cannot tell), the objective's own.

        The i-th real is paired with the i-th fake: a mean over samples, the same however the batch is cut.
        """
        scores = [self.objective.score(logits) for logits in (real_logits, fake_logits)]
        real, fake = (score.flatten(1).mean(1) if score.ndim > 1 else score for score in scores)
        difference = real - fake
        ordered = ((difference > 0).to(real.dtype) + 0.5 * (difference == 0).to(real.dtype)).mean()
        return {"real": real.mean(), "fake": fake.mean(), "separation": ordered} | self.objective.watch(real_logits, fake_logits)
