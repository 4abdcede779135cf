"""The study of sequences where the truth is known, on an oracle of a few tokens."""

from __future__ import annotations

import numpy as np
import pytest

from saddlepoint.studies import seqgan_oracle
from saddlepoint.studies.seqgan_oracle import ARMS, IMITATION, RANDOM, as_table, measure, open_data, score, train

FEW = {
    "rounds": 2,
    "mle_steps": 2,
    "d_pretraining": 1,
    "adversarial_rounds": 1,
    "policy_rounds": 1,
    "g_steps": 1,
    "d_steps": 1,
    "negatives": 64,
    "filters": (1, 2),
    "maps": (3, 3),
}


@pytest.fixture(autouse=True)
def _little(monkeypatch):
    monkeypatch.setattr(seqgan_oracle, "NUM", 500)
    monkeypatch.setattr(seqgan_oracle, "NEW", 100)
    monkeypatch.setattr(seqgan_oracle, "SELF_BLEU", 30)


def test_every_row_is_measured_and_kept(tmp_path):
    keep = tmp_path / "runs.jsonl"
    records = measure(1, keep, sizes=(12, 4, 80), **FEW)
    assert set(records[0]["rows"]) == {RANDOM, *ARMS}
    table = as_table(records)
    assert [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]] == [RANDOM, *ARMS, "real sequences"]
    assert records[0]["rows"][RANDOM]["nll_test"] == pytest.approx(np.log(12))
    written = keep.read_text()
    assert as_table(measure(1, keep, sizes=(12, 4, 80), **FEW)) == table
    assert keep.read_text() == written  # nothing was done again


def test_the_scores_notice_what_they_are_meant_to():
    data = open_data(False, (12, 4, 200))
    game = train("sequence-mle", "small", data, 0, None, {"rounds": 6, "mle_steps": 20})
    imitation, random, cold = score(game, data, 0, 1.0), score(None, data, 0, 1.0), score(game, data, 0, 0.3)
    assert imitation["nll_oracle_real"] < imitation["nll_oracle"] < random["nll_oracle"]
    assert imitation["nll_test"] < random["nll_test"]
    assert cold["nll_oracle"] < imitation["nll_oracle"]  # a lower temperature looks better by the oracle alone
    assert cold["nll_test"] > imitation["nll_test"]
    assert cold["self_bleu"] > imitation["self_bleu"]


def test_what_follows_an_imitation_begins_with_it():
    data = open_data(False, (12, 4, 80))
    first = train("sequence-mle", "small", data, 0, None, {"rounds": 2, "mle_steps": 3})
    still = {"adversarial_rounds": 1, "d_pretraining": 1, "g_steps": 1, "negatives": 64, "clip_norm": 1e-30}
    later = train("seqgan", "small", data, 0, first.generator.state_dict(), FEW | still)
    tokens = data.column("tokens")
    assert later.nll(tokens).item() == pytest.approx(first.nll(tokens).item(), abs=0.2)
    assert IMITATION in ARMS
