"""Features first, metrics second.

The metrics, pure functions of arrays with the real samples first, can be imported from here; each is loaded when it is asked for.

>>> from saddlepoint.evaluation import frechet_distance
>>> frechet_distance([[0.0], [2.0]], [[1.0], [3.0]])
1.0
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "bleu": ("bleu", "sentence_bleu", "corpus_bleu", "self_bleu"),
    "classwise": ("class_frechet", "classification_accuracy"),
    "copying": ("copy_verdict", "copying_statistic"),
    "diversity": ("mean_pairwise_distance",),
    "frechet": ("frechet_distance", "frechet_from_statistics", "frechet_infinity"),
    "inception": ("inception_score", "am_score"),
    "jumps": ("largest_steps",),
    "kernel": ("kernel_distance",),
    "laplacian": ("laplacian_sliced_wasserstein",),
    "meaning": ("retrieval", "attribute_accuracy"),
    "modes": ("mode_coverage",),
    "msssim": ("ms_ssim", "ms_ssim_diversity"),
    "neighbours": ("precision_recall", "density_coverage", "coverage", "nearest", "realism"),
    "paired": ("psnr", "ssim", "target_error", "exact_share", "paired_distance"),
    "parzen": ("parzen_log_likelihood",),
    "perceptual": ("perceptual_path_length", "perceptual_diversity"),
    "prd": ("prd_curve",),
    "segmentation": ("segmentation_distance", "fcn_score"),
    "sequences": ("nll_oracle", "nll_test", "perplexity", "ngram_jensen_shannon"),
    "sliced": ("sliced_wasserstein",),
    "spectra": ("radial_power", "spectral_gap", "fine_gap", "sharpness"),
    "stacked": ("stacked_coverage",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted(name for name in _MODULE if name != "bleu")  # the module bleu keeps its name


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE[name]}"), name)
