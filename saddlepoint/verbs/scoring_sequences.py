"""Scores of sequences: of a run that makes them, or of a text file, against real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.sources import of_sequences, open_data
from saddlepoint.data.vocabulary import END, TOKENISERS, decode, encode
from saddlepoint.errors import UsageError
from saddlepoint.games.sequences import SequenceGame, Writes
from saddlepoint.training.run import Run
from saddlepoint.verbs.gathering import Asking
from saddlepoint.verbs.using import as_sampler, load

if TYPE_CHECKING:
    from saddlepoint.evaluation.bleu import Tokens
    from saddlepoint.evaluation.scoring_sequences import Sums

BATCH = 256  # sequences whose likelihood is computed at a time


@dataclass(frozen=True)
class Written:
    """Sequences found to be scored: as words, the data to compare with, what is to be said of them; the run, and its game if it gives likelihoods."""

    fake: Sequence[Tokens]
    data: ArrayDataset
    about: dict[str, Any]
    run: Run | None = None
    game: SequenceGame | None = None


def holds_sequences(target: object, against: str | None) -> bool:
    """Whether a target of ``evaluate`` is sequences: a run on them, data of them, or a text file beside such data."""
    if callable(target):
        return False
    if (Path(str(target)) / "run.json").exists():
        return bool(Run.open(Path(str(target))).about["data"]["kind"] == "sequence")
    return of_sequences(str(target)) or (Path(str(target)).suffix == ".txt" and against is not None and of_sequences(against))


def find_sequences(ask: Asking, against: str | None, checkpoint: str) -> Written:
    """The sequences of a run or of a file.

    Raises:
        UsageError: for samples without real data to compare with, or fewer of them than were asked for.
    """
    name = str(ask.target)
    if (Path(name) / "run.json").exists():
        return _of_run(ask, against, checkpoint)
    if against is None:
        raise UsageError(f"{name} is not a run folder, so say what to compare it with: --against DATA.")
    if ask.truncation is not None:
        raise UsageError(f"Truncation is the temperature of a run; {name} is not a run folder. Leave it out.")
    if not of_sequences(name):
        prefix = against.partition(":")[0]
        name = f"{prefix if prefix in TOKENISERS else 'text'}:{name}"  # cut as the real ones are
    given = open_data(name)
    fake = decode(given.column("tokens"), given.spec.vocabulary)
    if ask.wanted is not None and ask.wanted > len(fake):
        raise UsageError(f"{name} holds {len(fake)} sequences; {ask.wanted} were asked for. Use --num {len(fake)} or fewer.")
    return Written([*fake[: ask.wanted]], open_data(against), {"samples": name})


def _of_run(ask: Asking, against: str | None, checkpoint: str) -> Written:
    from saddlepoint.evaluation.samples import draw_samples

    game, run = load(str(ask.target), checkpoint=checkpoint)
    likelihood = game if isinstance(game, SequenceGame) else None
    if not isinstance(game, Writes):
        raise UsageError(f"{type(game).__name__} writes no sequences. `saddlepoint info RUN` says what it can do.")
    game.to(ask.device)
    tokens = draw_samples(as_sampler(game), ask.num, seed=ask.seed, truncation=ask.truncation)
    about = {
        "run": str(run.folder),
        "recipe": run.about["recipe"],
        "round": game.clock.round,
        "images_seen": game.clock.images_seen,
        "sample_seed": ask.seed,
    }
    return Written(decode(tokens, game.vocabulary), open_data(against or run.about["source"]["name"]), about, run, likelihood)


def evaluate_sequences(ask: Asking, against: str | None, checkpoint: str, names: Sequence[str] | None) -> tuple[dict[str, Any], Run | None, str]:
    """Scores in the form of all others, the run that keeps them, and the content hash of the real data."""
    from saddlepoint.evaluation.scoring_sequences import choose_sequence_metrics, score_sequences

    found = find_sequences(ask, against, checkpoint)
    data, game = found.data, found.game
    density = getattr(data, "density", None)
    metrics = choose_sequence_metrics(names, oracle=density is not None, model=game is not None)
    real = decode(data.column("tokens"), data.spec.vocabulary)
    fake = [sequence for sequence in found.fake if sequence]
    if len(fake) < 2:
        raise UsageError(f"A distribution needs at least 2 sequences that are not empty; {len(fake)} of {len(found.fake)} came. Draw more samples.")

    def by_oracle(sequences: Sequence[Tokens]) -> Sums:
        assert density is not None
        return _sums(density, sequences, data.spec.vocabulary, data.spec.shape[0], "cpu")

    def by_model(sequences: Sequence[Tokens]) -> Sums:
        assert game is not None
        generator = game.generator
        return _sums(lambda tokens: generator.log_prob(tokens).sum(1), sequences, game.vocabulary, generator.length, ask.device)

    result = score_sequences(real, fake, metrics=metrics, seed=ask.seed, oracle=by_oracle, model=by_model)
    if len(fake) < len(found.fake):
        result["notes"].append(f"{len(found.fake) - len(fake)} of {len(found.fake)} generated sequences are empty, and left out.")
    if game is not None and against is None and {"nll-test", "perplexity"} & {*metrics}:
        result["notes"].append("nll-test and perplexity: on the data that the run was trained on. Name held-out sequences with --against.")
    result["protocol"] |= {"data": data.spec.name, "truncation": ask.truncation}
    return found.about | result, found.run, data.spec.content_hash


@torch.no_grad()
def _sums(log_prob: Callable[[Tensor], Tensor], sequences: Sequence[Tokens], vocabulary: Sequence[str], length: int, device: str) -> Sums:
    """log p of each sequence, a batch at a time, and its tokens: a shorter one has its end too, where the vocabulary has one."""
    tokens = encode([[str(token) for token in sequence] for sequence in sequences], vocabulary, length)
    ends = vocabulary[0] == END
    counts = np.array([len(sequence) + (ends and len(sequence) < length) for sequence in sequences], dtype=np.float64)
    return np.concatenate([log_prob(part.to(device)).double().cpu().numpy() for part in torch.split(tokens, BATCH)]), counts
