"""How far a long run is, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class Pace(ProgressColumn):
    """Clips a second, lately."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} clips/s" if task.speed else "")


def progress_bar() -> Progress:
    """A bar on stderr while the context is entered; `add_task` and `advance` move it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Pace(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
