"""The study of seven architectures: its cells, its command."""

from __future__ import annotations

import pytest

from saddlepoint.errors import UsageError
from saddlepoint.games.player import Adam, RMSprop
from saddlepoint.studies import rows
from saddlepoint.studies.rows import METHODS, ROWS, configuration, table


def test_the_cells_have_the_papers_optimisers_and_norms():
    found = {method: configuration("row1", method, updates=7, width=16)[1] for method in METHODS}
    assert [found[method].generator_optimizer for method in METHODS] == [
        Adam(lr=2e-4, beta1=0.5),
        RMSprop(lr=1e-4),
        RMSprop(lr=5e-5),
        Adam(lr=1e-4, beta1=0.0, beta2=0.9),
    ]
    assert [found[method].d_steps for method in METHODS] == [1, 1, 5, 5]
    assert (found["WGAN"].clip, found["WGAN"].burst_d_steps, found["WGAN-GP"].critic_norm) == (0.01, 5, "layer")
    assert {(config.rounds, config.width, config.batch, config.latent_dim) for config in found.values()} == {(7, 16, 64, 128)}
    assert configuration("row4", "WGAN-GP", updates=7, width=16)[1].critic_norm == "none"
    assert len(ROWS) == 7


def test_the_command_leaves_tables_and_a_picture(tmp_path):
    places = ["--work", str(tmp_path / "w"), "--out", str(tmp_path / "r.md"), "--picture", str(tmp_path / "r.png")]
    rows.main(["--updates", "1", "--width", "2", "--rows", "row3", "row4", "--methods", "WGAN", "WGAN-GP", *places])
    text = (tmp_path / "r.md").read_text()
    assert text.count("| row3: G of four hidden layers |") == 3 and text.count("| architecture | WGAN | WGAN-GP |") == 3
    assert (tmp_path / "r.png").stat().st_size > 1000
    with pytest.raises(UsageError, match="at least 1"):
        rows.main(["--updates", "0", *places])


def test_a_run_that_left_the_numbers_is_a_dash():
    job = {"row": "row1", "method": "WGAN", "seed": 0}
    assert "| row1: DCGAN | - |" in table([{"job": job, "quick_frechet": None}], "quick_frechet", "{:.2f}")
