from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from kws_stream import FrontendConfig, KeywordModel, ModelError, zoo
from kws_stream.frontend import log_mel, to_float
from kws_stream.metadata import Golden, ModelMetadata
from tests.foreign import LABELS, metadata, write_network


def test_a_batch_gives_what_its_rows_give(model: KeywordModel, example: NDArray[np.int16]) -> None:
    features = log_mel(to_float(example), model.metadata.frontend)
    frames = model.metadata.context_frames
    contexts = np.stack([features[at : at + frames] for at in (0, 50, 130)])
    batch = model.predict(contexts)
    assert batch.shape == (3, len(model.metadata.labels))
    np.testing.assert_allclose(batch.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(batch, np.concatenate([model.predict(row[None]) for row in contexts]), atol=1e-5)


def test_a_clip_of_any_length_is_classified(model: KeywordModel, example: NDArray[np.int16]) -> None:
    for length in (1, 8000, 15_920, 16_000, 40_000):
        assert model.classify(example[:length]).shape == (12,)
    context = model.metadata.frontend.samples(model.metadata.context_frames)
    middle = example[8000 : 8000 + context]
    np.testing.assert_allclose(model.classify(example[7000 : 9000 + context]), model.classify(middle), atol=1e-6)


def test_softmax_outputs_are_taken_as_they_are(tmp_path: Path) -> None:
    quarter = Golden(metadata().golden.samples, (0.25,) * 4)
    props = metadata(output="softmax", golden=quarter).to_props()
    loaded = KeywordModel.load(write_network(tmp_path / "m.onnx", 4, props, value=0.25))
    np.testing.assert_allclose(loaded.classify(np.zeros(16_000, np.int16)), 0.25)


def test_the_shipped_model_is_one_file_that_names_no_folder() -> None:
    path = zoo.find("lightcnn")
    graph = onnx.load(path, load_external_data=False).graph
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in graph.initializer)
    assert path.stat().st_size < 5e6
    assert b"/home/" not in path.read_bytes()
    assert b"site-packages" not in path.read_bytes()


def test_one_thread_and_no_spinning(model: KeywordModel) -> None:
    options = model._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def check_refused(path: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        KeywordModel.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    check_refused(tmp_path / "text.onnx", "not a model that onnxruntime can run")


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    whole = zoo.find("lightcnn").read_bytes()
    (tmp_path / "half.onnx").write_bytes(whole[: len(whole) // 2])
    check_refused(tmp_path / "half.onnx", "not a model that onnxruntime can run")


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    check_refused(write_network(tmp_path / "m.onnx", 4, {}), "no kws-stream metadata for format, labels")


def test_a_model_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "m.onnx", 4, metadata().to_props(), value=0.01)
    check_refused(path, "golden test failed: outputs differ by 0.01")


def test_a_model_that_answers_nan_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "m.onnx", 4, metadata().to_props(), value=float("nan"))
    check_refused(path, "golden test failed")


def test_labels_must_match_the_outputs(tmp_path: Path) -> None:
    path = write_network(tmp_path / "m.onnx", 3, metadata().to_props())
    check_refused(path, f"expected {len(LABELS)} outputs, one a label, got shape")


def test_the_front_end_must_match_the_input(tmp_path: Path) -> None:
    props = metadata(frontend=FrontendConfig(mel_bins=64)).to_props()
    check_refused(write_network(tmp_path / "m.onnx", 4, props), "does not accept features of shape")


def test_the_golden_test_covers_the_front_end(tmp_path: Path) -> None:
    """The same network behind other features must not pass."""
    shipped = onnx.load(zoo.find("lightcnn"))
    props = {entry.key: entry.value for entry in shipped.metadata_props}
    good = ModelMetadata.from_props(props)
    other = FrontendConfig(mean=good.frontend.mean + 0.1, std=good.frontend.std)
    props |= {"kws.frontend": ModelMetadata(**{**vars(good), "frontend": other}).to_props()["kws.frontend"]}
    del shipped.metadata_props[:]
    onnx.helper.set_model_props(shipped, props)
    onnx.save(shipped, tmp_path / "m.onnx")
    check_refused(tmp_path / "m.onnx", "golden test failed")


@pytest.mark.parametrize(
    ("quantization", "value", "message"),
    [
        ({"golden_tolerance": 0.05}, 0.04, None),
        ({"golden_tolerance": 0.05}, 0.06, "outputs differ by 0.06, at most 0.05 is allowed"),
        ({"golden_tolerance": 0.3}, 0.0, "may be off by 0.3; expected at most 0.2: quantise it again"),
        ({"golden_tolerance": -1.0}, 0.0, "may be off by -1.0"),
        ({}, 0.0, "may be off by None"),
        ("yes", 0.0, "may be off by None"),
    ],
)
def test_a_file_of_8_bits_states_how_exact_it_is(
    quantization: object, value: float, message: str | None, tmp_path: Path
) -> None:
    """The golden outputs range over 1, the network answers `value` more than the first three of them."""
    golden = Golden(metadata().golden.samples, (0.0, 0.0, 0.0, 1.0))
    props = metadata(golden=golden, training={"quantization": quantization}).to_props()
    path = write_network(tmp_path / "m.onnx", 4, props)
    shift = np.array([value, value, value, 1 + value], np.float32)
    network = onnx.load(path)
    network.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(shift, "bias"))
    onnx.save(network, path)
    if message is None:
        assert KeywordModel.load(path).metadata.golden.outputs == golden.outputs
    else:
        check_refused(path, message)
