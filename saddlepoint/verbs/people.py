"""Studies with people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saddlepoint.errors import UsageError
from saddlepoint.verbs.using import sample

if TYPE_CHECKING:
    from saddlepoint.human.study import Study


def study(
    folder: str | Path,
    *,
    kind: Literal["real-or-fake", "ranking"] | None = None,
    layout: Literal["one", "pair", "best", "order"] | None = None,
    real: str | None = None,
    arms: Sequence[str] = (),
    num: int = 500,
    resolution: int | None = None,
    seed: int = 0,
    data_root: str | Path | None = None,
    **settings: Any,
) -> Study:
    """Open a study with people; or make one, where a kind is given.

    Args:
        folder: of the study; a new one must not hold anything.
        kind: of a new study.
        layout: how pictures are shown; None: "one" of real-or-fake, "pair" of ranking.
        real: of real-or-fake: real pictures by name or path.
        arms: generated pictures, or all arms of a ranking: run folders, folders, arrays or names; "NAME=SOURCE" names one.
        num: pictures an arm at most.
        resolution: side of all pictures; None means that of the last arm.
        seed: of samples, choices and orders.
        data_root: where downloaded data sets are.
        **settings: fields of saddlepoint.human.study.Settings: trials, practice, display_ms, staircase, ...
    Returns:
        The study; ``serve()`` shows its page, ``report()`` writes and returns what the answers say.
    """
    from saddlepoint.human.arms import gather_arms
    from saddlepoint.human.study import Settings, create_study, open_study

    if kind is None:
        return open_study(Path(folder))
    if (kind == "real-or-fake") == (real is None):
        raise UsageError(f"Real pictures are what a real-or-fake study needs and a ranking has no place for; kind {kind}, real {real} came.")
    chosen = Settings(kind=kind, layout=layout or ("one" if real else "pair"), seed=seed, **settings)
    pictures = gather_arms(
        [*([real] if real else []), *arms],
        num=num,
        sample=lambda run, count, start: sample(run, num=count, seed=start),
        resolution=resolution,
        ordered=chosen.matched,
        seed=seed,
        root=None if data_root is None else Path(data_root),
    )
    return create_study(Path(folder), chosen, pictures)
