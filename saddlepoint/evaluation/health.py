"""The health monitor: reads what a training logs and says in plain words what is going wrong, and what may help.

It says a thing once when it begins and once when it ends. Its whole state is plain JSON, so a resumed training says what an unbroken one would
have said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

BETTER_LOW = ("quick_frechet", "sliced_wasserstein")
NAMES = {"quick_frechet": "quick Frechet distance", "sliced_wasserstein": "sliced Wasserstein distance"}


@dataclass(frozen=True)
class Finding:
    """One sentence about a training.

    Attributes:
        round: when it was said.
        kind: "discriminator-won", "discriminator-lost", "collapse", "falling", "augmentation-capped" or "recovered".
        message: the sentence.
    """

    round: int
    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When the monitor speaks. Separation is the share of (real, fake) pairs that D orders rightly: 1 perfect, 0.5 guessing.

    Attributes:
        patience_rounds: how long D must have won or lost.
        won: separation from which on D has won.
        lost: separation up to which D has lost.
        near_floor: D may guess when the score is within this multiple of its floor: that is the equilibrium, not a defect.
        spread: pairwise distance, as a share of the real one, below which samples have collapsed.
        kept: share of its own best below which coverage, or the count of modes, has fallen.
        established: share of the floor that coverage, or the count of modes, must have reached before its fall counts.
        worse: multiple of the best score from which on quality is falling; the rise must also pass a quarter of the floor.
        collapse_scores, falling_scores: how many scores in a row.
        first_rounds: until then a small spread that never was larger is no collapse: an untrained generator draws one thing.
    """

    patience_rounds: int = 500
    won: float = 0.999
    lost: float = 0.52
    near_floor: float = 2.0
    spread: float = 0.5
    kept: float = 0.5
    established: float = 0.2
    worse: float = 1.3
    collapse_scores: int = 2
    falling_scores: int = 3
    first_rounds: int = 1000


@dataclass
class _State:
    """What the monitor remembers; plain JSON.

    Attributes:
        since: kind -> round at which a condition on D began to hold.
        told: kinds that were said and have not ended.
        streak: kind -> scores in a row for which a condition held.
        best: highest coverage, count of modes and pairwise distance so far, and the augmentation probability that was at its cap.
        best_score, best_round: of the main score; None before the first.
        near_floor: whether the last score was close to its floor.
    """

    since: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    streak: dict[str, int] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    best_score: float | None = None
    best_round: int | None = None
    near_floor: bool = False


class HealthMonitor:
    """Feed it every log record and every score, in order; it answers with findings, mostly none.

    Args:
        limits: thresholds.
        judge_separation: False for critics whose slope does not vanish when they are right (Wasserstein): then separating perfectly is no defect.
    """

    def __init__(self, limits: Limits | None = None, *, judge_separation: bool = True) -> None:
        self.limits, self.judge_separation = limits or Limits(), judge_separation
        self.state = _State()

    def feed(self, record: Mapping[str, Any]) -> list[Finding]:
        """Take a log record (round, discriminator/separation or discriminator/real and discriminator/fake) or a score (round, quick_frechet, ...)."""
        metric = record["metric"] if record.get("metric") in record else next((name for name in BETTER_LOW if name in record), None)
        findings = self._watch_scores(record, metric) if metric else []
        return findings + self._watch_discriminator(record) + self._watch_augmentation(record)

    def state_dict(self) -> dict[str, Any]:
        """State as plain JSON."""
        return asdict(self.state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        self.state = _State(**state)

    # -- the discriminator -----------------------------------------------------------------------------------------------------------------

    def _watch_discriminator(self, record: Mapping[str, Any]) -> list[Finding]:
        separation = _separation(record)
        if separation is None:
            return []
        limits, told = self.limits, []
        share = f"{100 * separation:.1f} % of pairs in the right order"
        if self.judge_separation:
            told += self._lasting(
                record["round"],
                "discriminator-won",
                separation >= limits.won,
                f"the discriminator has won: it has separated real from fake perfectly for the last {{rounds}} rounds ({share}), so the generator "
                "hardly learns. Try R1 or a larger gamma, a lower discriminator learning rate, or augmentation where images are few.",
                "the discriminator no longer separates real from fake perfectly.",
            )
        return told + self._lasting(
            record["round"],
            "discriminator-lost",
            separation <= limits.lost and not self.state.near_floor,
            f"the discriminator has lost: it has not told real from fake for the last {{rounds}} rounds ({share}), so the generator learns "
            "nothing from it. Unless the samples are already perfect, try more discriminator steps, a higher discriminator "
            "learning rate or a weaker penalty.",
            "the discriminator tells real from fake again, or the samples have come close to the data.",
        )

    def _watch_augmentation(self, record: Mapping[str, Any]) -> list[Finding]:
        """ADA's p at its cap: what held D back from learning the images by heart can be raised no more."""
        if "discriminator/ada_capped" not in record:
            return []
        round, p, state = int(record["round"]), float(record["discriminator/ada_p"]), self.state
        if record["discriminator/ada_capped"] > 0:
            state.best["ada_p"] = max(state.best.get("ada_p", 0.0), p)
            sure = float(record["discriminator/sign"])
            return self._begin(
                round,
                "augmentation-capped",
                f"the augmentation is at its cap: p is {p:.2f}, and more would show in the samples. The discriminator learns the images by heart "
                f"(mean sign on real images {sure:.2f}): more images, a larger gamma or a shorter training help; the best checkpoint may be behind.",
            )
        return self._end(round, "augmentation-capped", "the augmentation is below its cap again.") if p < 0.9 * state.best.get("ada_p", 0.0) else []

    def _lasting(self, round: int, kind: str, holds: bool, begun: str, ended: str) -> list[Finding]:
        """Say ``begun`` once a condition has held for the patience, ``ended`` when it stops."""
        if not holds:
            self.state.since.pop(kind, None)
            return self._end(round, kind, ended)
        rounds = round - self.state.since.setdefault(kind, round)
        if rounds < self.limits.patience_rounds:
            return []
        return self._begin(round, kind, begun.format(rounds=rounds))

    # -- the samples -----------------------------------------------------------------------------------------------------------------------

    def _watch_scores(self, record: Mapping[str, Any], metric: str) -> list[Finding]:
        state, value, round = self.state, float(record[metric]), int(record["round"])
        floors = record.get("floor")
        floor = floors.get(metric) if isinstance(floors, Mapping) else floors
        state.near_floor = floor is not None and value <= self.limits.near_floor * float(floor)
        findings = self._watch_collapse(record, floors if isinstance(floors, Mapping) else {})
        if state.best_score is None or value < state.best_score:
            state.best_score, state.best_round = value, round
        name = NAMES.get(metric, metric)
        falling = value > self.limits.worse * state.best_score > 0 and value - state.best_score > 0.25 * float(floor or 0)
        return findings + self._in_a_row(
            round,
            "falling",
            falling,
            self.limits.falling_scores,
            f"quality has been falling since round {state.best_round}: the {name} was {state.best_score:.3g} there and is {value:.3g} now. "
            f"The checkpoint of round {state.best_round} is the best so far; stop here, or continue from it with lower learning rates.",
            f"quality is back at its best or near it ({name} {value:.3g}, best {state.best_score:.3g} at round {state.best_round}).",
        )

    def _watch_collapse(self, record: Mapping[str, Any], floors: Mapping[str, Any]) -> list[Finding]:
        limits, state, signs = self.limits, self.state, []
        spread = record.get("pairwise_distance")
        if spread is not None:
            state.best["pairwise_distance"] = max(state.best.get("pairwise_distance", 0.0), float(spread))
            was_varied = state.best["pairwise_distance"] >= limits.spread
            if spread < limits.spread and (was_varied or record["round"] > limits.first_rounds):
                signs.append(f"the mean distance between them is {100 * spread:.0f} % of that between real images")
        for name, words in (
            ("coverage", "they cover {0:.0%} of the real neighbourhoods, after {1:.0%}"),
            ("modes", "they cover {0:.0f} modes, after {1:.0f}"),
        ):
            if name not in record:
                continue
            value, best = float(record[name]), max(state.best.get(name, 0.0), float(record[name]))
            state.best[name] = best
            if value < limits.kept * best and best >= limits.established * float(floors.get(name, 1.0)):
                signs.append(words.format(value, best))
        return self._in_a_row(
            int(record["round"]),
            "collapse",
            bool(signs),
            limits.collapse_scores,
            f"samples collapse: {' and '.join(signs)}. Try a lower generator learning rate, a gradient penalty, minibatch discrimination or packing; "
            "a checkpoint from before the collapse may be better.",
            "samples are varied again.",
        )

    def _in_a_row(self, round: int, kind: str, holds: bool, scores: int, begun: str, ended: str) -> list[Finding]:
        """Say ``begun`` once a condition has held for so many scores, ``ended`` when it stops."""
        self.state.streak[kind] = self.state.streak.get(kind, 0) + 1 if holds else 0
        if not holds:
            return self._end(round, kind, ended)
        return self._begin(round, kind, begun) if self.state.streak[kind] >= scores else []

    def _begin(self, round: int, kind: str, message: str) -> list[Finding]:
        if kind in self.state.told:
            return []
        self.state.told.append(kind)
        return [Finding(round, kind, f"Round {round}: {message}")]

    def _end(self, round: int, kind: str, message: str) -> list[Finding]:
        if kind not in self.state.told:
            return []
        self.state.told.remove(kind)
        return [Finding(round, "recovered", f"Round {round}: {message}")]


def _separation(record: Mapping[str, Any]) -> float | None:
    """Share of pairs that D orders rightly; where only mean realness in [0, 1] is logged, what that tells of the two extremes."""
    if "discriminator/separation" in record:
        return float(record["discriminator/separation"])
    if "discriminator/real" not in record or "discriminator/fake" not in record:
        return None
    real, fake = float(record["discriminator/real"]), float(record["discriminator/fake"])
    if abs(real - fake) <= 0.01:
        return 0.5
    return 1.0 if 0.99 <= real <= 1 and 0 <= fake <= 0.01 else 0.75
