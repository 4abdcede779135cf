"""The questions of sequences: each runs at a tiny size, goes on where it was stopped, and measures what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from saddlepoint.data.oracle import open_oracle
from saddlepoint.evaluation.exposure import next_token_divergence
from saddlepoint.studies import sequences
from saddlepoint.studies.questions import Arm

TINY: dict[str, Any] = {"batch": 16, "mle_steps": 2, "mle_rounds": 1, "d_pretraining": 1, "adversarial_rounds": 1, "rounds": 3, "g_steps": 1}
JUDGED = TINY | {"d_batch": 16, "filters": (1, 2), "maps": (3, 3)}
FEW: dict[str, dict[str, Arm]] = {
    "exposure": {
        "imitation": ("sequence-mle", "small", {"batch": 16, "mle_steps": 2, "rounds": 2}),
        "SeqGAN": ("seqgan", "small", JUDGED | {"negatives": 16}),
    },
    "gradients": sequences.ARMS["gradients"],
    "digits": {
        "REINFORCE (SeqGAN)": ("seqgan", "small", JUDGED | {"negatives": 16, "roll_outs": 2}),
        "MaliGAN": ("maligan", "small", JUDGED | {"d_steps": 2}),
    },
    "pixels": {"MaliGAN": ("maligan-pixels", "small", {"batch": 8, "width": 4})},
}


@pytest.mark.parametrize("question", FEW)
def test_every_question(question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "ARMS", sequences.ARMS | {question: FEW[question]})
    monkeypatch.setattr(sequences, "NEW", 20)
    monkeypatch.setattr(sequences, "PIXEL_DATA", "fashion:test")
    monkeypatch.setattr(sequences, "SAMPLES", 70)
    monkeypatch.setattr(sequences, "MOVES", 3)
    monkeypatch.setattr(sequences, "SHORT", TINY | {"negatives": 64})
    flags = ["--questions", question, "--seeds", "1", "--rounds", "3", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert sequences.main(flags) == 0
    table = (tmp_path / "table.md").read_text()
    assert table.count("\n| ") == 2 + len(FEW[question])
    assert all(f"| {arm} |" in table for arm in FEW[question]) and all(name in table for name in sequences.SCORES[question])
    monkeypatch.setattr(sequences, "work", None)  # what is on file is not done again
    assert sequences.main(flags) == 0 and (tmp_path / "table.md").read_text() == table


def test_the_divergence_is_zero_for_the_truth_and_the_same_behind_nothing() -> None:
    data = open_oracle("tiny", 7, 5, 40)
    tokens = data.column("tokens")
    truth = data.oracle.log_probs(tokens)
    assert truth.exp().sum(2).sub(1).abs().max() < 1e-12
    assert torch.equal(truth.gather(2, tokens[..., None])[..., 0], data.oracle.log_prob(tokens))
    assert next_token_divergence(truth, truth).abs().max() < 1e-12
    model = torch.randn(7, dtype=torch.float64).log_softmax(0).expand(40, 5, 7)
    own = data.oracle.log_probs(torch.multinomial(model[0].exp(), 40, replacement=True).T)
    behind_true, behind_own = next_token_divergence(truth, model), next_token_divergence(own, model)
    assert behind_true[0].item() == pytest.approx(behind_own[0].item())
    assert (behind_true > 0).all() and (behind_true[1:] - behind_own[1:]).abs().max() > 1e-3


def test_digits_are_sequences_of_two_tokens() -> None:
    data = sequences.digits("test")
    assert data.spec.shape == (64,) and set(data.column("tokens").flatten().tolist()) == {0, 1}
    assert {*sequences.SCORES} == {*sequences.ARMS} == {*sequences.ROUNDS}
