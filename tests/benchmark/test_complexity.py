"""Parameters of networks, and multiply-accumulate operations per clip, against closed forms."""

import json
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from skasd.benchmark import Entry, Suite, report, run_suite
from skasd.benchmark._complexity import complexity
from skasd.benchmark._report import _count
from skasd.benchmark._results import Results
from skasd.detectors import AutoencoderDetector, EnsembleDetector, OSSCLDetector, TWFRDetector
from skasd.features import LogMelTransformer, PretrainedEmbedding
from skasd.networks import OSSCLNet
from skasd.objectives import MobileFaceNetOptions
from skasd.scoring import KNNScorer
from skasd.training import TrainingOptions

N_MELS, N_CONTEXT, N_UNITS, N_CODE = 32, 5, 128, 8
N_PATCHES = 1 + 16000 // 512 - (N_CONTEXT - 1)  # of one second
SMALL = MobileFaceNetOptions(bottlenecks=[(2, 16, 1, 2)])


class Layer(OutlierMixin, BaseEstimator):
    """A network as a detector."""

    def score_samples(self, X):
        with torch.inference_mode():
            return self.network_(X).numpy()


class Named(nn.Module):
    """A network of log-mels, as a function of them."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network({"log_mel": x})


def counts_of_layer(network, *shape):
    detector = Layer()
    detector.network_ = network
    return complexity(detector, detector.score_samples, torch.zeros(shape))


def autoencoder_sizes(n_mels=N_MELS):
    """Weights, and parameters, of an autoencoder of patches: its layers 128 x 4, 8, 128 x 4, normalised, and the output."""
    sizes = [n_mels * N_CONTEXT, *[N_UNITS] * 4, N_CODE, *[N_UNITS] * 4, n_mels * N_CONTEXT]
    weights = sum(before * after for before, after in pairwise(sizes))
    return weights, weights + 3 * sum(sizes[1:-1]) + sizes[-1]  # bias, scale and shift; bias


@pytest.fixture(scope="module")
def fans():
    shared = {"kind": "synthetic", "n_train": 8, "n_test_normal": 5, "n_test_anomaly": 5, "duration": 1.0}
    return {"fans": {**shared, "machine_types": ["fan", "pump"], "random_state": 0}}


@pytest.fixture(scope="module")
def run(fans, tmp_path_factory):
    """The results of detectors of each kind, by name, and their folder."""
    mel = LogMelTransformer(n_mels=N_MELS)
    deep = Entry(AutoencoderDetector(max_epochs=1), features=mel)
    both = EnsembleDetector([("TWFR", TWFRDetector()), ("deep", AutoencoderDetector(max_epochs=1))])
    names = OSSCLDetector(("log_mel",), network=SMALL, max_epochs=1, training=TrainingOptions(ema_decay=None))
    ways = Entry(names, features=mel, score_with=("label", "embedding"), back_ends={"kNN": KNNScorer()})
    detectors = {"TWFR": TWFRDetector(), "autoencoder": deep, "ensemble": Entry(both, features=mel), "OS-SCL": ways}
    folder = tmp_path_factory.mktemp("complexity")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_suite(Suite("sizes", fans, detectors, seeds=(0,)), folder)
    return {row["detector"]: row for row in Results(folder).rows()}, folder


@pytest.mark.parametrize("groups", [1, 4])
def test_a_convolution_has_its_closed_form(groups):
    layer = nn.Conv2d(8, 12, (3, 5), stride=2, padding=1, groups=groups)
    macs = 12 * (8 // groups) * 15 * ((20 + 2 - 3) // 2 + 1) * ((30 + 2 - 5) // 2 + 1)
    assert counts_of_layer(layer, 1, 8, 20, 30) == {
        "n_parameters": 12 * (8 // groups) * 15 + 12,
        "macs_per_clip": macs,
    }


def test_a_linear_layer_has_its_closed_form():
    assert counts_of_layer(nn.Linear(20, 7), 3, 20) == {"n_parameters": 147, "macs_per_clip": 3 * 140}


def test_attention_on_a_cpu_counts_its_two_products():
    class Attention(nn.Linear):
        def forward(self, x):
            return scaled_dot_product_attention(x, x, super().forward(x))

    macs = counts_of_layer(Attention(16, 16, bias=False), 1, 2, 9, 16)["macs_per_clip"]
    assert macs == 2 * 9 * 16 * 16 + 2 * (2 * 9 * 9 * 16)


def test_a_network_is_counted_whole(run):
    row = run[0]["autoencoder"]
    weights, parameters = autoencoder_sizes()
    assert row["macs_per_clip"] == N_PATCHES * weights
    assert row["n_parameters"] == 2 * parameters  # one autoencoder for fans, one for pumps
    assert autoencoder_sizes(128)[1] == 267_928  # as the guide has it


def test_a_convolutional_network_is_counted_whole():
    """MobileFaceNet of the default size, from (expansion, channels, blocks, stride) of its stages and the map sizes."""
    bands, frames, channels = 64, 157, 64  # after the first convolution, of stride 2
    macs = bands * frames * 64 * (9 + 9)  # 3 x 3 with one input channel, and depthwise
    for expansion, n_out, n_blocks, stride in ((2, 128, 2, 2), (4, 128, 2, 2), (4, 128, 2, 2)):
        for step in [stride] + [1] * (n_blocks - 1):
            wide = expansion * channels
            macs += bands * frames * channels * wide  # 1 x 1
            bands, frames = -(-bands // step), -(-frames // step)
            macs += bands * frames * wide * (9 + n_out)  # depthwise, 1 x 1
            channels = n_out
    macs += (
        bands * frames * channels * 512 + 512 * 128
    )  # 1 x 1, then the embedding; the weighted sum of a map is elementwise
    network = OSSCLNet(("log_mel",), (128, 313), perturbation_head=False).eval()
    counts = counts_of_layer(Named(network), 1, 128, 313)
    assert counts["macs_per_clip"] == macs == 692_547_584
    assert counts["n_parameters"] == sum(parameter.numel() for parameter in network.parameters())


def test_an_ensemble_has_the_networks_of_its_members(run):
    sizes = [(row["n_parameters"], row["macs_per_clip"]) for row in (run[0]["ensemble"], run[0]["autoencoder"])]
    assert sizes[0] == sizes[1]


def test_statistics_have_no_figure(run):
    assert run[0]["TWFR"]["n_parameters"] is None
    assert run[0]["TWFR"]["macs_per_clip"] is None


def test_each_way_to_score_has_its_figures(run):
    label, embedding, knn = (run[0][f"OS-SCL, {way}"] for way in ("label", "embedding", "embedding, kNN"))
    assert label["n_parameters"] == embedding["n_parameters"] == knn["n_parameters"] > 0
    assert min(row["macs_per_clip"] for row in (label, embedding, knn)) > 1_000_000


def test_the_faster_copy_of_a_network_is_not_counted_twice(run):
    network = OSSCLDetector(("log_mel",), network=SMALL, max_epochs=1)
    table = pd.DataFrame({"log_mel": list(np.random.default_rng(0).normal(size=(8, 32, 32)).astype(np.float32))})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.set_params(label_columns=None, n_clusters=2).fit(table)
    own = sum(parameter.numel() for parameter in network.network_.parameters())
    counted = complexity(network, network.score_samples, table.iloc[:1])["n_parameters"]
    assert own <= counted <= own + 2 * 128 + 1  # and the classes of its head


def test_counting_changes_neither_scores_nor_generators(fans):
    table = pd.DataFrame({"log_mel": list(np.random.default_rng(0).normal(size=(20, 32, 32)).astype(np.float32))})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = AutoencoderDetector(max_epochs=1, random_state=0).fit(table)
    before, states = detector.score_samples(table), (torch.random.get_rng_state(), np.random.get_state()[1])  # noqa: NPY002
    complexity(detector, detector.score_samples, table.iloc[:1])
    assert torch.equal(torch.random.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    np.testing.assert_array_equal(detector.score_samples(table), before)


def test_embeddings_from_a_cache_are_counted_too(tmp_path):
    encoder = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 4, 100, stride=100))
    features = PretrainedEmbedding(encoder, cache=tmp_path, time_axis=2, device="cpu")
    waveforms = np.random.default_rng(0).normal(size=(6, 1000)).astype(np.float32) * 0.1
    pipeline = make_pipeline(features, KNNScorer()).fit(waveforms)
    pipeline.score_samples(waveforms)
    counts = complexity(pipeline, pipeline.score_samples, waveforms[:1])
    assert counts == {"n_parameters": 404, "macs_per_clip": 10 * 400}
    assert pipeline[0].cache == tmp_path


def test_an_encoder_that_cannot_be_seen_has_no_figure():
    pipeline = make_pipeline(PretrainedEmbedding(lambda batch: batch[:, None, :4], device="cpu"), KNNScorer())
    waveforms = np.random.default_rng(0).normal(size=(6, 1000)).astype(np.float32) * 0.1
    counts = complexity(pipeline.fit(waveforms), pipeline.score_samples, waveforms[:1])
    assert counts == {"n_parameters": None, "macs_per_clip": None}


def test_a_detector_that_cannot_score_a_clip_alone_keeps_its_result():
    class Fussy(nn.Linear):
        def forward(self, x):
            raise RuntimeError("more than one clip, please")

    assert counts_of_layer(Fussy(2, 2), 1, 2) == {"n_parameters": 6, "macs_per_clip": None}


def test_a_report_has_both_columns(run, tmp_path):
    text = report(run[1], out=tmp_path)
    header = next(line for line in text.splitlines() if line.startswith("| detector"))
    columns = [cell.strip() for cell in header.split("|")]
    lines = {
        cells[1]: cells
        for line in text.splitlines()
        if len(cells := [c.strip() for c in line.split("|")]) == len(columns)
    }
    place = columns.index("parameters")
    assert columns[place + 1] == "MACs / clip"
    assert lines["TWFR"][place : place + 2] == ["-", "-"]
    weights, parameters = autoencoder_sizes()
    assert lines["autoencoder"][place : place + 2] == [_count(2 * parameters), _count(N_PATCHES * weights)]
    numbers = pd.read_csv(tmp_path / "report.csv").set_index(["detector", "machine_type"])
    assert numbers.loc[("autoencoder", "fan"), "macs_per_clip"] == N_PATCHES * weights
    assert numbers.loc["TWFR", "n_parameters"].isna().all()


def test_results_from_before_are_reported_with_a_dash(run, tmp_path):
    rows = [{k: v for k, v in row.items() if k not in ("n_parameters", "macs_per_clip")} for row in run[0].values()]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = report(tmp_path, out=tmp_path / "out")
    assert "| - | - |" in text
    assert pd.read_csv(tmp_path / "out/report.csv")["n_parameters"].isna().all()


def test_a_damaged_count_is_named(run, tmp_path):
    row = {**run[0]["autoencoder"], "n_parameters": "many"}
    (tmp_path / "results.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match="n_parameters is 'many'"):
        Results(tmp_path).rows()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (147, "147"),
        (1000, "1 k"),
        (267_928, "268 k"),
        (999_999, "1 M"),
        (23_777_280, "23.8 M"),
        (2_252_000_000, "2.25 G"),
    ],
)
def test_counts_have_three_digits(number, text):
    assert _count(number) == text
