"""The questions of one rater: balanced, in the rater's own order, the same whenever they are asked for.

Everything follows from (seed of the study, code of the rater), so that nothing about the order has to be stored.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.human.study import Arm, Study

Role = Literal["practice", "main", "attention"]
BLOCK = 150  # trials that one staircase runs through (HYPE)
REAL, GENERATED = "real", "generated"
T = TypeVar("T")


@dataclass(frozen=True)
class Trial:
    """One question.

    Attributes:
        index: place in the rater's list.
        role: only "main" counts.
        arms: numbers of the arms, by position on the page; empty for attention checks.
        images: their files.
        answer: the right choice; None where there is none.
        item: number of the matched item; None where pictures are not matched.
        block: of the staircase.
    """

    index: int
    role: Role
    arms: tuple[int, ...]
    images: tuple[str, ...]
    answer: str | None
    item: int | None = None
    block: int = 0


@dataclass(frozen=True)
class _Draft:
    """A question without its place; ``arms`` by position."""

    arms: tuple[int, ...]
    images: tuple[str, ...]
    answer: str | None
    item: int | None = None


def make_trials(study: Study, rater: str) -> list[Trial]:
    """All questions of a rater in order: practice first, then the trials that count with the attention checks among them.

    Args:
        study: opened.
        rater: code.
    Raises:
        UsageError: if the study has too few pictures for each to be shown once.
    """
    settings, rng = study.settings, np.random.default_rng(derive_seed("trials", study.settings.seed, rater))
    supply = _Supply(study, rng)
    practice = _shuffled(_draw(study, settings.practice, supply, rng), rng)
    blocks = max(1, round(settings.trials / BLOCK)) if settings.staircase else 1
    sizes = [len(part) for part in np.array_split(np.arange(settings.trials), blocks)]
    main = [(draft, block) for block, size in enumerate(sizes) for draft in _shuffled(_draw(study, size, supply, rng), rng)]
    checks = _shuffled([_attention(study, index) for index in range(settings.attention)], rng)
    before = _places(len(checks), len(main), rng)
    rows: list[tuple[Role, _Draft, int]] = [("practice", draft, 0) for draft in practice]
    for place, (draft, block) in enumerate(main):
        rows += [("attention", checks[number], block) for number, where in enumerate(before) if where == place]
        rows.append(("main", draft, block))
    return [Trial(index, role, draft.arms, draft.images, draft.answer, draft.item, block) for index, (role, draft, block) in enumerate(rows)]


def choices(study: Study) -> list[str]:
    """Every choice a rater can make, by position where pictures are compared."""
    settings, shown = study.settings, num_shown(study)
    if settings.layout == "one":
        return [REAL, GENERATED]
    if settings.layout == "order":
        return [",".join(map(str, order)) for order in itertools.permutations(range(shown))]
    return [*map(str, range(shown)), *(["tie"] if settings.ties else [])]


def num_shown(study: Study) -> int:
    """Pictures on the page at once."""
    return {"one": 1, "pair": 2}.get(study.settings.layout, len(study.arms))


class _Supply:
    """Pictures of each arm, or matched items, in an order of the rater's own; each is given out once."""

    def __init__(self, study: Study, rng: np.random.Generator) -> None:
        self.study = study
        self.orders = [iter(rng.permutation(len(arm.images)).tolist()) for arm in study.arms]
        pairs = itertools.combinations(range(len(study.arms)), 2)
        self.items = {pair: iter(rng.permutation(len(study.arms[0].images)).tolist()) for pair in [*pairs, tuple(range(len(study.arms)))]}

    def picture(self, arm: int) -> str:
        """The next picture of an arm."""
        return self.study.arms[arm].images[self._next(self.orders[arm], self.study.arms[arm])]

    def item(self, arms: Sequence[int]) -> int:
        """The next matched item of a set of arms."""
        return self._next(self.items[tuple(sorted(arms))], self.study.arms[0])

    def _next(self, order: Iterator[int], arm: Arm) -> int:
        index = next(order, None)
        if index is None:
            raise UsageError(
                f"{arm.name} has too few pictures ({len(arm.images)}) for {self.study.settings.trials} trials and {self.study.settings.practice} of "
                "practice, each picture being shown to a rater once. Give more pictures or ask for fewer trials."
            )
        return index


def _draw(study: Study, count: int, supply: _Supply, rng: np.random.Generator) -> list[_Draft]:
    """``count`` questions, balanced over arms and positions."""
    if study.settings.kind == "real-or-fake":
        return _real_or_fake(study, count, supply, rng)
    return _ranking(study, count, supply, rng)


def _real_or_fake(study: Study, count: int, supply: _Supply, rng: np.random.Generator) -> list[_Draft]:
    halves = _balanced([0, 1], count, rng)  # real or generated; or where the real one stands
    num_fake = count if study.settings.layout == "pair" else sum(halves)
    fakes = _balanced(list(range(1, len(study.arms))), num_fake, rng)
    if study.settings.layout == "pair":
        drafts = []
        for fake, place in zip(fakes, halves, strict=True):
            arms = (0, fake) if place == 0 else (fake, 0)
            drafts.append(_Draft(arms, tuple(supply.picture(arm) for arm in arms), str(place)))
        return drafts
    shown, drafts = iter(fakes), []
    for generated in halves:
        arm = next(shown) if generated else 0
        drafts.append(_Draft((arm,), (supply.picture(arm),), GENERATED if generated else REAL))
    return drafts


def _ranking(study: Study, count: int, supply: _Supply, rng: np.random.Generator) -> list[_Draft]:
    everybody = tuple(range(len(study.arms)))
    size = 2 if study.settings.layout == "pair" else len(everybody)
    sets = _balanced(list(itertools.combinations(everybody, size)), count, rng)
    turns = {arms: itertools.count(int(rng.integers(len(arms)))) for arms in sorted(set(sets))}
    base = {arms: rng.permutation(arms).tolist() for arms in turns}
    drafts = []
    for arms in sets:  # turned by one each time: every arm stands equally often at every position
        turn = next(turns[arms]) % len(arms)
        placed = tuple(base[arms][turn:] + base[arms][:turn])
        if study.settings.matched:
            item = supply.item(arms)
            drafts.append(_Draft(placed, tuple(study.arms[arm].images[item] for arm in placed), None, item))
        else:
            drafts.append(_Draft(placed, tuple(supply.picture(arm) for arm in placed), None))
    return drafts


def _attention(study: Study, index: int) -> _Draft:
    """A check that asks for one of the choices, in turn; the order of many pictures turned by one each time."""
    if study.settings.layout == "order":
        shown = num_shown(study)
        return _Draft((), (), ",".join(str((place + 1 + index % (shown - 1)) % shown) for place in range(shown)))
    plain = [choice for choice in choices(study) if choice != "tie"]
    return _Draft((), (), plain[index % len(plain)])


def _balanced(values: list[T], count: int, rng: np.random.Generator) -> list[T]:
    """``count`` values in random order, each as often as the others, up to one."""
    rounds = [values[index] for _ in range(-(-count // len(values))) for index in rng.permutation(len(values))]
    return [rounds[index] for index in rng.permutation(count)]


def _shuffled(values: list[T], rng: np.random.Generator) -> list[T]:
    return [values[index] for index in rng.permutation(len(values))]


def _places(checks: int, trials: int, rng: np.random.Generator) -> list[int]:
    """Before which trial each check comes: one at random within each of equal stretches."""
    edges = np.linspace(0, trials, checks + 1)
    return [min(trials - 1, int(rng.uniform(low, high))) for low, high in itertools.pairwise(edges)]
