"""What the dear metrics will cost, in words, said before they start; each line goes on from the metric's name."""

from __future__ import annotations

from saddlepoint.evaluation import trainee
from saddlepoint.evaluation.case import Case
from saddlepoint.evaluation.jumps import STEPS
from saddlepoint.evaluation.msssim import number_of_scales
from saddlepoint.evaluation.scoring import LIMIT
from saddlepoint.evaluation.scoring_pairs import PAIRS, PATCHES, PYRAMID_IMAGES, WALKS


def cost_of_similarity(case: Case) -> str:
    """Of MS-SSIM."""
    c, h, w = case.fake.samples.shape
    return f"filters {PAIRS:,} pairs of {c}x{h}x{w} images at {number_of_scales(min(h, w))} scales in float64, and as many real ones for the floor"


def cost_of_pyramid(case: Case) -> str:
    """Of the pyramid distance."""
    n, c = min(len(case.real), len(case.fake), PYRAMID_IMAGES), case.fake.samples.shape[0]
    gigabytes = 2 * n * PATCHES * c * 49 * 4 / 1e9
    return f"sorts 512 projections of {n * PATCHES:,} patches a side at every level, twice and again for the floor, in {gigabytes:,.1f} GB a level"


def cost_of_diversity(case: Case) -> str:
    """Of perceptual diversity."""
    name = "" if case.extras.distance is None else case.extras.distance.name
    return f"looks at {2 * PAIRS:,} images with {name}, and as many real ones for the floor"


def cost_of_path(case: Case) -> str:
    """Of path lengths."""
    name = "" if case.extras.distance is None else case.extras.distance.name
    return f"generates {2 * len(case.fake):,} images and looks at them with {name}; the papers take 50,000 paths (--num 50000)"


def cost_of_walks(case: Case) -> str:
    """Of walks between latents."""
    name = "" if case.extras.distance is None else case.extras.distance.name
    return f"generates {(STEPS + 1) * min(len(case.fake), WALKS):,} images on walks of {STEPS} steps and looks at them with {name}"


def cost_of_training(case: Case) -> str:
    """Of CAS."""
    n = min(len(case.fake), LIMIT)
    steps = 2 * trainee.steps_for(n) + 3 * trainee.steps_for(n // 3)
    return f"trains classifiers on {n:,} images, on as many real ones, and on three thirds: {steps:,} batches of {trainee.BATCH} in all"


def cost_of_search(case: Case) -> str:
    """Of the search for copies."""
    train = 0 if case.extras.training is None else case.extras.training.num
    queries = min(len(case.fake), LIMIT) + min(0 if case.extras.unseen is None else case.extras.unseen.num, LIMIT)
    return f"compares {queries:,} samples with all {train:,} training samples, in features and in pixels"


def cost_of_windows(case: Case) -> str:
    """Of Parzen windows."""
    return f"compares {min(len(case.fake), LIMIT):,} generated with {min(len(case.real), LIMIT):,} real samples for ten widths, twice"


def cost_of_subsets(case: Case) -> str:
    """Of KID."""
    return f"averages 100 subsets of 1,000 of {min(len(case.fake), LIMIT):,} rows a side, {case.real.extractor.dimension} wide"


def cost_of_clusters(case: Case) -> str:
    """Of precision and recall of distributions."""
    n = min(len(case.fake), len(case.real), LIMIT)
    return f"clusters {2 * n:,} rows of {case.real.extractor.dimension} ten times, and again for the floor"


def cost_of_extrapolation(case: Case) -> str:
    """Of the extrapolated Frechet distance."""
    n = min(len(case.fake), LIMIT)
    return f"computes 15 Frechet distances of up to {n:,} samples, {case.real.extractor.dimension} wide, and as many for the floor"


def cost_of_probes(case: Case) -> str:
    """Of classifiers on features."""
    return f"fits classifiers on {min(len(case.real), LIMIT):,} real samples of {case.real.extractor.dimension} features"
