"""The command of the theory study, on a few rounds of each part."""

from __future__ import annotations

import json

from saddlepoint.studies import theory, unrolled


def test_the_command_leaves_tables_and_pictures(tmp_path, monkeypatch):
    tiny = {"width": 8, "batch": 16, "latent_dim": 4}
    whole = unrolled.jobs
    monkeypatch.setattr(unrolled, "jobs", lambda rounds, batch, seeds: [job | {"settings": tiny} for job in whole(rounds, batch, seeds)])
    places = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "theory.md"), "--pictures", str(tmp_path / "pictures")]
    theory.main(["--seeds", "1", "--rounds", "5", "--processes", "1", *places])
    text = (tmp_path / "theory.md").read_text()
    for title, _ in theory.PAGES.values():
        assert f"### {title}" in text
    assert "| non-saturating, R1, gamma 1 | -0.50+0.00i, -0.50+0.00i |" in text
    assert "| N(2, 0.5) from N(0, 0.5) | 2.000 |" in text
    assert "| not unrolled, 10 extra steps of D |" in text
    assert {path.stem for path in (tmp_path / "pictures").iterdir()} == set(theory.PICTURES)
    assert set(json.loads((tmp_path / "work" / "unrolled.json").read_text())) >= {"unrolled 0", "unrolled 10"}
