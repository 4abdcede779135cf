"""The report of a run: one page that holds everything and loads nothing, read from the run folder alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from saddlepoint.evaluation.health import NAMES
from saddlepoint.report.charts import Curve, line_chart, number
from saddlepoint.report.pictures import neighbours_section, samples_section
from saddlepoint.report.reading import OPINION, RunRecord, curve, floor_of, is_number, read_run
from saddlepoint.training.storage import write_bytes

SCORES = {  # log name -> (title, whether it is a share of one)
    "quick_frechet": ("Quick Frechet distance: lower is better, not FID", False),
    "sliced_wasserstein": ("Sliced Wasserstein distance: lower is better", False),
    "ngram_js4": ("Divergence of 4-grams from real sequences (bits): lower is better", False),
    "coverage": ("Coverage: share of real images with a generated one near", True),
    "pairwise_distance": ("Distance between samples, real images being 1", True),
    "modes": ("Modes covered", False),
    "high_quality": ("High-quality share: within 3 deviations of a mode", True),
    "modes_kl": ("KL of the covered modes from uniform (nats): lower is better", False),
}
SETTINGS = ("seed", "batch", "budget", "preset", "precision", "micro_batches", "horizon")


def write_report(run_folder: Path) -> Path:
    """Write report.html into a run folder: samples over time, curves, nearest real images, health, protocols, settings.

    Whatever the run lacks is said in a sentence in its place.

    Args:
        run_folder: as training leaves it.
    Returns:
        Path of the page; it is written whole or not at all.
    Raises:
        UsageError: if the folder has no run.json.
        CheckpointError: if run.json is damaged.
        StorageError: if the disk refuses.
    """
    run = read_run(Path(run_folder))
    path = run.folder / "report.html"
    write_bytes(path, page(run).encode())
    return path


def page(run: RunRecord) -> str:
    """The whole page as HTML."""
    files = resources.files("saddlepoint.report")
    name = _text(run.about.get("recipe") or "run")
    sections = [
        ("Health", _health(run)),
        ("Samples over time", samples_section(run)),
        ("Scores", _scores(run)),
        ("Losses", _losses(run)),
        ("What the discriminator thinks", _opinion(run)),
        ("Nearest real images", neighbours_section(run)),
        ("How the numbers were made", _protocol(run)),
        ("Settings", _settings(run)),
        ("How to reproduce it", _reproduce(run)),
    ]
    body = "".join(f"<section><h2>{title}</h2>{content}</section>" for title, content in sections if content)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: training report</title><style>{(files / 'page.css').read_text()}</style></head>"
        f"<body><main>{_header(run)}{body}</main><script>{(files / 'page.js').read_text()}</script></body></html>\n"
    )


# -- the head ------------------------------------------------------------------------------------------------------------------------------


def _header(run: RunRecord) -> str:
    about = run.about
    title = _text(about.get("paper") or "")
    url = str(about.get("url") or "")
    paper = f'<a href="{escape(url, quote=True)}">{title or escape(url)}</a>' if url.startswith(("http://", "https://")) else title
    year = str(about.get("year") or "")
    paper += f" ({escape(year)})" if year and year not in title else ""
    data = about.get("data") or {}
    trained = f"Trained on {_text(data['name'])}" if data.get("name") else "Trained"
    trained += f", {_text(about['hardware'])}" if isinstance(about.get("hardware"), str) else ""
    heading = _text(about.get("recipe") or about.get("title") or "Training run")
    subject = f'<p class="subject">{_text(about["title"])}</p>' if about.get("title") and about.get("recipe") else ""
    lead = f'<p class="lead">{paper}{" · " if paper else ""}{trained}</p>'
    return f'<h1>{heading}</h1>{subject}{lead}<div class="facts">{"".join(_facts(run))}</div>'


def _facts(run: RunRecord) -> Iterable[str]:
    """The few numbers that a reader wants first."""
    last = max((record for record in run.log + run.scores if is_number(record.get("round"))), key=lambda record: float(record["round"]), default=None)
    if last is not None:
        yield _fact(number(last["round"]), "rounds")
        if is_number(last.get("images_seen")):
            yield _fact(number(last["images_seen"]), "real samples seen")
    seconds, speeds = curve(run.timing, "elapsed_sec")[1], curve(run.timing, "images_per_sec")[1]
    if seconds:
        yield _fact(_duration(seconds[-1]), "of training")
    if speeds:
        yield _fact(number(round(sorted(speeds)[len(speeds) // 2])), "samples a second")
    metric, best = run.metric, run.best
    if metric is not None and best is not None:
        name = NAMES.get(metric, metric)
        newest = curve(run.scores, metric)[1][-1]
        yield _fact(number(newest), f"{name}, last")
        yield _fact(number(best[metric]), f"best, round {number(best['round'])}")
        floor = floor_of(best, metric, metric)
        if floor is not None:
            yield _fact(number(floor), "real against real: the floor")


def _fact(value: str, what: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"


def _duration(seconds: float) -> str:
    """A time as a reader says it: 42 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _health(run: RunRecord) -> str:
    messages = [record for record in run.health if record.get("message")]
    if messages:
        return f'<ul class="health">{"".join(_sentence(record) for record in messages)}</ul>'
    if not run.log and not run.scores:
        return "<p>Nothing was logged, so nothing can be said.</p>"
    return '<ul class="health"><li class="well">The health monitor found nothing wrong.</li></ul>'


def _sentence(record: Mapping[str, Any]) -> str:
    return f'<li class="{"recovered" if record.get("kind") == "recovered" else "finding"}">{_text(record["message"])}</li>'


# -- curves --------------------------------------------------------------------------------------------------------------------------------


def _scores(run: RunRecord) -> str:
    metric, best = run.metric, run.best
    if metric is None or best is None:
        return "<p>The run has no scores: none was due, or the game draws no samples.</p>"
    mark = ("best", float(best["round"]))
    charts = []
    for name in _score_names(run):
        title, share = SCORES.get(name, (_words(name), False))
        x, y = curve(run.scores, name)
        if x:
            floor = floor_of(run.scores[-1], name, metric)
            levels = [("real against real", floor)] if floor is not None else []
            charts.append(line_chart(title, [Curve("generated", x, y)], levels=levels, mark=mark, share=share))
    return f'<div class="charts">{"".join(charts)}</div>{_table(run)}'


def _score_names(run: RunRecord) -> list[str]:
    """Names of all scores that are numbers: those that have words of their own first, the others as they were written."""
    written = dict.fromkeys(name for record in run.scores for name, value in record.items() if is_number(value))
    return [name for name in SCORES if name in written] + [name for name in written if name not in SCORES and name not in ("round", "images_seen")]


def _words(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _table(run: RunRecord) -> str:
    """First, best and last score and the floor, as numbers."""
    names, best = _score_names(run), run.best
    rows = [("first", run.scores[0]), ("best", best or run.scores[-1]), ("last", run.scores[-1])]
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    lines = [
        f"<tr><td>{which}</td><td>{number(record['round'])}</td>{''.join(f'<td>{_number(record.get(name))}</td>' for name in names)}</tr>"
        for which, record in rows
    ]
    floors = [floor_of(run.scores[-1], name, run.metric) for name in names]
    if any(floor is not None for floor in floors):
        lines.append(f"<tr><td>real against real</td><td></td>{''.join(f'<td>{_number(floor)}</td>' for floor in floors)}</tr>")
    return (
        f'<details open><summary>The same as numbers</summary><div class="wide"><table class="numbers"><tr><th>score</th><th>round</th>{head}</tr>'
        f"{''.join(lines)}</table></div></details>"
    )


def _losses(run: RunRecord) -> str:
    """One chart a player: each term of its loss."""
    names = sorted({name for record in run.log for name in record if "/" in name} - set(OPINION))
    players = sorted({name.partition("/")[0] for name in names} - {"spectrum"})
    charts = []
    for player in players:
        curves = [Curve(name.partition("/")[2], *points) for name in names if name.startswith(f"{player}/") and (points := curve(run.log, name))[0]]
        charts += [line_chart(f"Loss of the {player}", curves)] if curves else []
    charts += _spectra(run, [name for name in names if name.startswith("spectrum/")])
    return f'<div class="charts">{"".join(charts)}</div>' if charts else "<p>The run has no log of losses.</p>"


def _spectra(run: RunRecord, names: list[str]) -> list[str]:
    """The largest singular values of the six layers that changed most: a jump foretells collapse (Brock et al. 2019, section 4)."""
    curves = [Curve(name.partition("/")[2], *points) for name in names if len((points := curve(run.log, name))[0]) and min(points[1]) > 0]
    curves.sort(key=lambda one: max(one.y) / min(one.y), reverse=True)
    return [line_chart("Largest singular value of a layer, before normalisation: the six that changed most", curves[:6])] if curves else []


def _opinion(run: RunRecord) -> str:
    curves = [
        Curve(words, *points)
        for name, words in (("real", "real samples"), ("fake", "generated samples"))
        if (points := curve(run.log, f"discriminator/{name}"))[0]
    ]
    separation = curve(run.log, "discriminator/separation")
    charts = [line_chart("Mean realness that the discriminator gives", curves)] if curves else []
    if separation[0]:
        title = "Share of (real, generated) pairs in the right order"
        charts.append(line_chart(title, [Curve("separation", *separation)], levels=[("guessing", 0.5)], share=True))
    speed = curve(run.timing, "images_per_sec")
    if charts and speed[0]:
        charts.append(line_chart("Speed in samples a second", [Curve("speed", *speed)]))
    return f'<div class="charts">{"".join(charts)}</div>' if charts else "<p>The run has no log of the discriminator's opinion.</p>"


# -- the facts -----------------------------------------------------------------------------------------------------------------------------


def _protocol(run: RunRecord) -> str:
    protocols = [record["protocol"] for record in run.scores if isinstance(record.get("protocol"), dict)]
    if not protocols:
        return "<p>No score, no protocol.</p>" if not run.scores else "<p>The scores came without their protocol: compare them with nothing.</p>"
    changed = "" if all(protocol == protocols[-1] for protocol in protocols) else "<p>The protocol changed during the run; this is the last one.</p>"
    return f"{changed}{_facts_table(protocols[-1])}"


def _settings(run: RunRecord) -> str:
    about = run.about
    config, data = about.get("config") or {}, about.get("data") or {}
    known = {name: about[name] for name in SETTINGS if name in about}
    parts = [f"<h3>Run</h3>{_facts_table(known)}"] if known else []
    parts += [f"<h3>Recipe</h3>{_facts_table(config)}"] if config else ["<p>The recipe's settings were not recorded.</p>"]
    parts += [f"<h3>Data</h3>{_facts_table(data)}"] if data else ["<p>The data were not recorded.</p>"]
    return "".join(f"<div>{part}</div>" for part in parts)


def _reproduce(run: RunRecord) -> str:
    about = run.about
    command = f"<pre>{_text(about['command'])}</pre>" if about.get("command") else "<p>The command was not recorded.</p>"
    facts = {name: about[name] for name in ("commit", "versions", "hardware") if about.get(name)}
    whole = escape(json.dumps(about, indent=1, ensure_ascii=False, default=str))
    return f"{command}{_facts_table(facts)}<details><summary>run.json</summary><pre>{whole}</pre></details>"


def _facts_table(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escape(str(name).replace('_', ' '))}</th><td>{_value(value)}</td></tr>" for name, value in facts.items())
    return f'<div class="wide"><table>{rows}</table></div>'


def _value(value: object) -> str:
    """A setting as text: lists and mappings in one line, None as off."""
    if value is None:
        return "off"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(name))} {_value(entry)}" for name, entry in value.items() if entry is not None) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_value(entry) for entry in value) or "none"
    return _text(value)


def _number(value: object) -> str:
    return number(float(value)) if isinstance(value, int | float) and is_number(value) else ""


def _text(value: object) -> str:
    return escape(str(value))
