"""The command of the theory study, on a few rounds of each part."""

from __future__ import annotations

from saddlepoint.studies import theory


def test_the_command_leaves_tables_and_pictures(tmp_path):
    places = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "theory.md"), "--pictures", str(tmp_path / "pictures")]
    theory.main(["--seeds", "1", "--rounds", "5", *places])
    text = (tmp_path / "theory.md").read_text()
    for title, _ in theory.PAGES.values():
        assert f"### {title}" in text
    assert "| non-saturating, R1, gamma 1 | -0.50+0.00i, -0.50+0.00i |" in text
    assert "| N(2, 0.5) from N(0, 0.5) | 2.000 |" in text
    assert {path.stem for path in (tmp_path / "pictures").iterdir()} == set(theory.PICTURES)
