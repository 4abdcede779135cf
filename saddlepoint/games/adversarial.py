"""The adversarial game: one generator, one discriminator (or an array of them), any value function, penalty, view and conditioning.

    repeat d_steps times:  D minimises  objective.discriminator(D(x), D(G(z))) + its terms
    repeat g_steps times:  G minimises  objective.generator(D(G(z)))           + its terms

Goodfellow et al. 2014 (arXiv:1406.2661), Algorithm 1, generalised. A paper that changes only the value function, a penalty, the networks, the view or
the conditioning is an instance of this class.

Axes: n batch, c channels, h w image, d latent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, truncated_normal, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, halflife_decay, turn
from saddlepoint.games.player import Adam, Clock, Optimizer, linear_decay
from saddlepoint.games.settings import AdversarialConfig as AdversarialConfig
from saddlepoint.games.settings import check_verdicts
from saddlepoint.games.terms import Judge, Scene, Term
from saddlepoint.networks.base import Judgement, mixes_kinds
from saddlepoint.networks.spectral import refresh_spectral_norms
from saddlepoint.objectives.objective import Objective
from saddlepoint.views.watchful import WatchfulView


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
        ema_decay: clock -> decay of G's average; None follows ``config.ema_halflife_kimg``.
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
        ema_decay: Callable[[Clock], float] | None = None,
        players: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.config, self.objective, self.num_classes = config, objective, num_classes
        self.generator, self.discriminator = generator, discriminator
        self.view, self.view_fakes, self.real_view = view, view_fakes, real_view
        self.terms = nn.ModuleList(terms)
        self.opponent, self.adversarial_weight, self.d_steps = opponent, adversarial_weight, d_steps or (lambda clock: config.d_steps)
        check_verdicts(view, objective)
        self.joint = not mixes_kinds(discriminator) and view_fakes != "never"
        settings = {name: dict((players or {}).get(name, {})) for name in ("discriminator", "generator")}
        for name in settings:
            optimizer = self._adapted(name, getattr(config, f"{name}_optimizer"))
            settings[name].setdefault("schedule", linear_decay(optimizer.lr) if config.lr_decay == "linear" else None)
            self.add_player(name, [self.get_submodule(name)], optimizer, **settings[name])
        if config.ema_halflife_kimg is not None:
            ema_decay = ema_decay or halflife_decay(config.ema_halflife_kimg, config.ema_rampup)
        if ema_decay is not None:
            self.add_average("generator", "generator", ema_decay)

    def _adapted(self, player: str, optimizer: Optimizer) -> Optimizer:
        extra = sum(1 / term.every for term in self.terms if isinstance(term, Term) and term.player == player and term.alone)
        return optimizer.sharing(extra) if extra and isinstance(optimizer, Adam) else optimizer

    @property
    def conditional(self) -> bool:
        """Whether the players are told what a sample is."""
        return self.num_classes is not None

    @property
    def saturates(self) -> bool:
        """As the objective says."""
        return self.objective.saturates

    def play(self) -> Iterator[Turn]:
        """Algorithm 1: k discriminator turns, then the generator's; after either, a move for the terms that are minimised alone."""
        for _ in range(self.d_steps(self.clock)):
            yield self.discriminator_turn
        if self._terms("discriminator", alone=True):
            yield self.discriminator_regularisation
        for _ in range(self.config.g_steps):
            yield self.generator_turn
        if self._terms("generator", alone=True):
            yield self.generator_regularisation

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
        scene = self._scene(batch, x_real=x_real, x_fake=x_fake, real=real, fake=fake, labels=labels, fake_labels=fake_labels)
        opinion = self.objective.opinion(real.logits.detach(), fake.logits.detach())
        if isinstance(self.view, WatchfulView):
            opinion |= self.view.watch(self.objective.verdict(real.logits.detach()))
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
        scene = self._scene(batch, judge, x_real=x_real, x_fake=x_fake, real=real, fake=fake, labels=labels, fake_labels=fake_labels)
        return self._with_terms(loss, terms, scene)

    @turn("discriminator", batch="same")
    def discriminator_regularisation(self, batch: Batch) -> Loss:
        """D's terms that are minimised alone, on the real samples of its turn."""
        x_real, labels = self.reals(batch).detach().requires_grad_(), self.labels_of(batch)
        scene = self._scene(batch, x_real=x_real, real=self.judge(x_real, labels), labels=labels)
        return self._with_terms(Loss(), self._terms("discriminator", alone=True), scene)

    @turn("generator", batch="same")
    def generator_regularisation(self, batch: Batch) -> Loss:
        """G's terms that are minimised alone."""
        return self._with_terms(Loss(), self._terms("generator", alone=True), self._scene(batch))

    def reals(self, batch: Batch) -> Tensor:
        """The real samples of a batch."""
        x: Tensor = batch.x if self.real_view is None else self.real_view(batch.x)
        return x

    def judge(self, x: Tensor, labels: Tensor | None = None, *, viewed: bool = True) -> Judgement:
        """D's judgement of samples, behind the view or without it."""
        x = self.view(x) if viewed and self.view is not None else x
        judgement: Judgement = self.discriminator(x, labels) if self.conditional else self.discriminator(x)
        return judgement

    def latents(self, n: int, draws: Draws) -> Tensor:
        """Draw z, shape [n, latent_dim]."""
        d = self.config.latent_dim
        if self.config.latent == "normal":
            return draws.normal(n, d)
        return draws.uniform(n, d, low=-1.0 if self.config.latent == "uniform" else 0.0, high=1.0)

    def generate(self, z: Tensor, labels: Tensor | None, generator: Callable[..., Tensor] | None = None) -> Tensor:
        """G(z), or G(z, labels) where conditional."""
        generator = generator or self.generator
        x: Tensor = generator(z, labels) if self.conditional else generator(z)
        return x

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Draw n samples from the averaged generator, or from G where there is no average (protocol ``Samples``).

        Args:
            n: how many.
            draws: of z, labels and noise.
            labels: [n]; None draws them, where the generator is told any.
            truncation: psi of a generator with styles; for others the largest size of z's numbers (Brock et al. 2019, section 3.1).
        Raises:
            UsageError: for a truncation of latents that are not normal.
        """
        generator = getattr(self, "generator_ema", self.generator)
        was_training = generator.training
        generator.eval()
        with use(draws):
            labels = self.draw_labels(n, draws) if labels is None else labels
            z = self.latents(n, draws)
            if truncation is None:
                x = self.generate(z, labels, generator)
            elif getattr(generator, "truncation", "latent") == "style":
                x = self.generate(z, labels, partial(generator, truncation=truncation))
            else:
                x = self.generate(self._truncated(z, truncation), labels, generator)
        generator.train(was_training)
        return x

    def _truncated(self, z: Tensor, threshold: float) -> Tensor:
        if self.config.latent != "normal" or threshold <= 0:
            raise UsageError(f"Truncation needs a generator of normal latents and a threshold above 0; {self.config.latent} and {threshold} came.")
        return truncated_normal(z, threshold)

    def before_turn(self, turn: Turn) -> None:
        """One power iteration of every spectral norm, whatever the number of micro-batches."""
        refresh_spectral_norms(self.discriminator)
        refresh_spectral_norms(self.generator)

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Let the objective and the terms move their running state."""
        logged: dict[str, Tensor] = {}
        others: list[Any] = [self.objective, *(term for term in self.terms if not getattr(term, "alone", False))]
        parts = self._terms(turn.player, alone=True) if turn.name.endswith("regularisation") else others
        for part in parts:
            if hasattr(part, "after_turn"):
                logged |= part.after_turn(turn.player, values) or {}
        if isinstance(self.view, WatchfulView):
            logged |= self.view.after_turn(turn.player, values, self.clock.batch)
        return logged

    def update_averages(self, turn: Turn) -> None:
        """As the base, but not after a move that only regularises."""
        if not turn.name.endswith("regularisation"):
            super().update_averages(turn)

    def _terms(self, player: str, *, alone: bool = False) -> list[Term]:
        terms = [term for term in self.terms if isinstance(term, Term) and term.player == player and term.alone == alone]
        return [term for term in terms if self.clock.round % term.every == 0]

    def _scene(self, batch: Batch, judge: Judge | None = None, **seen: Any) -> Scene:
        return Scene(batch, judge or self.judge, self.draws, self.clock, self.generator, self._latents_and_labels, **seen)

    def _latents_and_labels(self, n: int) -> tuple[Tensor, Tensor | None]:
        labels = self._fake_labels(n, self.draws)
        return self.latents(n, self.draws), labels

    def _with_terms(self, loss: Loss, terms: list[Term], scene: Scene) -> Loss:
        for term in terms:
            loss.add(term.name, term.every * term(scene))
        return loss.watch(**scene.watched)

    def labels_of(self, batch: Batch) -> Tensor | None:
        """Labels of the real records, where anything in this game looks at them."""
        return batch["label"] if self.conditional or self.objective.needs_labels else None

    def draw_labels(self, n: int, draws: Draws) -> Tensor | None:
        """What n samples are asked to be, where the players are told."""
        return None if self.num_classes is None else self.draw_classes(n, self.num_classes, draws)

    def _fake_labels(self, n: int, draws: Draws) -> Tensor | None:
        return self.draw_labels(n, draws)

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
        parts = [(None, None) if part is None else torch.split(part, [len(x_real), len(x_fake)]) for part in both]
        real, fake = (Judgement(*(part[side] for part in parts)) for side in (0, 1))  # type: ignore[arg-type]
        return real, fake
