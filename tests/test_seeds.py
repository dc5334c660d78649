from __future__ import annotations

from export.seeds import summarise


def test_a_summary_names_every_seed_and_label() -> None:
    figures = [
        {"accuracy": accuracy, "clips": 1200, "recall": {"yes": accuracy, "no": 1.0}} for accuracy in (0.90, 0.92)
    ]
    sentence, rows = summarise(figures)
    assert "0.9000, 0.9200: mean 0.9100" in sentence
    assert "2 seeds" in sentence
    assert "1,200 clips" in sentence
    assert rows == [("yes", "0.900, 0.920", "0.910"), ("no", "1.000, 1.000", "1.000")]
