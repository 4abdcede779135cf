"""``evaluate`` of sequences: runs that write, text files, the oracle; the same form, protocol and refusals as for images."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import saddlepoint
from saddlepoint.cli.main import main
from saddlepoint.data.sources import open_data
from saddlepoint.data.vocabulary import decode
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.protocol import differences
from saddlepoint.evaluation.scoring_sequences import SEQUENCE_METRICS, divergence_error
from saddlepoint.evaluation.sequences import ngram_jensen_shannon, nll_test
from saddlepoint.verbs.using import load

WORDS = ["the", "a", "small", "old", "red", "cat", "dog", "bird", "sees", "hears", "follows", "house", "tree", "river"]
CORPORA = ("bleu_2", "bleu_3", "bleu_4", "self_bleu_2", "self_bleu_3", "self_bleu_4", "ngram_js_1", "ngram_js_2", "ngram_js_3", "ngram_js_4")


def sentences(num: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(4, 8))) for _ in range(num)]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Real sentences to train on and held-out ones, others of the same kind, one sentence over and over, and a run."""
    folder = tmp_path_factory.mktemp("sequences")
    for name, lines in {"real": sentences(120, 0), "held": sentences(80, 1), "alike": sentences(80, 2), "same": sentences(1, 0) * 80}.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    options = ["--steps", "1", "--mle-steps", "4", "--batch", "16", "--hidden-dim", "8", "--embed-dim", "8"]
    assert main(["train", "sequence-mle", "--data", f"text:{folder / 'real.txt'}", "--out", str(folder / "run"), *options]) == 0
    return folder


def of_file(place: Path, name: str, **changes: object) -> dict:
    return saddlepoint.evaluate(place / f"{name}.txt", **({"against": f"text:{place / 'held.txt'}"} | changes))


def test_a_file_has_every_metric_that_needs_no_model(place) -> None:
    result = of_file(place, "alike")
    assert tuple(result["scores"]) == CORPORA
    assert all(score["error"] > 0 and score["floor"] is not None for score in result["scores"].values())
    collapsed = of_file(place, "same", metrics="self-bleu,ngram-js")["scores"]
    assert tuple(collapsed) == CORPORA[3:]
    assert collapsed["self_bleu_4"]["value"] == 1.0 > result["scores"]["self_bleu_4"]["value"]
    assert collapsed["ngram_js_1"]["value"] > 5 * result["scores"]["ngram_js_1"]["value"]
    assert result["protocol"]["kind"] == "sequence" and result["protocol"]["num_fake"] == 80 and result["protocol"]["content_hash"]
    assert differences(result["protocol"], of_file(place, "alike", num=50)["protocol"]) == ["number of generated samples: 80 and 50"]


def test_a_run_has_likelihoods_too_and_keeps_what_was_found(place, capsys) -> None:
    run = place / "run"
    assert main(["evaluate", str(run), "--num", "60", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert tuple(found["scores"]) == (*CORPORA, "nll_test", "perplexity") and found["recipe"] == "sequence-mle"
    assert any("Name held-out sequences with --against" in note for note in found["notes"])
    held = saddlepoint.evaluate(run, against=f"text:{place / 'held.txt'}", metrics="nll-test,perplexity", num=60)
    assert not any("Name held-out" in note for note in held["notes"])
    nll, perplexity = held["scores"]["nll_test"], held["scores"]["perplexity"]
    assert perplexity["value"] == pytest.approx(math.exp(nll["value"])) and 0 < nll["error"] < 0.2
    assert len((run / "evaluations.jsonl").read_text().splitlines()) == 2
    assert main(["compare", str(run), str(run / "missing")]) != 0


def test_the_likelihood_is_the_functions_end_included(place) -> None:
    game, _ = load(place / "run")
    data = open_data(f"text:{place / 'real.txt'}")
    tokens = data.column("tokens")
    counted = game.generator.counted(tokens).sum(1).long().tolist()
    rows = [row[:count].tolist() for row, count in zip(game.generator.log_prob(tokens).detach(), counted, strict=True)]
    ended = [[*words, "<end>"][:count] for words, count in zip(decode(tokens, data.spec.vocabulary), counted, strict=True)]
    value = saddlepoint.evaluate(place / "run", metrics=["nll-test"])["scores"]["nll_test"]["value"]
    assert value == pytest.approx(nll_test(ended, lambda sequences: rows), rel=1e-6)


def test_the_oracle_judges_what_is_generated(tmp_path) -> None:
    data = open_data("oracle-small")
    real = decode(data.column("tokens")[:300], data.spec.vocabulary)
    rng = np.random.default_rng(0)
    noise = [[str(token) for token in rng.integers(0, 200, 10)] for _ in range(300)]
    for name, sequences in (("real", real), ("noise", noise)):
        (tmp_path / f"{name}.txt").write_text("".join(" ".join(sequence) + "\n" for sequence in sequences))
    good, bad = (
        saddlepoint.evaluate(tmp_path / f"{name}.txt", against="oracle-small", metrics="nll-oracle")["scores"]["nll_oracle"]
        for name in ("real", "noise")
    )
    assert good["value"] == pytest.approx(good["floor"], abs=5 * good["error"])
    assert bad["value"] > good["value"] + 1 and bad["floor"] == good["floor"]


def test_the_divergences_error_is_the_spread_over_draws() -> None:
    rng = np.random.default_rng(3)
    shares = np.linspace(2, 1, 12) / np.linspace(2, 1, 12).sum()
    values, errors = [], []
    for _ in range(40):
        real, fake = (rng.choice(12, (200, 6), p=chances).tolist() for chances in (shares, np.full(12, 1 / 12)))
        values.append(ngram_jensen_shannon(real, fake, 1))
        errors.append(divergence_error(real, fake, 1))
    assert 0.7 < np.mean(errors) / np.std(values, ddof=1) < 1.7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": "fd"}, r"Sequences have no metric 'fd'"),
        ({"metrics": "nll-oracle"}, "needs data whose distribution is known"),
        ({"metrics": "nll-test"}, "a file of samples has no likelihoods"),
        ({"extractor": "lite0", "num_real": 10}, "without num_real and extractor: that is of images"),
        ({"num": 81}, "holds 80 sequences; 81 were asked for"),
        ({"truncation": 0.5}, "Truncation is the temperature of a run"),
    ],
)
def test_what_sequences_have_not_is_said_in_one_line(place, changes, message) -> None:
    with pytest.raises(UsageError, match=message):
        of_file(place, "alike", **changes)


def test_data_without_real_ones_and_points_as_before(place) -> None:
    with pytest.raises(UsageError, match="say what to compare it with"):
        saddlepoint.evaluate(f"text:{place / 'alike.txt'}")
    assert "fd" in saddlepoint.evaluate("ring8", against="ring8", metrics="fd", num=50)["scores"]


def test_the_page_names_every_sequence_metric() -> None:
    page = (Path(saddlepoint.__file__).parents[1] / "docs" / "sequence-metrics.md").read_text()
    for name in SEQUENCE_METRICS:
        assert f"| `{name}` |" in page
