"""AmbientGAN: a generator of whole samples, learnt from measurements alone (Bora et al. 2018, ICLR).

    min_G max_D  E_{y of the data} q(D(y)) + E_{z, theta} q(1 - D(f_theta(G(z))))        Eq. 1; q the logarithm, or the identity of a Wasserstein game

A record is measured once: theta is a function of its number, so the same measurement comes back in every epoch. A generated sample is measured with a
theta drawn anew. The turns are given the measurements in place of the records: no network and no term of the loss can look at a whole one.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Loss, turn
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.objectives.objective import Objective
from saddlepoint.views.recorded import RecordDraws
from saddlepoint.views.unmeasure import Unmeasure, Unmeasured

Method = Literal["ambient", "ignore", "unmeasure"]
Measure = Callable[[Tensor], Tensor]
DATA_SEED = "ambient data"  # the measurements of the data are the same in every run, whatever its seed


class MeasuredBatch(Batch):
    """A batch whose samples are measured when somebody looks at them; the whole ones are not in it.

    Args:
        batch: of whole records.
        measure: (samples, numbers of the records) -> measurements.
    """

    def __init__(self, batch: Batch, measure: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._whole, self._measure = batch, measure
        self._measured: dict[str, Tensor] | None = None

    @property
    def fields(self) -> dict[str, Tensor]:  # type: ignore[override]
        """The measurement and what is not a sample: label, index."""
        if self._measured is None:
            batch = self._whole
            index = batch["index"] if "index" in batch.fields else torch.arange(len(batch), device=batch.x.device)
            others: dict[str, Tensor] = {name: batch[name] for name in batch.fields if name in ("label", "index")}
            self._measured = {"measurement": self._measure(batch.x, index)} | others
        return self._measured

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __len__(self) -> int:
        """Number of records, without measuring them."""
        return len(self._whole)


class AmbientGame(AdversarialGame):
    """G against a D of measurements.

    Args:
        config: of the adversarial game.
        generator: G, of whole samples.
        discriminator: D, of measurements.
        objective: the value function.
        measurement: f, any differentiable map of samples [n, ...] to measurements [n, ...], a module or a function; its chance comes from
            :func:`saddlepoint.draws.draws_like`.
        method: "ambient"; or a baseline: "ignore" takes measurements for samples, "unmeasure" restores them first, image by image.
        unmeasure: how.
        measured: the data are measurements already.
        settings: the other arguments of :class:`AdversarialGame`.
    Raises:
        UsageError: for a measurement that G cannot learn through, or settings that exclude one another.
    """

    def __init__(
        self,
        config: AdversarialConfig,
        generator: nn.Module,
        discriminator: nn.Module,
        objective: Objective,
        *,
        measurement: nn.Module | Measure,
        method: Method = "ambient",
        unmeasure: Unmeasure = "blur",
        measured: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(config, generator, discriminator, objective, **settings)
        self.method, self.already = method, measured
        if measured and method == "unmeasure":
            raise UsageError("What is done to undo a measurement needs its mask, which data that are measured already do not have: leave one out.")
        self.measurement = measurement if isinstance(measurement, nn.Module) else AsModule(measurement)
        self.seen = Unmeasured(self.measurement, unmeasure) if method == "unmeasure" else self.measurement

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """As every adversarial game's, on measurements."""
        return super().discriminator_turn(MeasuredBatch(batch, self.measured_once))  # type: ignore[no-any-return]

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """As every adversarial game's, on measurements."""
        return super().generator_turn(MeasuredBatch(batch, self.measured_once))  # type: ignore[no-any-return]

    @torch.no_grad()
    def measured_once(self, x: Tensor, index: Tensor) -> Tensor:
        """The measurements of records [n, ...], restored where the method says so: the same whenever their numbers ``index`` [n] come."""
        if self.already:
            return x
        with use(RecordDraws(DATA_SEED, index, x.dtype)):
            y: Tensor = self.seen(x)
        return y

    def reals(self, batch: Batch) -> Tensor:
        """The measurements of a batch."""
        y: Tensor = batch["measurement"] if self.real_view is None else self.real_view(batch["measurement"])
        return y

    def _fakes_for_discriminator(self, n: int) -> tuple[Tensor, Tensor | None]:
        x, labels = super()._fakes_for_discriminator(n)
        return self._measured_anew(x), labels

    def _fakes_for_generator(self, n: int) -> tuple[Tensor, Tensor | None]:
        x, labels = super()._fakes_for_generator(n)
        return self._measured_anew(x), labels

    def _measured_anew(self, x: Tensor) -> Tensor:
        y: Tensor = self.measurement(x) if self.method == "ambient" else x
        return y

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """A real measurement, a sample, and its measurement; of measurements that are no images, three samples."""
        n, channels = len(batch), batch.x.shape[1]
        x, y = self.sample(3 * n, draws), MeasuredBatch(batch, self.measured_once)["measurement"]
        if y.ndim != 4 or y.shape[1] != channels or y.shape[2:] != batch.x.shape[2:]:
            return x.view(n, 3, *x.shape[1:])
        return torch.stack([y, x[:n], self.measurement(x[:n])], 1).clamp(-1, 1)


class AsModule(nn.Module):
    """A function as a module; it keeps its name."""

    def __init__(self, function: Measure) -> None:
        super().__init__()
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def forward(self, x: Tensor) -> Tensor:
        """What the function makes of samples."""
        return self.function(x)

    def extra_repr(self) -> str:
        """Name of the function, for the printed module."""
        return self.name


def name_of(measurement: nn.Module) -> str:
    """As messages call a measurement."""
    return str(getattr(measurement, "name", type(measurement).__name__))


def shape_of_measurement(measurement: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the measurement of a sample of ``shape``, after a trial: G must be able to learn through it.

    Raises:
        UsageError: naming the measurement, if it fails, changes the number of samples, or gives no finite slope, or none at all.
    """
    draws = Draws.seeded("a trial of the measurement")
    x = draws.uniform(4, *shape, low=-0.9, high=0.9).requires_grad_()
    name = name_of(measurement)
    advice = "Keep to differentiable torch operations: a sigmoid in place of a threshold, no round, argmax, .detach(), .item() or NumPy."
    try:
        with use(draws):
            y = measurement(x)
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:160]
        raise UsageError(f"The measurement {name} fails on a batch of shape {list(x.shape)}: {reason}. {advice}") from error
    if not isinstance(y, Tensor) or not y.ndim or len(y) != len(x):
        came = list(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise UsageError(f"The measurement {name} must give a tensor with a row a sample, {len(x)} here; it gave {came}.")
    if not (y.is_floating_point() and y.requires_grad):
        raise UsageError(f"The measurement {name} is not differentiable: what it gives does not depend on the sample by any slope. {advice}")
    (slope,) = torch.autograd.grad(y.square().sum() + y.sum(), x, allow_unused=True)
    if slope is None or not slope.any():
        raise UsageError(f"The measurement {name} is not differentiable: its slope is 0 everywhere, so the generator would learn nothing. {advice}")
    if not torch.isfinite(slope).all():
        raise UsageError(f"The measurement {name} has slopes that are not finite. {advice}")
    return tuple(y.shape[1:])
