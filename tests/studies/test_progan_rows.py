"""Progressive GAN's rows at small scale, on runs of a few rounds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.studies import progan_rows
from saddlepoint.studies.progan_rows import TITLES, configuration, images, score
from saddlepoint.zoo.catalogue import find_recipe


def test_every_row_sees_the_same_images() -> None:
    assert list(TITLES) == [name for name in find_recipe("progan").presets if name.startswith("row-")]
    for row in TITLES:
        config = configuration(row, 28.0)
        seen = config.rounds * config.batch * config.d_steps
        assert abs(seen - (42_000 if row == "row-h" else 28_000)) <= 7 * config.d_steps * config.batch, row
        assert config.resolution == 32 and config.width == (128 if row == "row-h" else 64)


def test_real_images_score_better_than_noise() -> None:
    data = open_data("digits", resolution=32)
    real, others = images(data, 0, 64), images(data, 1, 64)
    floor = score(real, others, 50)
    noise = score(real, torch.randint(0, 256, real.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)), 50)
    assert list(floor) == ["swd_32", "swd_16", "swd", "ms_ssim"]
    assert floor["swd"] < noise["swd"] and noise["ms_ssim"] < floor["ms_ssim"]


def test_the_command_makes_the_table_and_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--data", "digits", "--kimg", "0.2", "--seeds", "1", "--judged", "64", "--pairs", "50", "--processes", "1", "--rows", "row-a", "row-g"]
    flags += ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "rows.md")]
    progan_rows.main(flags)
    text = (tmp_path / "rows.md").read_text()
    assert "(a) Gulrajani" in text and "(g) + pixelwise" in text and "*real images*" in text and "(b)" not in text
    runs = json.loads((tmp_path / "rows.json").read_text())["runs"]
    assert [run["job"]["row"] for run in runs] == ["real", "row-a", "row-g"] and all(run["stopped"] is None for run in runs[1:])
    monkeypatch.setattr(progan_rows, "row_run", lambda job: pytest.fail("a finished run was done again"))
    progan_rows.main(flags)
    assert (tmp_path / "rows.md").read_text() == text
    with pytest.raises(UsageError, match="At least 1 seed"):
        progan_rows.main(["--seeds", "0"])
