"""The study of few labels: arms, the classifier alone, the command."""

from __future__ import annotations

import pytest

from saddlepoint.errors import UsageError
from saddlepoint.games.game import Classifies, Samples
from saddlepoint.studies import few_labels
from saddlepoint.studies.few_labels import ARMS, build, few_labels_run


def test_all_arms_of_a_seed_have_its_labels():
    chosen = {}
    for arm in ARMS:
        game, config, data = build(arm, 2, seed=3, rounds=5)
        assert isinstance(game, Classifies) and isinstance(game, Samples) == (arm != "labels alone")
        chosen[arm] = data.labelled.tolist()
        assert (config.labels_per_class, config.rounds) == (2, 5)
    assert len({str(value) for value in chosen.values()}) == 1
    assert build("ladder network", 2, seed=4, rounds=5)[2].labelled.tolist() != chosen["ladder network"]


def test_labels_alone_learn_the_digits():
    found = few_labels_run({"arm": "labels alone", "labels": 20, "seed": 0, "rounds": 60})
    assert found["error"] < 0.25  # nine in ten by chance
    assert found["quick_frechet"] is None


def test_the_command_leaves_a_table(tmp_path):
    places = ["--work", str(tmp_path / "w"), "--out", str(tmp_path / "f.md")]
    few_labels.main(["--labels", "2", "--seeds", "1", "--rounds", "1", *places])
    text = (tmp_path / "f.md").read_text()
    assert all(f"| 2 | {arm} | 1 |" in text for arm in ARMS)
    with pytest.raises(UsageError, match="at least 1"):
        few_labels.main(["--labels", "0", *places])
