"""`kws-eval stream` and the figures behind it, on the bundled recording."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from kws_stream import FileSource, KeywordModel, KwsError, spot
from kws_stream.cli.evaluate_stream import as_text, groups
from kws_stream.cli.stream_page import tiles
from kws_stream.sources import read_piece
from kws_stream.stream_evaluation import evaluate_stream, read_shifts, recognise, snr_group
from kws_stream.truth import Truth, Utterance, read_truth, to_line
from models.labels import KEYWORDS
from tests.conftest import EXAMPLE


def evaluate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws_stream.cli.evaluate", "stream", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the ten keywords of the bundled recording are; one is said to be another, and one was never spoken."""
    rows = [row.split(",") for row in EXAMPLE.with_suffix(".csv").read_text().splitlines()[1:]]
    spoken = [
        Utterance(word, float(start), float(end), snr_db=float(3 * place), speaker="ab"[place % 2])
        for place, (word, start, end, _) in enumerate(row for row in rows if row[0] in KEYWORDS)
    ]
    spoken[1] = Utterance("go" if spoken[1].keyword != "go" else "up", spoken[1].onset, spoken[1].end)
    path = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    path.write_text("".join(f"{to_line(entry)}\n" for entry in [{"split": "none"}, *spoken]))
    return path


@pytest.fixture(scope="module")
def result(truth: Path) -> dict[str, Any]:
    run = evaluate(EXAMPLE, truth, "--json")
    assert (run.returncode, run.stderr) == (0, "")
    figures: dict[str, Any] = json.loads(run.stdout)
    return figures


def test_hits_misses_and_confusions(result: dict[str, Any]) -> None:
    assert (result["words"], result["speakers"]) == (10, 2)
    assert result["default"]["hits"] == 9
    assert [entry["spoken"] for entry in result["confusions"]] == [result["misses"][0]["keyword"]]
    assert result["false_alarms"] == []
    events = list(spot(EXAMPLE))
    assert result["confusions"][0]["time"] in [round(event.time, 3) for event in events]
    assert result["stream_recall"] == 0.9
    assert result["default"]["frr"] == 0.1
    assert result["hours"] == pytest.approx(soundfile.info(EXAMPLE).duration / 3600, abs=1e-4)
    assert result["hours_outside_words"] < result["hours"]


def test_groups_hold_every_word(result: dict[str, Any]) -> None:
    for grouping in ("by_snr_db", "by_keyword", "by_speaker"):
        assert sum(share["words"] for share in result[grouping].values()) == 10
        assert sum(share["hits"] for share in result[grouping].values()) == 9
    assert list(result["by_snr_db"]) == ["0 to 5", "5 to 10", "10 to 15", "15 to 20", "20 and more", "unknown"]


def test_delays_are_those_of_the_events(result: dict[str, Any], truth: Path, model: KeywordModel) -> None:
    events = {event.keyword: event.time for event in spot(EXAMPLE)}
    spoken = [word for word in read_truth(truth).utterances if word.speaker]
    delays = [events[word.keyword] - word.end for word in spoken]
    assert result["latency_from_end"]["p50"] == pytest.approx(np.percentile(delays, 50), abs=1e-3)
    longer = [events[word.keyword] - word.onset for word in spoken]
    assert result["latency_from_onset"]["p99"] == pytest.approx(np.percentile(longer, 99), abs=1e-3)


def test_points_hold_their_aims(result: dict[str, Any]) -> None:
    assert [point["aim"] for point in result["points"]] == [0.1, 0.5, 1, 2, 5]
    for point in result["points"]:
        assert point["fa_per_hour"] <= point["aim"]
        low, high = point["fa_interval"]
        assert low == 0
        assert high == pytest.approx(3.689 / result["hours_outside_words"], rel=0.01)
    assert result["points_chosen_on"] == "this stream"
    shifts = [shift for shift, _, _ in result["curve"]]
    assert shifts == sorted(shifts)


def test_points_of_another_stream_are_used(result: dict[str, Any], truth: Path, tmp_path: Path) -> None:
    path = tmp_path / "val.json"
    result["points"] = [{"aim": 0.5, "shift": 2.5}, {"aim": 5.0, "shift": -1.0}]
    path.write_text(json.dumps(result))
    again = json.loads(evaluate(EXAMPLE, truth, "--json", "--points", path).stdout)
    assert [(point["aim"], point["shift"]) for point in again["points"]] == [(0.5, 2.5), (5.0, -1.0)]
    assert again["points_chosen_on"] == "another stream"
    curve = {shift: miss for shift, _, miss in again["curve"]}
    assert [point["frr"] for point in again["points"]] == [curve[2.5], curve[-1.0]]
    other = evaluate(EXAMPLE, truth, "--points", path, "--model", "lightcnn")
    assert (other.returncode, len(other.stderr.splitlines())) == (1, 1)
    assert "was measured with another model" in other.stderr


def test_the_text_the_picture_and_the_page(truth: Path, tmp_path: Path) -> None:
    run = evaluate(EXAMPLE, truth, "--det", tmp_path / "det.png", "--html", tmp_path / "page.html")
    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"default thresholds +10.0%", run.stdout)
    assert "the gate saves" in run.stdout
    assert (tmp_path / "det.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<audio") == 2  # the miss, and the confusion that it is
    assert "data:image/png" in page
    assert set(re.findall(r'(?:src|href)="(\w+):', page)) == {"data"}


def test_without_matplotlib_nothing_is_evaluated(truth: Path, tmp_path: Path) -> None:
    script = "import sys; sys.modules['matplotlib'] = None; from kws_stream.cli.evaluate import main; sys.exit(main())"
    options = ["stream", str(EXAMPLE), str(truth), "--html", str(tmp_path / "a.html")]
    run = subprocess.run([sys.executable, "-c", script, *options], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "kws-eval: --det and --html need matplotlib; pip install matplotlib\n"


def test_what_does_not_fit_is_one_line(truth: Path, tmp_path: Path, model: KeywordModel) -> None:
    late = tmp_path / "late.jsonl"
    late.write_text('{"keyword": "yes", "onset": 5000, "end": 5001}\n')
    strange = tmp_path / "strange.jsonl"
    strange.write_text('{"keyword": "computer", "onset": 5, "end": 6}\n')
    for path, message in ((late, "a keyword begins at 5000.0 s"), (strange, "does not know computer")):
        run = evaluate(EXAMPLE, path)
        assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (1, "", 1)
        assert message in run.stderr
    with pytest.raises(KwsError, match="expected what `kws-eval stream --json` printed"):
        read_shifts({"points": 3}, model.fingerprint, "a.json")


def test_a_stream_without_keywords_has_false_alarms_alone(model: KeywordModel) -> None:
    result = evaluate_stream(model, EXAMPLE, Truth(()))
    assert len(result.judged.false_alarms) == len(list(spot(EXAMPLE, model)))
    assert (result.points, result.to_json()["clip_recall"]) == ({}, None)
    assert groups(result) == {}
    lines = as_text(result).splitlines()
    assert lines[0].endswith("of them outside of 0 keywords")
    assert lines[3].split()[:3] == ["default", "thresholds", "-"]
    assert not any("of these points" in line or "as clips" in line for line in lines)
    assert dict((name, value) for name, value, _ in tiles(result))["missed"] == "-"


def test_what_the_gate_costs(model: KeywordModel, truth: Path) -> None:
    result = evaluate_stream(model, EXAMPLE, read_truth(truth))
    assert result.lost_to_gate == []
    never = np.zeros(len(result.trace.passed), bool)
    closed = replace(result, trace=replace(result.trace, passed=never))
    assert (closed.trace.saved, len(closed.lost_to_gate), closed.point.hits) == (1, 9, 0)


def test_clips_are_cut_around_the_words(model: KeywordModel, truth: Path) -> None:
    spoken = [word for word in read_truth(truth).utterances if word.speaker]
    assert recognise(model, EXAMPLE, spoken) >= 8
    assert recognise(model, EXAMPLE, [Utterance("yes", 0.0, 0.1)]) == 0


@pytest.mark.parametrize(
    ("snr", "group"), [(-0.1, "below 0"), (0, "0 to 5"), (19.9, "15 to 20"), (20, "20 and more"), (None, None)]
)
def test_the_groups_of_ratios(snr: float | None, group: str | None) -> None:
    assert snr_group(Utterance("yes", 0, 1, snr)) == group


@pytest.mark.parametrize("start", [-0.5, 0.0, 3.21, 1e6])
def test_a_piece_of_a_recording(start: float) -> None:
    whole = np.concatenate([block.samples for block in FileSource(EXAMPLE).blocks(16_000)])
    padded = np.pad(whole, (8000, 32_000))
    first = min(8000 + round(start * 16_000), len(whole) + 8000)
    np.testing.assert_allclose(read_piece(EXAMPLE, start, 1.5, 16_000), padded[first : first + 24_000], atol=1e-6)
    assert len(read_piece(EXAMPLE, start, 1.5, 8000)) == 12_000
