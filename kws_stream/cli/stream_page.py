"""The page of `kws-eval stream`: figures, and each error to be listened to."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from kws_stream.cli import page
from kws_stream.cli.evaluate_stream import groups
from kws_stream.errors import KwsError
from kws_stream.operation import Point
from kws_stream.sources import read_piece
from kws_stream.stream_evaluation import StreamEvaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("stream.html")
NONE = "<p>none</p>"
"""where a section has nothing to show"""


def write_page(result: StreamEvaluation, figure: Figure, path: Path) -> None:
    """One file with everything in it; KwsError when it cannot be written."""
    chosen = "this stream itself, and so flatter the model a little" if result.chosen is None else "another stream"
    parts = {
        "subtitle": escape(f"{result.audio.name}: {result.trace.seconds / 3600:.2f} hours"),
        "tiles": page.tiles(tiles(result)),
        "points": point_table(result),
        "chosen": f"The thresholds of the aims were chosen on {chosen}." if result.points else "",
        "det": drawn(figure) if result.truth.utterances else "",
        "latency": latency_table(result),
        "groups": "".join(share_table(result, title) for title in groups(result)) or NONE,
        "alarms": alarm_table(result),
        "misses": miss_table(result),
        "confusions": confusion_table(result),
    }
    try:
        path.write_text(page.fill(f"{result.model} on a stream", parts, TEMPLATE), encoding="utf-8")
    except OSError as error:
        raise KwsError(f"cannot write the page {path}: {error}") from error


def tiles(result: StreamEvaluation) -> list[tuple[str, str, str]]:
    """What one wants to know first: name, value, note."""
    point, words = result.point, len(result.truth.utterances)
    figures = point.to_json()
    low, high = figures["fa_interval"]
    delay = result.latency(lambda spoken: spoken.end)
    if words:
        clips = result.recognised / words
        gap = f"{100 * (clips - (1 - point.miss_rate)):.1f}"
        missed = page.percent(point.miss_rate), f"{page.interval(words - point.hits, words)}, {words} keywords"
        recognised = page.percent(clips), f"of the same keywords are recognised; in the stream {gap} points fewer"
    else:
        missed = recognised = "-", "no keyword is spoken"
    return [
        ("missed", *missed),
        ("false alarms", f"{point.false_alarm_rate:.1f} an hour", f"{low:.1f} to {high:.1f}"),
        ("confused", str(point.confusions), "events of another keyword"),
        ("reported twice", str(point.duplicates), "keywords"),
        ("latency", f"{1000 * delay['p50']:.0f} ms" if delay else "-", "median, from the end of the word"),
        ("gate", page.percent(result.trace.saved), f"inferences saved; {len(result.lost_to_gate)} words lost by it"),
        ("as clips", *recognised),
    ]


def point_table(result: StreamEvaluation) -> str:
    """The operating points."""

    def row(name: str, point: Point) -> tuple[object, ...]:
        low, high = point.to_json()["fa_interval"]
        misses = point.words - point.hits
        alarms = f"{point.false_alarm_rate:.2f}", f"{low:.2f} to {high:.2f}"
        missed = (page.percent(point.miss_rate), page.interval(misses, point.words)) if point.words else ("-", "-")
        return name, *missed, *alarms, point.confusions, point.duplicates

    rows = [row("default thresholds", result.point)]
    rows += [row(f"at most {aim:g} an hour", point) for aim, point in result.points.items() if point]
    head = ("", "missed", "95 % interval", "false alarms/h", "95 % interval", "confused", "twice")
    return page.table(head, rows)


def latency_table(result: StreamEvaluation) -> str:
    """Quantiles, in milliseconds."""
    measured = {
        "onset of the word": result.latency(lambda spoken: spoken.onset),
        "end of the word": result.latency(lambda spoken: spoken.end),
    }
    if not any(measured.values()):
        return NONE
    rows = [(name, *(f"{1000 * value:.0f}" for value in values.values())) for name, values in measured.items()]
    return page.table(("ms from the", *next(iter(measured.values()))), rows)


def share_table(result: StreamEvaluation, title: str) -> str:
    """One of the groupings."""
    rows = [
        (share.name, page.percent(share.missed), page.interval(share.words - share.hits, share.words), share.words)
        for share in groups(result)[title]
    ]
    return page.table((title, "missed", "95 % interval", "words"), rows)


def alarm_table(result: StreamEvaluation) -> str:
    """Each false alarm, the surest first."""
    alarms = sorted(result.judged.false_alarms, key=lambda event: -event.score)
    rows = (
        (
            heard(result, event.time - 2, 2.5),
            (event.keyword, f"{event.score:.3f}", clock(event.time), cause.other, cause.source),
        )
        for event in alarms
        for cause in [result.truth.cause(event.time)]
    )
    return sounding(("keyword", "score", "at", "during", "of"), rows)


def miss_table(result: StreamEvaluation) -> str:
    """Each keyword that was missed, the clearest first."""
    misses = sorted(result.judged.misses, key=lambda spoken: -(spoken.snr_db or 0.0))
    rows = (
        (
            heard(result, u.onset - 0.5, u.end - u.onset + 1),
            (u.keyword, "" if u.snr_db is None else f"{u.snr_db:.0f} dB", clock(u.onset), u.speaker or ""),
        )
        for u in misses
    )
    return sounding(("keyword", "signal to noise", "at", "speaker"), rows)


def confusion_table(result: StreamEvaluation) -> str:
    """Each event of another keyword than was spoken."""
    rows = (
        (
            heard(result, spoken.onset - 0.5, spoken.end - spoken.onset + 1),
            (spoken.keyword, event.keyword, f"{event.score:.3f}", clock(event.time)),
        )
        for event, spoken in result.judged.confusions
    )
    return sounding(("spoken", "reported", "score", "at"), rows)


def heard(result: StreamEvaluation, start: float, seconds: float) -> str:
    """A player of that piece of the stream."""
    rate = result.trace.sample_rate
    return page.player(read_piece(result.audio, start, seconds, rate), rate)


def sounding(head: tuple[str, ...], rows: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    """A table with a player in front of each row."""
    lines = [f"<tr><td>{player}</td>{page.cells(values)}</tr>" for player, values in rows]
    if not lines:
        return NONE
    body = "".join(lines)
    return f'<table class="clips"><thead>{page.row_of(("listen", *head), "th")}</thead><tbody>{body}</tbody></table>'


def clock(seconds: float) -> str:
    """Hours, minutes and seconds since the stream began."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes // 60)}:{int(minutes % 60):02}:{rest:04.1f}"


def drawn(figure: Figure) -> str:
    """A figure within the page."""
    file = io.BytesIO()
    figure.savefig(file, dpi=120)
    source = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="misses over false alarms an hour" src="data:image/png;base64,{source}">'
