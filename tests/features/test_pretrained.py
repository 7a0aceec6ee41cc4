import pickle
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from scipy.stats import pmean
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from torch import nn

import skasd
from skasd.clips import ClipReader, as_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer, PretrainedEmbedding, TWFRTransformer
from skasd.features._fingerprint import fingerprint
from skasd.features._time_pooling import TimePooling
from skasd.scoring import KNNScorer, LocalDensityScorer

KERNEL, STRIDE = 16, 8


class Convolution(nn.Module):
    """A small network with layers that differ in training; its output is (n_windows, n_frames, n_values)."""

    def __init__(self, n_values=6, seed=0):
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.conv = nn.Conv1d(1, n_values, KERNEL, STRIDE, padding=KERNEL // 2)
            self.norm = nn.BatchNorm1d(n_values)
            nn.init.normal_(self.norm.running_mean, std=0.1)
        self.drop = nn.Dropout(0.5)

    def forward(self, waveforms):
        return self.drop(torch.relu(self.norm(self.conv(waveforms[:, None])))).transpose(1, 2)


class Batches(nn.Module):
    """Notes the sizes of all batches of all copies, and returns level and peak of each waveform."""

    sizes = []

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.sizes.clear()

    def forward(self, waveforms):
        self.sizes.append(len(waveforms))
        return self.gain * torch.stack([waveforms.abs().mean(1), waveforms.abs().amax(1)], dim=1)


def squares(waveforms):
    """Frames of ten samples and their squares, (n_windows, n_frames, 20)."""
    frames = waveforms.unfold(1, 10, 10)
    return torch.cat([frames, frames.square()], dim=2)


def of(X, encoder, **parameters):
    return PretrainedEmbedding(encoder, **{"device": "cpu", **parameters}).fit_transform(X)


@pytest.fixture(name="X")
def waveforms():
    return np.random.default_rng(0).uniform(-0.5, 0.5, (5, 2000)).astype(np.float32)


@pytest.fixture
def onnx_file(tmp_path):
    """The convolution of `Convolution`, made by hand: frames last, and twice as the second output."""
    pytest.importorskip("onnx", reason="onnx, of the extra skasd[test], is not installed")
    from onnx import TensorProto, helper, numpy_helper

    conv = Convolution().conv
    weights = [(name, one.detach().numpy()) for name, one in conv.named_parameters()]
    nodes = [
        helper.make_node("Unsqueeze", ["waveforms", "one"], ["with_channel"]),
        helper.make_node("Conv", ["with_channel", "weight", "bias"], ["conv"], strides=[STRIDE], pads=[8, 8]),
        helper.make_node("Add", ["conv", "conv"], ["twice"]),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("waveforms", TensorProto.FLOAT, ["n", "t"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 6, "f"]) for name in ("conv", "twice")],
        [numpy_helper.from_array(array, name) for name, array in (*weights, ("one", np.array([1])))],
    )
    path = tmp_path / "encoder.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return path


@pytest.fixture
def exported_file(tmp_path):
    auto = torch.export.Dim.AUTO
    shapes = ({0: auto, 1: auto},)
    program = torch.export.export(Convolution().eval(), (torch.zeros(2, 2000),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "encoder.pt2")
    return tmp_path / "encoder.pt2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model of the transformers library with its feature extractor."""
    pytest.importorskip("transformers", reason="the extra skasd[transformers] is not installed")
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    convolutions = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2}
    positions = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    path = tmp_path_factory.mktemp("models") / "hubert"
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        HubertModel(HubertConfig(**sizes, **convolutions, **positions)).save_pretrained(path)
    Wav2Vec2FeatureExtractor().save_pretrained(path)
    return path


# What an encoder is


def test_module_is_used_in_evaluation_mode_and_left_as_it_was(X):
    module = Convolution().train()
    with torch.no_grad():
        expected = Convolution().eval()(torch.from_numpy(X)).mean(dim=1).numpy()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    embedding = of(X, module)
    np.testing.assert_allclose(embedding, expected, atol=1e-6)
    assert embedding.dtype == np.float32
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not module.conv._forward_hooks
    assert all(parameter.grad is None for parameter in module.parameters())


def test_module_that_changes_after_fit_changes_nothing(X):
    module = Convolution()
    fitted = PretrainedEmbedding(module, device="cpu").fit(X)
    before = fitted.transform(X)
    nn.init.zeros_(module.conv.weight)
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_callable_and_exported_file_give_what_the_module_gives(X, exported_file):
    expected = of(X, Convolution())
    np.testing.assert_allclose(of(X, Convolution().eval().forward), expected, atol=1e-6)
    np.testing.assert_allclose(of(X, exported_file), expected, atol=1e-6)
    np.testing.assert_allclose(of(X, str(exported_file)), expected, atol=1e-6)


def test_onnx_file_gives_what_the_submodule_gives(X, onnx_file):
    expected = of(X, Convolution(), layers="conv", time_axis=2)
    for layers in ("conv", 0):
        np.testing.assert_allclose(of(X, onnx_file, layers=layers, time_axis=-1), expected, atol=1e-6)
    both = of(X, onnx_file, layers=("twice", "conv"), time_axis=-1)
    np.testing.assert_allclose(both, np.hstack([2 * expected, expected]), atol=1e-6)


def test_folder_of_transformers_gives_its_hidden_states(X, folder):
    from transformers import AutoFeatureExtractor, AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    features = AutoFeatureExtractor.from_pretrained(folder)(list(X), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        output = model(**features, output_hidden_states=True)
    np.testing.assert_allclose(of(X, folder), output.last_hidden_state.mean(1).numpy(), atol=1e-5)
    states = np.hstack([output.hidden_states[layer].mean(1).numpy() for layer in (0, 2)])
    fitted = PretrainedEmbedding(folder, layers=(0, 2), device="cpu").fit(X)
    np.testing.assert_allclose(fitted.transform(X), states, atol=1e-5)
    assert list(fitted.get_feature_names_out()[[0, 16]]) == ["layer0_0", "layer2_0"]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    by_module = of(X, folder, layers="encoder.layers.1")
    assert by_module.shape == (5, 16)


def test_folder_without_feature_extractor_gets_the_waveforms(X, folder, tmp_path):
    from transformers import AutoModel

    path = shutil.copytree(folder, tmp_path / "bare")
    (path / "preprocessor_config.json").unlink()
    with torch.no_grad():
        expected = AutoModel.from_pretrained(path).eval()(torch.from_numpy(X)).last_hidden_state.mean(1)
    np.testing.assert_allclose(of(X, path), expected.numpy(), atol=1e-5)


def test_sample_rate_of_the_feature_extractor_is_compared(X, folder):
    with pytest.raises(ValueError, match="sample_rate=8000 is not that of the encoder, 16000 Hz"):
        of(X, folder, sample_rate=8000)


def test_weights_that_are_pickles_are_not_read(X, folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "pickled")
    (path / "model.safetensors").unlink()
    torch.save({}, path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"cannot be read by transformers .*safetensors"):
        of(X, path)


def test_a_model_file_names_the_file_of_the_encoder(X, exported_file, tmp_path):
    fitted = PretrainedEmbedding(exported_file, device="cpu").fit(X)
    skasd.save(fitted, tmp_path / "model.skasd")
    np.testing.assert_array_equal(skasd.load(tmp_path / "model.skasd").transform(X), fitted.transform(X))


def test_a_network_in_memory_is_not_for_model_files(X, tmp_path):
    with pytest.raises(TypeError, match=r"PretrainedEmbedding.*Convolution, which a model file cannot keep"):
        skasd.save(PretrainedEmbedding(Convolution(), device="cpu").fit(X), tmp_path / "model.skasd")


@pytest.mark.parametrize("kind", ["module", "exported_file", "onnx_file"])
def test_pickled_and_cloned_transformers_give_the_same(X, kind, request):
    encoder = Convolution() if kind == "module" else request.getfixturevalue(kind)
    fitted = PretrainedEmbedding(encoder, device="cpu", layers="last" if kind != "onnx_file" else "conv").fit(X)
    expected = fitted.transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), expected)
    np.testing.assert_array_equal(clone(fitted).fit(X).transform(X), expected)


def test_a_file_that_changed_or_is_gone_is_noticed_after_unpickling(X, exported_file):
    pickled = pickle.dumps(PretrainedEmbedding(exported_file, device="cpu").fit(X))
    exported_file.write_bytes(exported_file.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"^encoder='.*pt2' has changed since fit"):
        pickle.loads(pickled).transform(X)
    exported_file.unlink()
    with pytest.raises(FileNotFoundError, match="is gone"):
        pickle.loads(pickled).transform(X)


def test_set_params_then_fit_uses_the_new_encoder(X):
    transformer = PretrainedEmbedding(Convolution(), device="cpu").fit(X)
    transformer.set_params(encoder=Convolution(4), time_pooling="max").fit(X)
    np.testing.assert_array_equal(transformer.transform(X), of(X, Convolution(4), time_pooling="max"))
    assert transformer.embedding_dim_ == 4


def test_global_generator_and_settings_are_untouched(X):
    class Drawing(nn.Module):
        def forward(self, waveforms):
            torch.rand(3)
            assert not torch.is_grad_enabled() or torch.is_inference_mode_enabled()
            return waveforms[:, :4]

    state = torch.get_rng_state()
    of(X, Drawing())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


# Which output


def test_outputs_by_number_and_name(X):
    def several(waveforms):
        return {"a": waveforms[:, :2], "b": squares(waveforms)}

    def pair(waveforms):
        return waveforms[:, :2], squares(waveforms)

    a, b = X[:, :2], of(X, squares)
    np.testing.assert_allclose(of(X, several, layers=("b", "a")), np.hstack([b, a]), atol=1e-6)
    np.testing.assert_allclose(of(X, several, layers=0), a)
    np.testing.assert_allclose(of(X, pair), b)
    np.testing.assert_allclose(of(X, pair, layers=-2), a)


def test_convolutions_have_time_last(X):
    def maps(waveforms):  # (n_windows, 2 channels, 5 bands, n_frames)
        return waveforms.unfold(1, 10, 10).transpose(1, 2).reshape(len(waveforms), 2, 5, -1)

    np.testing.assert_allclose(of(X, maps, time_axis=-1), X.reshape(5, 200, 10).mean(1), atol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "layers", "message"),
    [
        (
            Convolution(),
            "convolution",
            "layers contains 'convolution', but .* has the submodules 'conv', 'norm', 'drop'",
        ),
        (Convolution(), 3, "layers contains 3, but the encoder returns a single output"),
        (lambda x: (x, x), 2, "layers contains 2, but the encoder has 2 outputs, 0 to 1"),
        (lambda x: {"a": x, "b": x}, "last", r"returns \['a', 'b'\]; set layers"),
        (lambda x: {"a": x}, "b", r"layers contains 'b', but the encoder returns \['a'\]"),
        (lambda x: (x, [x]), "last", "returns a list for layers='last'"),
        (lambda x: x[:, None, None], "last", r"returns shape \(1, 1, 1, 2000\) for layers='last'"),
        (lambda x: x.sum(1), "last", r"returns shape \(1,\)"),
        (lambda x: x > 0, "last", "returns torch.bool values"),
        (lambda x: x[:1], "last", "one row for each clip is expected"),
        (lambda x: x - x.mean(0), "last", "other values for a clip in a batch with another clip"),
        (lambda x: x[:, :3] + torch.rand(3), "last", "statistics of the batch, or chance"),
        (lambda x: x[:, 5000], "last", "fails on noise of 2000 time points, 2 at a time: IndexError"),
    ],
)
def test_wrong_encoders_and_layers_are_refused_in_fit(X, encoder, layers, message):
    with pytest.raises(ValueError, match=message):
        PretrainedEmbedding(encoder, layers=layers, device="cpu").fit(X)


# Pooling and windows


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, lambda frames: frames.mean(axis=1)),
        ({"time_pooling": "max"}, lambda frames: frames.max(axis=1)),
        ({"time_pooling": "power"}, lambda frames: pmean(np.abs(frames), 3, axis=1)),
        ({"time_pooling": "power", "power": 1.5}, lambda frames: pmean(np.abs(frames), 1.5, axis=1)),
        ({"time_pooling": "rank", "r": 0.7}, lambda frames: TWFRTransformer(0.7).fit_transform(frames.swapaxes(1, 2))),
        ({"time_pooling": "rank", "r": 0}, lambda frames: frames.max(axis=1)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_pooling_by_the_formulas(X, parameters, expected):
    frames = X.reshape(5, 200, 10) ** 2
    embedding = of(X, lambda waveforms: squares(waveforms)[..., 10:], **parameters)
    np.testing.assert_allclose(embedding, expected(frames.astype(float)), rtol=1e-5)


def test_generalised_mean_keeps_signs_and_does_not_overflow():
    frames = np.array([[-3.0, 0.0, 1e30], [-4.0, 0.0, 1e30], [5.0, 0.0, 1e30]])
    pooled = TimePooling("power", 2.0)(frames)
    np.testing.assert_allclose(pooled, [0.0, 0.0, 1e30], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(TimePooling("power", 1.0)(frames), frames.mean(axis=0), rtol=1e-6)


def test_frames_are_kept_without_pooling(X):
    table = pd.DataFrame({"waveform": list(X), "section": "00"})
    out = of(table, squares, time_pooling=None, flatten=False)
    assert out["embedding"].iloc[0].shape == (20, 200)
    np.testing.assert_allclose(out["embedding"].iloc[1][:10], X[1].reshape(200, 10).T)


def test_windows_are_pooled_as_one_sequence(X):
    clip = X[:1, :1000]
    in_windows = of(clip, squares, window=200 / 16000, time_pooling="rank", r=0.5)
    np.testing.assert_allclose(in_windows, of(clip, squares, time_pooling="rank", r=0.5), rtol=1e-5)


def test_windows_reach_from_the_first_to_the_last_sample():
    starts = []

    def first(waveforms):
        starts.append(waveforms[:, 0].tolist())
        return waveforms[:, :1]

    clip = np.arange(1050, dtype=np.float32)[None] / 1050
    fitted = PretrainedEmbedding(first, window=400 / 16000, hop=300 / 16000, device="cpu").fit(clip)
    starts.clear()
    embedding = fitted.transform(clip)
    np.testing.assert_allclose(np.concatenate(starts) * 1050, [0, 300, 600, 650], atol=1e-2)
    np.testing.assert_allclose(embedding[0] * 1050, [387.5], rtol=1e-5)


@pytest.mark.parametrize(
    ("short_clips", "expected"), [("zero", [1, 2, 3, 0, 0, 0, 0]), ("tile", [1, 2, 3, 1, 2, 3, 1])]
)
def test_short_clips_are_filled_up_to_a_window(short_clips, expected):
    clip = np.array([[1, 2, 3]], dtype=np.float32) / 8
    embedding = of(clip, lambda waveforms: waveforms, window=7 / 16000, short_clips=short_clips)
    np.testing.assert_allclose(embedding[0] * 8, expected)


@pytest.mark.parametrize("n_timepoints", [1, 2, 17, 999])
def test_short_and_odd_clips_have_finite_embeddings(n_timepoints):
    X = np.random.default_rng(0).uniform(-1, 1, (2, n_timepoints))
    assert np.isfinite(of(X, Convolution())).all()


def test_silence_and_a_constant_have_finite_embeddings():
    X = np.stack([np.zeros(2000), np.full(2000, 0.5)])
    assert np.isfinite(of(X, Convolution())).all()


def test_front_end_computes_spectrograms_of_windows(X):
    front_end = LogMelTransformer(n_mels=8, n_fft=64, hop_length=32)
    frames = front_end.fit_transform(X)
    for frontend in (front_end, lambda waveform: front_end.fit_transform(waveform[None])[0]):
        embedding = of(X, lambda spectrograms: spectrograms, frontend=frontend, time_axis=2)
        np.testing.assert_allclose(embedding, frames.mean(axis=2), rtol=1e-5)


# Batches and containers


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_embedding_does_not_depend_on_batch_mates_and_order(X, batch_size):
    expected = of(X, Convolution(), window=0.05, hop=0.02)
    scale = np.abs(expected).max()
    transformer = PretrainedEmbedding(Convolution(), window=0.05, hop=0.02, batch_size=batch_size, device="cpu").fit(X)
    for order in ([0, 1, 2, 3, 4], [3, 1, 4], [2]):
        np.testing.assert_allclose(transformer.transform(X[order]), expected[order], rtol=0, atol=1e-5 * scale)


def test_batches_are_as_large_as_asked_for(X):
    transformer = PretrainedEmbedding(Batches(), batch_size=4, window=0.1, hop=0.025, device="cpu").fit(X)
    Batches.sizes.clear()
    transformer.transform(X)
    assert sum(Batches.sizes) == 5 * 2  # windows of 1600 samples that start at 0 and 400
    assert max(Batches.sizes) <= 4


def test_containers_give_the_same_embeddings(X, tmp_path):
    paths = [tmp_path / f"{number}.wav" for number in range(len(X))]
    for path, waveform in zip(paths, X, strict=True):
        soundfile.write(path, waveform, 16000, subtype="FLOAT")
    expected = of(X, Convolution())
    scale = np.abs(expected).max()
    tables = [pd.DataFrame({"path": paths}), pd.DataFrame({"waveform": list(X)})]
    for container in (paths, list(X), *tables, torch.from_numpy(X)):
        np.testing.assert_allclose(of(container, Convolution()), expected, rtol=0, atol=1e-5 * scale)
    out = of(tables[1].assign(section="00"), Convolution(), flatten=False)
    assert list(out.columns) == ["waveform", "section", "embedding"]
    np.testing.assert_allclose(np.stack(out["embedding"]), expected, rtol=0, atol=1e-5 * scale)


def test_files_are_resampled(tmp_path):
    time = np.arange(8000) / 8000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 100 * time), 8000)
    embedding = of([tmp_path / "a.wav"], lambda waveforms: waveforms.shape[1] * torch.ones(len(waveforms), 1))
    np.testing.assert_array_equal(embedding, [[16000]])


def test_clips_of_different_length_have_embeddings_of_their_own(X):
    clips = [X[0], X[1, :700], X[2, :700], X[3, :55]]
    expected = [of(clip[None], Convolution())[0] for clip in clips]
    np.testing.assert_allclose(of(clips, Convolution()), expected, atol=1e-5)


def test_names_tell_layers_and_values(X):
    names = PretrainedEmbedding(Convolution(2), device="cpu").fit(X).get_feature_names_out()
    assert list(names) == ["embedding_0", "embedding_1"]
    layers = PretrainedEmbedding(Convolution(2), layers=("conv", "norm"), time_axis=2, device="cpu").fit(X)
    assert list(layers.get_feature_names_out()) == ["conv_0", "conv_1", "norm_0", "norm_1"]
    frame = layers.set_output(transform="pandas").transform(X)
    assert list(frame.columns) == ["conv_0", "conv_1", "norm_0", "norm_1"]


def test_progress_bar_only_if_asked_for(X, capsys):
    of(X, Convolution())
    assert capsys.readouterr().err == ""
    of(X, Convolution(), verbose=1)
    assert "embeddings" in capsys.readouterr().err


# Clips that cannot be used


def test_nan_in_a_clip_and_in_the_output_names_the_clip(X):
    fitted = PretrainedEmbedding(lambda x: torch.where(x > 0.9, torch.nan, x), device="cpu").fit(X)
    bad = X.copy()
    bad[2, 5] = 0.95
    with pytest.raises(ValueError, match=r"1 of 5 clips cannot be used:\n  clip 2: the encoder returns NaN"):
        fitted.transform(bad)
    bad[3, 5] = np.nan
    with pytest.raises(ValueError, match=r"clip 3: .*NaN"):
        fitted.transform(bad)


def test_unreadable_clips_are_skipped_if_asked_for(X, tmp_path):
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "good.wav", X[0], 16000)
    table = pd.DataFrame({"path": [tmp_path / "empty.wav", tmp_path / "good.wav"]})
    with pytest.warns(UserWarning, match="1 of 2 clips cannot be used"):
        fitted = PretrainedEmbedding(Convolution(), flatten=False, device="cpu").fit(table, on_error="skip")
    with pytest.warns(UserWarning, match="1 of 2 clips cannot be used"):
        out = fitted.transform(table, on_error="skip")
    assert out["embedding"].iloc[0] is None
    assert out["embedding"].iloc[1].shape == (6,)
    with pytest.raises(ValueError, match=r"empty\.wav"):
        fitted.transform(table)


def test_encoder_that_fails_on_a_clip_names_it(X):
    def picky(waveforms):
        if (waveforms > 0.9).any():
            raise RuntimeError("too loud")
        return waveforms

    fitted = PretrainedEmbedding(picky, batch_size=1, device="cpu").fit(X)
    bad = X.copy()
    bad[3, 0] = 0.95
    with pytest.raises(
        ValueError, match=r"clip 3: the encoder fails on windows of shape \(2000,\): RuntimeError: too loud"
    ):
        fitted.transform(bad)


def test_another_number_of_values_than_in_fit_is_an_error(X):
    fitted = PretrainedEmbedding(lambda waveforms: waveforms, device="cpu").fit(list(X))
    with pytest.raises(ValueError, match="clip 1: the encoder gives 30 values, but 2000 in fit"):
        fitted.transform([X[0], X[1, :30]])


# Cache


def count(transformer, X):
    """Embeddings, and the number of windows that were encoded for them."""
    Batches.sizes.clear()
    return transformer.transform(X), sum(Batches.sizes)


def test_cached_embeddings_are_computed_once(X, tmp_path):
    fitted = PretrainedEmbedding(Batches(), cache=tmp_path / "cache", device="cpu").fit(X)
    embedding, n_encoded = count(fitted, X)
    assert n_encoded == 5
    again, n_encoded = count(fitted, X[::-1])
    assert n_encoded == 0
    np.testing.assert_array_equal(again, embedding[::-1])
    assert len(list((tmp_path / "cache").iterdir())) == 5
    other = PretrainedEmbedding(Batches(), cache=str(tmp_path / "cache"), batch_size=2, device="cpu").fit(X)
    assert count(other, np.vstack([X, X[:1] / 2]))[1] == 1


def test_whatever_changes_embeddings_is_computed_anew(X, tmp_path):
    def encoded(encoder, **parameters):
        return count(PretrainedEmbedding(encoder, cache=tmp_path, device="cpu", **parameters).fit(X), X)[1]

    assert encoded(Batches()) == 5
    louder = Batches()
    nn.init.constant_(louder.gain, 2.0)
    assert encoded(louder) == 5
    assert encoded(Batches(), window=0.2) == 5
    assert encoded(Batches(), window=0.2, time_pooling="max") == 5
    assert encoded(Batches(), window=0.2, hop=0.1) == 5
    assert encoded(Batches(), window=0.2, short_clips="tile") == 5
    assert encoded(Batches()) == 0


def test_front_end_is_part_of_the_key(X, tmp_path):
    def embedding(n_fft):
        front_end = LogMelTransformer(n_mels=4, n_fft=n_fft, hop_length=32)
        return of(X, nn.Identity(), frontend=front_end, time_axis=2, cache=tmp_path)

    np.testing.assert_array_equal(embedding(64), embedding(64))
    assert not np.allclose(embedding(64), embedding(128))
    assert len(list(tmp_path.iterdir())) == 10


@pytest.mark.parametrize("damage", [b"", b"no file of NumPy", None], ids=["empty", "text", "flipped"])
def test_damaged_file_is_computed_anew_with_a_warning(X, tmp_path, damage):
    fitted = PretrainedEmbedding(Batches(), cache=tmp_path, device="cpu").fit(X)
    expected = fitted.transform(X)
    file = sorted(tmp_path.iterdir())[0]
    content = bytearray(file.read_bytes())
    content[content.index(b"\x93NUMPY") + 130] ^= 255
    file.write_bytes(bytes(content) if damage is None else damage)
    with pytest.warns(UserWarning, match=rf"1 of 5 files of the cache are damaged .*{file.name}"):
        embedding, n_encoded = count(fitted, X)
    assert n_encoded == 1
    np.testing.assert_array_equal(embedding, expected)
    assert count(fitted, X)[1] == 0


def test_failed_embeddings_are_not_cached_and_no_drafts_are_left(X, tmp_path):
    class Failing(nn.Module):
        def forward(self, waveforms):
            return torch.where(waveforms > 0.9, torch.nan, waveforms)

    fitted = PretrainedEmbedding(Failing(), cache=tmp_path, device="cpu").fit(X)
    bad = X.copy()
    bad[0, 0] = 0.95
    with pytest.raises(ValueError, match="clip 0"):
        fitted.transform(bad)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"] * 4


def test_callable_needs_a_fingerprint_for_the_cache(X, tmp_path):
    def encoder(waveforms):
        return waveforms[:, :2]

    fitted = PretrainedEmbedding(encoder, cache=tmp_path, device="cpu").fit(X)
    with pytest.raises(ValueError, match=r"encoder is a function whose content cannot be seen.*`fingerprint`"):
        fitted.transform(X)
    encoder.fingerprint = "first two samples"
    fitted.fit(X).transform(X)
    assert len(list(tmp_path.iterdir())) == 5


def test_settings_of_a_module_are_part_of_its_fingerprint(X, tmp_path):
    class Scaled(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.scale = scale

        def forward(self, waveforms):
            return self.scale * waveforms[:, :2]

    one, two = (of(X, Scaled(scale), cache=tmp_path) for scale in (1.0, 2.0))
    np.testing.assert_array_equal(2 * one, two)
    strided = [of(X, nn.MaxPool1d(4, stride), cache=tmp_path) for stride in (1, 4)]
    assert strided[0].shape != strided[1].shape


def test_fingerprint_is_that_of_a_copy_and_not_that_of_other_code():
    class Other(Convolution):
        def forward(self, waveforms):
            return 2 * super().forward(waveforms)

    module = Convolution()
    expected = fingerprint("encoder", module)
    assert fingerprint("encoder", pickle.loads(pickle.dumps(module))) == expected
    assert fingerprint("encoder", Convolution(seed=1)) != expected
    Other.__module__, Other.__qualname__ = Convolution.__module__, Convolution.__qualname__
    assert fingerprint("encoder", Other()) != expected
    module.register_forward_hook(lambda module, args, output: 2 * output)
    with pytest.raises(ValueError, match="content cannot be seen"):
        fingerprint("encoder", module)


# Parameters


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"encoder": None}, TypeError, "encoder=None is a NoneType; a torch.nn.Module or other callable"),
        ({"encoder": Convolution}, TypeError, "is the class Convolution"),
        ({"encoder": "weights.pth"}, ValueError, "encoder='weights.pth' is a .pth file.*can run any code"),
        ({"encoder": "model.pt"}, ValueError, "is a .pt file"),
        ({"encoder": "nowhere/model.onnx"}, FileNotFoundError, "does not exist"),
        ({"encoder": "some-lab/model"}, ValueError, "set trust_hub=True to download"),
        ({"trust_hub": True}, ValueError, "trust_hub=True has no effect"),
        ({"trust_hub": 1}, TypeError, "trust_hub=1"),
        ({"layers": ()}, ValueError, "layers is empty"),
        ({"layers": (1, 1)}, ValueError, "a layer twice"),
        ({"layers": 1.5}, TypeError, "layers=1.5 contains 1.5, a float"),
        ({"time_pooling": "median"}, ValueError, "time_pooling='median'"),
        ({"power": 2}, ValueError, "power=2 has no effect with time_pooling='mean'"),
        ({"r": 0.5}, ValueError, "r=0.5 has no effect with time_pooling='mean'"),
        ({"time_pooling": "power", "power": 0}, ValueError, "power=0.0 is out of range"),
        ({"time_pooling": "rank", "r": 2}, ValueError, "r=2.0 is out of range"),
        ({"time_pooling": None}, ValueError, "set flatten=False"),
        ({"time_axis": 0}, ValueError, "time_axis=0"),
        ({"hop": 0.1}, ValueError, "hop=0.1 has no effect with window=None"),
        ({"hop": 0.2, "window": 0.1}, ValueError, "hop=0.2 is longer than window=0.1"),
        ({"window": 0}, ValueError, "window=0.0 is out of range"),
        ({"short_clips": "tile"}, ValueError, "short_clips='tile' has no effect with window=None and duration=None"),
        ({"cache": 3}, TypeError, "cache=3"),
        ({"batch_size": 0}, ValueError, "batch_size=0"),
        ({"device": 0}, TypeError, "device=0"),
        ({"n_jobs": 0}, ValueError, "n_jobs=0"),
        ({"sample_rate": 0}, ValueError, "sample_rate=0"),
        ({"frontend": LogMelTransformer(8000)}, ValueError, "give the front end sample_rate=16000"),
        ({"frontend": LogMelTransformer(duration=1.0)}, ValueError, "duration"),
        ({"frontend": 3}, TypeError, "frontend=3"),
        ({"encoder": lambda x: x, "time_pooling": "max"}, ValueError, "time_pooling='max' has no effect"),
        ({"encoder": lambda x: x, "time_axis": 2}, ValueError, "time_axis=2 has no effect"),
    ],
    ids=lambda value: " and ".join(value) if isinstance(value, dict) else "",
)
def test_bad_parameters_are_refused_by_name(X, parameters, error, message):
    with pytest.raises(error, match=message):
        PretrainedEmbedding(**{"encoder": Convolution(), "device": "cpu", **parameters}).fit(X)


def test_features_are_refused():
    with pytest.raises(ValueError, match="takes waveforms or files"):
        PretrainedEmbedding(Convolution(), device="cpu").fit(np.zeros((2, 16, 10)))


def test_folder_and_files_of_other_kinds_are_refused(X, tmp_path):
    with pytest.raises(ValueError, match=r"is a folder without config\.json"):
        of(X, tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match="of an unknown format"):
        of(X, tmp_path / "a.txt")
    for name, message in (("a.onnx", "cannot be read as an ONNX file"), ("a.pt2", "cannot be read as a file of torch")):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(ValueError, match=message):
            of(X, tmp_path / name)


def test_exported_file_with_a_pickle_in_it_is_refused(X, exported_file):
    import zipfile

    class Harm:
        def __reduce__(self):
            return warnings.warn, ("this code ran",)

    with zipfile.ZipFile(exported_file, "a") as archive:
        archive.writestr("encoder/data/sample_inputs/other.pt", pickle.dumps(Harm()))
    with pytest.raises(ValueError, match="cannot be read as a file of torch"):
        of(X, exported_file)


@pytest.mark.parametrize(("kind", "package"), [("onnx_file", "onnxruntime"), ("folder", "transformers")])
def test_missing_extras_are_named(X, kind, package, request, monkeypatch):
    import sys

    path = request.getfixturevalue(kind)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"pip install 'skasd\["):
        of(X, path)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["module", "callable", "exported_file", "folder"])
def test_an_accelerator_gives_the_same_up_to_rounding(X, kind, request):
    simple = {"module": Convolution(), "callable": squares}
    encoder = simple[kind] if kind in simple else request.getfixturevalue(kind)
    expected = of(X, encoder)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(of(X, encoder, device="auto"), expected, rtol=0, atol=5e-3 * scale)


def test_only_a_few_clips_are_read_ahead():
    clips, read = as_clips(np.zeros((40, 5))), []
    results = clips.map(lambda waveform: read.append(len(waveform)), ClipReader(), n_jobs=2, ahead=10)
    next(results)
    assert len(read) <= 10
    assert len(list(results)) == 39
    assert len(read) == 40


# With back ends


@pytest.fixture(scope="module")
def machines():
    generator = np.random.default_rng(0)
    waveforms = [generator.standard_normal(2000) * (1 + number % 2) for number in range(40)]
    section = ["00" if number % 2 else "01" for number in range(40)]
    domain = ["target" if number > 30 else "source" for number in range(40)]
    return pd.DataFrame({"waveform": waveforms, "section": section, "domain": domain})


def test_back_ends_score_clips_in_a_pipeline(machines):
    for scorer in (KNNScorer(), LocalDensityScorer()):
        name = type(scorer).__name__.lower()
        pipeline = make_pipeline(PretrainedEmbedding(Convolution(), device="cpu"), scorer)
        pipeline.fit(machines, **{f"{name}__domain": machines["domain"]})
        odd = machines.assign(waveform=[np.sin(np.arange(2000) / 3)] * len(machines))
        assert pipeline.score_samples(odd).max() < np.median(pipeline.score_samples(machines))


def test_a_detector_of_machines_reads_the_frames(machines):
    embedding = PretrainedEmbedding(Convolution(), time_pooling=None, flatten=False, device="cpu")
    detector = TWFRDetector(r=1.0, scorer=LocalDensityScorer(), feature="embedding", random_state=0)
    pipeline = make_pipeline(embedding, detector).fit(machines)
    assert set(detector.r_) == {"00", "01"}
    swapped = machines.assign(section=machines["section"].map({"00": "01", "01": "00"}))
    assert (pipeline.predict(swapped) == -1).all()
    assert (pipeline.predict(machines) == 1).mean() > 0.7
