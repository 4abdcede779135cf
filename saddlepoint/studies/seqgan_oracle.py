"""``python -m saddlepoint.studies.seqgan_oracle``: SeqGAN's table where the truth is known, at a scale of minutes, with what it left out.

Yu et al. 2017 (arXiv:1609.05473), Table 1 compares NLL-oracle: how likely the true distribution finds what was generated. That number falls when a
generator forgets half of the data, so beside it stand NLL-test (how likely the generator finds new real sequences) and self-BLEU (how alike its
samples are). And a row that costs nothing: the imitation itself, drawn at a lower temperature.

Rows: tokens at random; imitation (MLE); the same at the temperatures .9 and .8; scheduled sampling; PG-BLEU; SeqGAN; MaliGAN, basic and full. All
that follow an imitation begin with that of their seed, so a difference is what they made of it. Oracle and data are 10 tokens of 200 and 2,000
sequences, which imitation learns by heart. Each cell is the mean over seeds with the least and the most. With ``--keep`` every finished run is
kept, and the same command continues. ``--paper`` takes `oracle` and the paper presets instead.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.oracle import OracleDataset, open_oracle
from saddlepoint.draws import Draws, derive_seed
from saddlepoint.evaluation.bleu import self_bleu
from saddlepoint.games.sequences import SequenceGame
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.zoo.catalogue import find_recipe

NUM, NEW = 4_000, 2_000  # generated sequences that NLL-oracle is of; new real ones that NLL-test is of
SELF_BLEU, ORDER, AT_ONCE = 300, 2, 500
ARMS: dict[str, tuple[str, str, float]] = {  # name in the table: recipe, preset ("" begins with the imitation), temperature
    "imitation (MLE)": ("sequence-mle", "small", 1.0),
    "imitation at temperature .9": ("", "", 0.9),
    "imitation at temperature .8": ("", "", 0.8),
    "scheduled sampling": ("sequence-mle", "small-scheduled-sampling", 1.0),
    "PG-BLEU": ("pg-bleu", "small", 1.0),
    "SeqGAN": ("seqgan", "small", 1.0),
    "MaliGAN, basic": ("maligan", "small", 1.0),
    "MaliGAN, full": ("maligan", "small-full", 1.0),
}
RANDOM, IMITATION = "random tokens", "imitation (MLE)"
PAPER = {"small": "paper", "small-scheduled-sampling": "scheduled-sampling", "small-full": "full"}


def open_data(paper: bool, sizes: tuple[int, int, int] | None = None) -> OracleDataset:
    """The oracle and its sequences: (vocabulary, length, sequences) of the paper, of a small one, or as given."""
    return open_oracle("oracle", *(sizes or ((5000, 20, 10_000) if paper else (200, 10, 2_000))))


def score(game: SequenceGame | None, data: OracleDataset, seed: int, temperature: float) -> Record:
    """NLL-oracle of samples, NLL-test of new sequences, self-BLEU; of uniform tokens where there is no game."""
    words, (length,) = len(data.spec.vocabulary), data.spec.shape
    draws, new = Draws.seeded(seed, "samples"), Draws.seeded("new sequences", dtype=torch.float64)
    real = data.oracle.sample(new.uniform(NEW, length))
    if game is None:
        tokens, test = draws.integers(NUM, length, high=words), float(np.log(words))
    else:
        tokens = torch.cat([game.sample(AT_ONCE, draws, truncation=temperature) for _ in range(NUM // AT_ONCE)])
        test = _nll_test(game, real, temperature)
    return {
        "nll_oracle": -data.density(tokens).mean().item() / length,
        "nll_test": test,
        "self_bleu": self_bleu(tokens[:SELF_BLEU].tolist(), ORDER, sample=SELF_BLEU),
        "nll_oracle_real": -data.density(real).mean().item() / length,
        "self_bleu_real": self_bleu(real[:SELF_BLEU].tolist(), ORDER, sample=SELF_BLEU),
    }


@torch.no_grad()
def _nll_test(game: SequenceGame, real: Tensor, temperature: float) -> float:
    """Nats a token of real sequences, by the distribution that samples are drawn from."""
    found = []
    for part in torch.split(real, AT_ONCE):
        log_p = torch.log_softmax(game.generator(part) / temperature, 2)
        found.append(-log_p.gather(2, part[..., None])[..., 0].double())
    return torch.cat(found).mean().item()


def train(recipe: str, preset: str, data: OracleDataset, seed: int, start: dict[str, Tensor] | None, changes: dict[str, Any]) -> SequenceGame:
    """A recipe trained; from the weights of an imitation, where they are given, without one of its own."""
    entry = find_recipe(recipe)
    config: Any = entry.preset(preset)
    known = {field.name for field in dataclasses.fields(config)}
    config = dataclasses.replace(config, **{name: value for name, value in changes.items() if name in known})
    if start is not None:
        rest = [getattr(config, name, 0) for name in ("d_pretraining", "adversarial_rounds", "policy_rounds")]
        config = dataclasses.replace(config, mle_rounds=0, rounds=sum(rest))
    torch.manual_seed(derive_seed(seed, "initialisation"))
    game = entry.game(config, data)
    assert isinstance(game, SequenceGame)
    if start is not None:
        game.generator.load_state_dict(start)
    play(game, data, rounds=config.rounds, batch=config.batch, seed=seed, every=config.rounds)
    return game.eval()


def work(job: Job) -> Record:
    """All rows of one seed, one after the other, with the processor's seconds of each."""
    import time

    torch.set_num_threads(1)
    data, seed = open_data(job["paper"], job["sizes"] and tuple(job["sizes"])), job["seed"]
    rows: Record = {RANDOM: score(None, data, seed, 1.0)}
    first: SequenceGame | None = None
    for arm in [name for name in ARMS if name in job["arms"] or name == IMITATION]:
        (recipe, preset, temperature), begun = ARMS[arm], time.process_time()
        name = PAPER[preset] if job["paper"] and preset in PAPER else preset
        if not recipe:
            game = first
        else:
            weights = None if first is None or recipe == "sequence-mle" else first.generator.state_dict()
            game = train(recipe, name, data, seed, weights, job["changes"])
        first = first or game
        seconds = time.process_time() - begun
        rows[arm] = score(game, data, seed, temperature) | {"seconds": seconds}
    return {"rows": rows}


def measure(
    seeds: int, keep: Path, *, paper: bool = False, arms: Sequence[str] = tuple(ARMS), processes: int = 1, sizes: Sequence[int] = (), **changes: Any
) -> list[Record]:
    """Every row with every seed; ``changes`` are settings for all recipes that have them."""
    jobs = [{"seed": seed, "paper": paper, "arms": [*arms], "sizes": [*sizes], "changes": changes} for seed in range(seeds)]
    return run_missing(work, jobs, keep, processes=processes)


def as_table(records: Sequence[Record]) -> str:
    """A row an arm: mean over the seeds, least and most."""
    columns = {"nll_oracle": "NLL-oracle", "nll_test": "NLL-test", "self_bleu": f"self-BLEU-{ORDER}", "seconds": "seconds of a processor"}
    lines = ["| " + " | ".join(["generator", *columns.values()]) + " |", "|" + " --- |" * (len(columns) + 1)]
    for arm in (RANDOM, *ARMS):
        rows = [record["rows"][arm] for record in records if arm in record["rows"]]
        if rows:
            lines.append("| " + " | ".join([arm, *(_spread([row.get(column) for row in rows], column) for column in columns)]) + " |")
    real = records[0]["rows"][RANDOM]
    lines.append(f"| real sequences | {real['nll_oracle_real']:.3f} | {real['nll_oracle_real']:.3f} by the oracle | {real['self_bleu_real']:.3f} | |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float | None], column: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    digits = 0 if column == "seconds" else 3
    mean = f"{np.mean(known):.{digits}f}"
    return mean if len(known) == 1 or column == "seconds" else f"{mean} ({min(known):.{digits}f} to {max(known):.{digits}f})"


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.seqgan_oracle", description="SeqGAN's table at a scale of minutes.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=[*ARMS], default=[*ARMS], help="rows; imitation is always there")
    parser.add_argument("--paper", action="store_true", help="the oracle and the presets of the paper")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file of finished seeds; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as aside:
        keep = given.keep or Path(aside) / "runs.jsonl"
        records = measure(given.seeds, keep, paper=given.paper, arms=given.arms, processes=given.processes)
    text = as_table(records)
    write_text(text, given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
