"""Long streams with truth: `models.stream`, `models.material` and `python -m models.compose`."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_stream import KwsError
from kws_stream.truth import Sound, Truth, Utterance, read_truth
from models.compose import main
from models.dataset import Clip
from models.labels import KEYWORDS
from models.material import CROSSFADE, Deck, Ground, Material, gather
from models.recordings import SAMPLE_RATE, read_mono
from models.spoken import rms
from models.stream import Composer
from models.stream_config import StreamConfig
from tests.corpus import write_corpus

CONFIG = StreamConfig(hours=0.05, keywords=30, gap=(0.5, 1.5))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, noise, sentences and rooms, each with train and val, told apart by their level or name."""
    root = tmp_path_factory.mktemp("folders")
    corpus = write_corpus(root / "speech_commands", clips=3)
    shutil.rmtree(corpus / "_background_noise_")
    rng = np.random.default_rng(0)
    rows = ["path,keywords_spoken"]
    for split in ("train", "val"):
        for name in ("noise", "speech", "rir"):
            (root / name / split).mkdir(parents=True)
        for number in range(2):
            soundfile.write(root / "noise" / split / f"{split}{number}.wav", rng.normal(0, 0.05, 20 * 16_000), 16_000)
            tone = 0.1 * np.sin(np.arange(48_000) * (0.05 + 0.02 * number))
            soundfile.write(root / "speech" / split / f"{split}-said{number}.wav", tone, 16_000)
            rows.append(f"speech/{split}/{split}-said{number}.wav,{'no' if number else ''}")
        soundfile.write(root / "rir" / split / f"{split}.wav", np.exp(-np.arange(4000) / 400) * 0.5, 16_000)
    (root / "speech" / "transcripts.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def material(folders: Path) -> Material:
    names = ("speech_commands", "noise", "speech", "rir")
    corpus, noise, speech, rooms = (folders / name for name in names)
    return gather(corpus, noise, speech, rooms, "val")


def composed(material: Material, config: StreamConfig) -> tuple[np.ndarray, list[Utterance], list[Sound]]:
    pieces = list(Composer(material, config).compose())
    entries = [entry for _, truth in pieces for entry in truth]
    return (
        np.concatenate([samples for samples, _ in pieces]),
        [entry for entry in entries if isinstance(entry, Utterance)],
        [entry for entry in entries if isinstance(entry, Sound)],
    )


def test_a_split_is_all_that_is_gathered(material: Material) -> None:
    clips = [clip for own in material.keywords.values() for clip in own] + list(material.others)
    paths = [clip.path for clip in clips] + [*material.noise, *material.sentences]
    assert {
        path.parts[-3] if path.parent.name in (*KEYWORDS, "house", "bird") else path.parts[-2] for path in paths
    } == {"val"}
    assert [path.name for path in material.sentences] == ["val-said0.wav"]  # in the other one a keyword is spoken
    assert set(material.keywords) == set(KEYWORDS)


def test_a_folder_without_the_split_is_refused(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(KwsError, match="expected a folder val/ in it, so that no stream mixes splits"):
        gather(folders / "speech_commands", tmp_path, None, None, "val")


def test_the_seed_decides(material: Material) -> None:
    first, again, other = (composed(material, replace(CONFIG, seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1:] == again[1:]
    assert len(first[0]) != len(other[0])


def test_every_keyword_comes_as_often_and_is_spread_over_the_stream(material: Material) -> None:
    samples, spoken, _ = composed(material, CONFIG)
    assert len(samples) / SAMPLE_RATE == pytest.approx(180, abs=15)
    assert [sum(u.keyword == word for u in spoken) for word in KEYWORDS] == [3] * 10
    assert sum(u.onset < 90 for u in spoken) == pytest.approx(15, abs=4)
    assert all(after.onset - before.end > 0.5 for before, after in pairwise(spoken))


def test_words_stand_where_the_truth_says_at_the_ratio_it_says(material: Material) -> None:
    """The corpus' words are chords that swell for a fifth of a second: what they add to the noise can be measured."""
    config = replace(CONFIG, overlap_share=0.0, room_share=0.0, level_db=(-20.0, -20.0), speech_share=0.0)
    samples, spoken, _ = composed(material, config)
    signal = samples.astype(np.float32) / 32768
    for utterance in spoken:
        start, stop = (round(at * SAMPLE_RATE) for at in (utterance.onset, utterance.end))
        assert utterance.snr_db is not None
        assert 4 <= utterance.snr_db <= 21
        level = 10 ** (-20 / 20)
        expected = level * np.sqrt(1 + 10 ** (-utterance.snr_db / 10))
        assert rms(signal[start:stop]) == pytest.approx(expected, rel=0.08)
        before = signal[start - 4000 : start - 800]
        assert rms(before) == pytest.approx(level * 10 ** (-utterance.snr_db / 20), rel=0.25)


def test_another_voice_talks_under_a_keyword_at_the_ratio(material: Material) -> None:
    config = replace(CONFIG, overlap_share=1.0, room_share=0.0, speech_share=0.0, snr_db=(10.0, 10.0))
    _, spoken, sounds = composed(material, config)
    under = [sound for sound in sounds if sound.other == "speech"]
    assert len(under) == len(spoken)
    assert all(u.onset >= s.onset - 1e-3 and u.end <= s.end + 0.6 for u, s in zip(spoken, under, strict=True))
    # The sentence at 10 dB below, and noise at 10 dB below that.
    assert np.mean([u.snr_db for u in spoken if u.snr_db is not None]) == pytest.approx(9.6, abs=0.5)


def test_so_many_speakers_and_no_more(material: Material) -> None:
    _, spoken, _ = composed(material, replace(CONFIG, speakers=2))
    assert len({utterance.speaker for utterance in spoken}) == 2


def test_a_stream_without_keywords(material: Material) -> None:
    _, spoken, sounds = composed(material, replace(CONFIG, keywords=0, speech_share=1.0, word_share=0.0))
    assert spoken == []
    assert {sound.other for sound in sounds} == {"speech", "noise"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keywords": 10_000}, "10000 keywords take 5.56 hours with these gaps, not 0.05"),
        ({"snr_db": (20.0, 5.0)}, "snr_db: expected two numbers in order, got 20 5"),
        ({"room_share": 2.0}, "room_share: expected a share from 0 to 1, got 2"),
        ({"speech_share": 0.9, "word_share": 0.2}, "shares of at most 1"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(KwsError, match=message):
        replace(CONFIG, **values)  # type: ignore[arg-type]


def test_a_share_of_nothing_is_refused(material: Material) -> None:
    with pytest.raises(KwsError, match="sentences is asked for, and there are none of val"):
        Composer(replace(material, sentences=[]), CONFIG)


def test_a_deck_holds_everything_once() -> None:
    deck = Deck([1, 2, 3], np.random.default_rng(0))
    drawn = [deck.draw() for _ in range(9)]
    assert [sorted(drawn[at : at + 3]) for at in (0, 3, 6)] == [[1, 2, 3]] * 3


def test_the_ground_is_the_same_however_it_is_taken(material: Material) -> None:
    whole, noises = Ground(material.noise, np.random.default_rng(0)).take(100 * SAMPLE_RATE)
    ground, rng = Ground(material.noise, np.random.default_rng(0)), np.random.default_rng(1)
    parts: list[np.ndarray] = []
    begun = []
    while (count := sum(map(len, parts))) < len(whole):
        part, own = ground.take(min(int(rng.integers(1, 90_000)), len(whole) - count))
        parts.append(part)
        begun += own
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert begun == noises
    assert all(after.start == before.stop - CROSSFADE for before, after in pairwise(noises))
    assert rms(whole[CROSSFADE:]) == pytest.approx(1, abs=0.05)


def test_the_command_writes_audio_and_truth(
    folders: Path, material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-o", tmp_path / "a.flac", "--hours", "0.05", "--keywords", "30", "--gap", "0.5", "1.5"]
    for name in ("data", "noise", "speech", "rir"):
        options += [f"--{name}", folders / ("speech_commands" if name == "data" else name)]
    assert main([*map(str, options)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["keywords"], figures["hours"]) == (30, pytest.approx(0.05, abs=0.005))
    samples, spoken, sounds = composed(material, CONFIG)
    np.testing.assert_array_equal(read_mono(tmp_path / "a.flac"), samples)
    truth = read_truth(tmp_path / "a.jsonl", KEYWORDS)
    assert truth.utterances == tuple(spoken)
    assert truth.sounds == tuple(sounds)
    assert truth.facts["split"] == "val"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flac", "a.jsonl"]


def test_bad_input_is_one_line(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data", str(folders / "speech_commands"), "--noise", str(folders / "noise"), "--hours", "0.01"]
    for output, message in (("a.mp3", "ends in .flac or .wav"), ("a.flac", "500 keywords take")):
        assert main(["-o", str(tmp_path / output), *options, *(["--keywords", "1"] if "mp3" in output else [])]) == 1
        assert message in capsys.readouterr().err


def test_a_clip_knows_its_speaker_in_the_truth(material: Material) -> None:
    _, spoken, _ = composed(material, CONFIG)
    known = {clip.speaker for clips in material.keywords.values() for clip in clips}
    assert {utterance.speaker for utterance in spoken} <= known
    assert isinstance(material.keywords["yes"][0], Clip)


def test_a_truth_of_others_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"keyword": "no", "onset": 3, "end": 4}\n{"keyword": "yes", "onset": 1.0, "end": 1.5}\n')
    assert read_truth(path) == Truth((Utterance("yes", 1.0, 1.5), Utterance("no", 3.0, 4.0)))
    with pytest.raises(KwsError, match="the model does not know no; its keywords: yes"):
        read_truth(path, ["yes"])


@pytest.mark.parametrize("line", ["{", "[1]", '{"keyword": "yes", "onset": 2, "end": 1}', '{"onset": 1, "end": 2}'])
def test_a_line_that_is_no_truth_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"stream": {}}\n' + line)
    with pytest.raises(KwsError, match=r"a.jsonl:2: expected a JSON object with keyword, onset and end in seconds"):
        read_truth(path)
    with pytest.raises(KwsError, match="cannot be read"):
        read_truth(tmp_path / "none.jsonl")


def test_what_sounded_at_a_false_alarm() -> None:
    truth = Truth((), (Sound("noise", "rain", 0, 60), Sound("speech", "a", 5, 8), Sound("word", "b", 20, 20.5)))
    causes = [truth.cause(at) for at in (3, 8.5, 9.5, 21, 90)]
    assert [cause.other for cause in causes] == ["noise", "speech", "noise", "word", "nothing known"]
    assert [cause.source for cause in causes] == ["rain", "a", "rain", "b", ""]
