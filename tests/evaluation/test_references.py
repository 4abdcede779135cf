"""The same numbers as the reference implementations, frozen by tools/freeze_metric_references.py (versions in the file).

Tolerances: Frechet 1e-9 relative: the references' own square root is the least exact part. Kernel distance and MS-SSIM 1e-9 and 1e-6: one sum of
float64 in another order, and a window that the reference holds in float32. Shares (precision, recall, density, coverage) are counts and equal, up to
the float32 mean that torch-fidelity takes (1e-7). Averages over random subsets agree within five standard errors.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from saddlepoint.evaluation.frechet import RunningStatistics, frechet_distance, frechet_from_statistics
from saddlepoint.evaluation.inception import inception_score
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.msssim import ms_ssim
from saddlepoint.evaluation.neighbours import density_coverage, precision_recall


@pytest.fixture(scope="module")
def frozen() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).with_name("metric_references.npz")) as file:
        return {name: file[name] for name in file.files}


def test_the_file_says_which_versions_spoke(frozen):
    assert {"pytorch-fid", "clean-fid", "torch-fidelity", "prdc", "pytorch-msssim"} <= set(json.loads(str(frozen["versions"])))


def test_frechet_agrees_with_pytorch_fid_clean_fid_and_torch_fidelity(frozen):
    sides = [RunningStatistics().update(frozen[side]) for side in ("real", "fake")]
    streamed = frechet_from_statistics(sides[0].mean, sides[0].covariance, sides[1].mean, sides[1].covariance)
    for value in frozen["frechet"]:
        assert streamed == pytest.approx(value, rel=1e-9)
        assert frechet_distance(frozen["real"], frozen["fake"]) == pytest.approx(value, rel=1e-9)


def test_kernel_distance_agrees_with_torch_fidelity_and_clean_fid(frozen):
    whole = kernel_distance(frozen["real"][:300], frozen["fake"])
    assert whole.subsets == 1
    assert whole.value == pytest.approx(float(frozen["kernel_300"]), rel=1e-9)
    assert whole.value == pytest.approx(float(frozen["kernel_clean"]), rel=1e-9)
    mean, std = frozen["kernel_subsets"]
    ours = kernel_distance(frozen["real"], frozen["fake"], subsets=400, subset_size=100)
    assert ours.value == pytest.approx(mean, abs=5 * std * np.sqrt(2 / 400))
    assert ours.std == pytest.approx(std, rel=5 / np.sqrt(400))


def test_inception_score_agrees_with_torch_fidelity(frozen):
    ours = inception_score(torch.from_numpy(frozen["logits"]).softmax(1))
    assert tuple(ours) == pytest.approx(tuple(frozen["inception"]), rel=1e-12)


def test_precision_and_recall_agree_with_torch_fidelity_each_in_its_place(frozen):
    assert frozen["precision_recall"][0] != pytest.approx(frozen["precision_recall"][1], abs=0.05)  # swapped sides would show
    assert tuple(precision_recall(frozen["real"], frozen["fake"])) == pytest.approx(tuple(frozen["precision_recall"]), abs=1e-7)


def test_density_and_coverage_agree_with_prdc(frozen):
    ours = [*precision_recall(frozen["real"], frozen["fake"], 5), *density_coverage(frozen["real"], frozen["fake"], 5)]
    assert ours == pytest.approx(list(frozen["prdc"]), abs=1e-12)


def test_ms_ssim_agrees_with_pytorch_msssim(frozen):
    assert ms_ssim(frozen["x"], frozen["y"]) == pytest.approx(frozen["ms_ssim"], abs=1e-6)
