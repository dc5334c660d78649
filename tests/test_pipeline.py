from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from export.agreement import LAW, trial_samples
from export.frontend import add_features
from export.graph import GraphBuilder
from export.host import PipelineHost
from export.layout import Layout
from export.pipeline import main
from export.streaming import RENEWAL_STRIDES
from kws_stream import FileSource, FrontendConfig, GateConfig, KeywordModel, KeywordSpotter, ModelError, zoo
from kws_stream.decoder import PosteriorDecoder
from kws_stream.frontend import StreamingLogMel, log_mel, to_float
from kws_stream.metadata import Golden
from kws_stream.model import open_session
from tests.conftest import EXAMPLE
from tests.foreign import metadata, write_network
from tests.streams import STREAMING, write_model
from tests.test_streaming_law import BLOCKS, law, pushed

Floats = NDArray[np.float32]
PAGE = Path(__file__).parents[1] / "docs" / "pipeline.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipelines")


@pytest.fixture(scope="module", params=["compact", "lightcnn"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def export(name: str | Path, output: Path) -> PipelineHost:
    assert main([str(name), "-o", str(output), "--json", str(output.with_suffix(".json"))]) == 0
    return PipelineHost(output)


@pytest.fixture(scope="module")
def host(name: str, folder: Path) -> PipelineHost:
    return export(name, folder / f"{name}.onnx")


@pytest.fixture(scope="module")
def source(name: str) -> KeywordModel:
    return KeywordModel.load(name)


@pytest.mark.parametrize("network", STREAMING)
def test_a_streaming_network_goes_on_and_is_renewed_as_in_python(
    network: str, folder: Path, example: NDArray[np.int16]
) -> None:
    source = KeywordModel.load(write_model(network, folder / f"{network}-source.onnx"))
    host = export(folder / f"{network}-source.onnx", folder / f"{network}.onnx")
    blocks = [example[start : start + 1280] for start in range(560, len(example), 1280)]
    for _ in range(2):  # the second time behind a reset
        host.reset()
        spotter = KeywordSpotter(source, gate=GateConfig(None))
        for block in (example[:560], *blocks):
            before = spotter.inferences
            spotter.push(block)
            found = host.push(block)
            assert len(found) == spotter.inferences - before <= 1
            if len(found):
                np.testing.assert_allclose(found[0], spotter.posteriors, atol=LAW)
    assert spotter.inferences > 3 * RENEWAL_STRIDES


def recordings(folder: Path | None) -> Iterator[Floats]:
    """The bundled recording, and some of `folder`."""
    paths = sorted((folder / "speech" / "val").iterdir())[::80] if folder else []
    for path in (EXAMPLE, *paths):
        yield np.concatenate([block.samples for block in FileSource(path).blocks(16_000)])


def python_posteriors(model: KeywordModel, samples: Floats) -> Floats:
    """`(contexts, labels)`: what the Python pipeline gives without a gate."""
    features = StreamingLogMel(model.metadata.frontend).push(samples)  # (frames, bins)
    context, stride = model.metadata.context_frames, model.metadata.stride_frames
    return np.concatenate(
        [model.predict(features[None, end - context : end]) for end in range(context, len(features) + 1, stride)]
    )


def check_recordings(host: PipelineHost, source: KeywordModel, folder: Path | None) -> None:
    contexts = 0
    for samples in recordings(folder):
        host.reset()
        found = host.push(samples)
        np.testing.assert_allclose(found, python_posteriors(source, samples), atol=LAW)
        contexts += len(found)
    assert contexts > 400


def test_posteriors_are_those_of_python_on_the_bundled_recording(host: PipelineHost, source: KeywordModel) -> None:
    check_recordings(host, source, None)


def test_posteriors_are_those_of_python_on_real_speech(host: PipelineHost, source: KeywordModel, data: Path) -> None:
    check_recordings(host, source, data)


def test_inferences_fall_where_those_of_the_spotter_do(
    host: PipelineHost, source: KeywordModel, example: NDArray[np.int16]
) -> None:
    """A decoder behind the pipeline gives the spotter's events at the spotter's times."""
    spotter = KeywordSpotter(source, gate=GateConfig(None))
    expected = spotter.push(example)
    host.reset()
    posteriors = host.push(example)
    assert len(posteriors) == spotter.inferences
    layout = Layout.of(source)
    ends = [layout.frontend.samples(layout.context) + row * layout.samples for row in range(len(posteriors))]
    events = PosteriorDecoder(source.metadata.labels, layout.samples, source.metadata.decoder).push(posteriors, ends)
    assert [(event.keyword, event.time) for event in events] == [(event.keyword, event.time) for event in expected]
    assert len(events) >= 9


@law
@given(lengths=st.lists(st.sampled_from(BLOCKS) | st.integers(1, 5000), min_size=1, max_size=8))
def test_any_blocks_give_what_the_whole_gives(
    host: PipelineHost, source: KeywordModel, example: NDArray[np.int16], lengths: list[int]
) -> None:
    signal = to_float(example)[: 3 * 16_000]
    host.push(signal[:7777])
    host.reset()
    found = np.concatenate(pushed(host.push, signal, lengths))
    np.testing.assert_allclose(found, python_posteriors(source, signal), atol=LAW)


def test_nothing_is_answered_before_the_context_is_full(host: PipelineHost, example: NDArray[np.int16]) -> None:
    facts = host.properties
    size, fill = facts["stride_samples"], facts["fill_strides"]
    samples = np.concatenate((np.zeros(facts["lead_samples"], np.float32), to_float(example)))
    state = np.zeros(facts["state_size"], np.float32)
    flags = []
    for call in range(fill + 3):
        stride = samples[call * size : (call + 1) * size]
        posteriors, ready, state = host._session.run(
            ["posteriors", "ready", "next_state"], {"samples": stride, "state": state}
        )
        flags.append(bool(ready[0]))
        assert posteriors.sum() == pytest.approx(1 if ready[0] else 0, abs=1e-5)
    assert flags == [False] * (fill - 1) + [True] * 4
    assert state[-1] == fill, "the count stops, so that it stays exact"


@pytest.mark.parametrize("model", ["compact-int8", "lightcnn-int8"])
def test_8_bits(model: str, folder: Path, example: NDArray[np.int16]) -> None:
    """The features are the same, so most posteriors are; a few lie a step apart."""
    host, source = export(model, folder / f"{model}.onnx"), KeywordModel.load(model)
    samples = to_float(example)
    differences = np.abs(host.push(samples) - python_posteriors(source, samples)).max(1)
    assert (differences <= LAW).mean() > 0.97
    assert differences.max() < 0.1
    parts = host.properties["state_parts"]
    past = host.state[parts["tail"] : -1].reshape(-1, 40)  # (context - stride, bins)
    heard = len(samples) - (len(samples) + host.properties["lead_samples"]) % host.properties["stride_samples"]
    np.testing.assert_allclose(past, log_mel(samples[:heard], source.metadata.frontend)[-len(past) :], atol=1e-5)


def test_the_file_describes_itself(host: PipelineHost, source: KeywordModel, name: str, folder: Path) -> None:
    facts, path = host.properties, folder / f"{name}.onnx"
    assert json.loads(path.with_suffix(".json").read_text()) == facts
    assert (facts["interface"], facts["sample_rate"], facts["licence"]) == ("pipeline", 16_000, "CC BY 4.0")
    assert (facts["stride_samples"], facts["lead_samples"], facts["fill_strides"]) == (1280, 720, 13)
    assert facts["state_parts"] == {"tail": 240, "past": 90 * 40, "heard": 1}
    assert tuple(facts["labels"]) == source.metadata.labels
    assert tuple(facts["keywords"]) == source.metadata.keywords
    assert facts["decoder"]["default"]["threshold"] == source.metadata.decoder.default.threshold
    assert facts["source"]["sha256"] == hashlib.sha256(zoo.find(name).read_bytes()).hexdigest()
    assert host.golden_difference() <= facts["golden"]["tolerance"] == 1e-3
    model = onnx.load(path, load_external_data=False)
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    state = [facts["state_size"]]
    assert shapes == {"samples": [1280], "state": state, "posteriors": [1, 12], "ready": [1], "next_state": state}
    assert model.ir_version <= 9, "the newest that onnxruntime 1.17 reads"
    assert path.stat().st_size < zoo.find(name).stat().st_size + 100_000


def test_the_runtime_refuses_it_and_says_what_it_is(
    host: PipelineHost, name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / f"{name}.onnx"
    with pytest.raises(ModelError, match=r"a whole pipeline .* load the model that it was made from") as caught:
        KeywordModel.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert main([str(path), "-o", str(folder / "twice.onnx")]) == 1
    assert "a whole pipeline" in capsys.readouterr().err
    assert not (folder / "twice.onnx").exists()


def test_a_host_refuses_another_model() -> None:
    with pytest.raises(ModelError, match=r"expected a file of `python -m export.pipeline`, got another model"):
        PipelineHost(zoo.find("compact"))


def test_a_pipeline_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.onnx").write_text("old")
    monkeypatch.setattr("export.agreement.LAW", -1.0)
    assert main(["compact", "-o", str(tmp_path / "m.onnx")]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_network_that_answers_posteriors_needs_no_softmax(tmp_path: Path) -> None:
    quarter = Golden(metadata().golden.samples, (0.25,) * 4)
    path = write_network(tmp_path / "m.onnx", 4, metadata(output="softmax", golden=quarter).to_props(), value=0.25)
    found = export(path, tmp_path / "pipeline.onnx").push(np.zeros(16_000, np.int16))
    np.testing.assert_array_equal(found, np.full((1, 4), 0.25, np.float32))


def test_contexts_that_do_not_overlap_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_network(tmp_path / "m.onnx", 4, metadata(stride_frames=98).to_props())
    assert main([str(path), "-o", str(tmp_path / "pipeline.onnx")]) == 1
    assert "expected a context longer than the stride of 98 frames, got 98 frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    "config",
    [
        FrontendConfig(mean=-6.3, std=4.5),
        FrontendConfig(kind="log_spectrogram", window_ms=20),
        FrontendConfig(sample_rate=11_025, high_hz=5000, mel_bins=30),  # a window of 276 samples, a hop of 110
        FrontendConfig(sample_rate=8000, window_ms=24.9, hop_ms=12.5, high_hz=4000),  # 199, an odd one
        FrontendConfig(window_ms=16, hop_ms=16, mel_bins=24),
    ],
)
def test_features_of_any_front_end(config: FrontendConfig, tmp_path: Path) -> None:
    """A bin 80 dB under its neighbours included."""
    samples = trial_samples(config.sample_rate)
    frames = config.frames(len(samples))
    samples = samples[: config.samples(frames)]
    graph = GraphBuilder()
    output = add_features(graph, "samples", config, frames)
    ends = [
        helper.make_tensor_value_info("samples", TensorProto.FLOAT, [len(samples)]),
        helper.make_tensor_value_info(output, TensorProto.FLOAT, [frames, config.bins]),
    ]
    whole = helper.make_graph(graph.nodes, "features", ends[:1], ends[1:], graph.constants)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "m.onnx")
    (found,) = open_session(tmp_path / "m.onnx").run(None, {"samples": samples})
    np.testing.assert_allclose(found, log_mel(samples, config), atol=1e-5)


def test_the_page_shows_a_host_that_runs(folder: Path, tmp_path: Path, example: NDArray[np.int16]) -> None:
    """The Python one; the page says how to run the one in JavaScript, which needs a download."""
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    export("compact", tmp_path / "compact-pipeline.onnx")
    (tmp_path / "examples").symlink_to(EXAMPLE.parent)
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    rows = [line.split() for line in result.stdout.splitlines()]
    expected = python_posteriors(KeywordModel.load("compact"), to_float(example))
    assert [row[0] for row in rows] == [KeywordModel.load("compact").metadata.labels[i] for i in expected.argmax(1)]
    np.testing.assert_allclose([float(row[1]) for row in rows], expected.max(1), atol=LAW)
