from __future__ import annotations

import pytest

from models.plots import draw_courses, draw_learning


def test_learning_curves_are_means_over_seeds_with_every_seed_as_a_point() -> None:
    (axes,) = draw_learning({("a", "scratch"): {1000: [0.8, 0.9], 100: [0.5]}, ("b", "pretrained"): {100: [0.7]}}).axes
    curve, low, high, other, point = axes.lines
    assert curve.get_xdata().tolist() == [100, 1000]
    assert curve.get_ydata().tolist() == pytest.approx([0.5, 0.85])
    assert (list(low.get_ydata()), list(high.get_ydata())) == ([0.5], [0.8, 0.9])
    assert list(other.get_ydata()) == list(point.get_ydata()) == [0.7]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a, scratch", "b, pretrained"]
    assert curve.get_color() != other.get_color()
    assert low.get_marker() != point.get_marker()


def test_a_panel_for_each_number_of_clips_and_a_line_for_each_training() -> None:
    figure = draw_courses(
        {900: {"scratch": [[0.2, 0.5], [0.3]], "pretrained": [[0.4, 0.6]]}, 100: {"scratch": [[0.1]]}}
    )
    few, many = figure.axes
    assert [axes.get_title("left") for axes in (few, many)] == [
        "100 clips to learn from",
        "900 clips to learn from",
    ]
    assert [line.get_ydata().tolist() for line in many.lines] == [[0.4, 0.6], [0.2, 0.5], [0.3]]
    assert [text.get_text() for text in many.get_legend().get_texts()] == ["pretrained", "scratch"]
