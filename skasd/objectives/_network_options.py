"""Groups of parameters that define the networks of the detectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skasd._parameter_group import ParameterGroup, check_flags, refuse_idle
from skasd._parameters import check_integer, check_number, check_option
from skasd.networks._dual_branch import FREQUENCY_ATTENTIONS
from skasd.networks._joint import BACKBONES, POOLINGS
from skasd.networks._mobilefacenet import POOLINGS as MAP_POOLINGS
from skasd.networks._mobilefacenet import check_bottlenecks

ENCODERS = ("mobilefacenet", "byol_a")
PROJECTORS = ("narrow", "three_layers", "off")


@dataclass(repr=False)
class MobileFaceNetOptions(ParameterGroup):
    """Network of :class:`~skasd.detectors.OSSCLDetector` and :class:`~skasd.detectors.StatClusterDetector`.

    Parameters
    ----------
    bottlenecks : {"2023", "2021"} or sequence of tuple of int, default="2023"
        Stages of the MobileFaceNet, each (expansion, channels, blocks, stride): ``"2023"`` are those of Noisy-ArcMix,
        ``"2021"`` those of STgram-MFN.
    pooling : {"depthwise", "generalised_mean", "rank", "attention"}, default="depthwise"
        Pooling of the last feature map: a filter as large as the map for each channel, as published; or over time by a
        generalised mean, by a rank-weighted mean or by attention, with a filter over the bands after it. See
        :class:`skasd.networks.TimePooling`.
    embedding_dim : int, default=128
        Dimension of the embedding, at least 2.
    perturbation_head : bool or "auto", default="auto"
        Whether a narrow network is added after the embedding layer (feature perturbation). ``"auto"`` is True for
        OSSCLDetector and False for StatClusterDetector.
    n_subcenters : int, default=1
        Number of centres per class; the nearest one is used.
    scale : float, default=30.0
        Factor :math:`s` that multiplies the cosines between embeddings and class centres, dimensionless.

    Examples
    --------
    >>> from skasd.detectors import OSSCLDetector
    >>> from skasd.objectives import MobileFaceNetOptions
    >>> OSSCLDetector(network=MobileFaceNetOptions(embedding_dim=64))
    OSSCLDetector(network=MobileFaceNetOptions(embedding_dim=64))
    """

    bottlenecks: Any = "2023"
    pooling: str = "depthwise"
    embedding_dim: int = 128
    perturbation_head: bool | str = "auto"
    n_subcenters: int = 1
    scale: float = 30.0

    def check(self) -> None:
        """Raise if an option is out of range."""
        check_bottlenecks(self.bottlenecks)
        check_option("pooling", self.pooling, MAP_POOLINGS)
        check_integer("embedding_dim", self.embedding_dim, low=2)
        check_option("perturbation_head", self.perturbation_head, (True, False, "auto"))
        check_integer("n_subcenters", self.n_subcenters, low=1)
        check_number("scale", self.scale, low=0, above=True)

    def has_head(self, default: bool) -> bool:
        """Whether there is a perturbation head; `default` is the meaning of ``"auto"``."""
        return default if isinstance(self.perturbation_head, str) else self.perturbation_head


@dataclass(repr=False)
class SegmentNetOptions(ParameterGroup):
    """Network of :class:`~skasd.detectors.ContrastiveSpectrumDetector`, and the segments that are its input.

    Parameters
    ----------
    encoder : {"mobilefacenet", "byol_a"}, default="mobilefacenet"
        Encoder of the segments: the MobileFaceNet of OS-SCL, or the convolutions of BYOL-A.
    bottlenecks : {"2023", "2021"} or sequence of tuple of int, default="2023"
        Stages of the MobileFaceNet, each (expansion, channels, blocks, stride).
    embedding_dim : int, default=128
        Dimension of the embedding, at least 2.
    projector : {"narrow", "three_layers", "off"}, default="narrow"
        Layers between the embedding and the contrastive loss: two layers with a bottleneck of half the dimension, three
        layers, or none.
    segment_length : int or None, default=64
        Length of a segment, in frames. None uses whole clips.
    n_segments : int, default=5
        Number of evenly spaced segments per clip when scoring, whose embeddings are averaged. A single segment is taken from
        the middle.
    """

    encoder: str = "mobilefacenet"
    bottlenecks: Any = "2023"
    embedding_dim: int = 128
    projector: str = "narrow"
    segment_length: int | None = 64
    n_segments: int = 5

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect given the others."""
        check_option("encoder", self.encoder, ENCODERS)
        check_bottlenecks(self.bottlenecks)
        check_option("projector", self.projector, PROJECTORS)
        check_integer("embedding_dim", self.embedding_dim, low=2)
        check_integer("n_segments", self.n_segments, low=1)
        if self.segment_length is None:
            refuse_idle(self, ["n_segments"], "segment_length=None")
        else:
            check_integer("segment_length", self.segment_length, low=1, other="None")
        if self.encoder != "mobilefacenet":
            refuse_idle(self, ["bottlenecks"], f"encoder={self.encoder!r}")

    def length(self, n_frames: int) -> int:
        """Length of a segment of clips with `n_frames` frames."""
        return n_frames if self.segment_length is None else min(self.segment_length, n_frames)

    def segments(self, n_frames: int) -> int:
        """Number of segments per clip of `n_frames` frames when scoring; 1 if a segment is the whole clip."""
        return 1 if self.length(n_frames) == n_frames else self.n_segments


@dataclass(repr=False)
class JointNetOptions(ParameterGroup):
    """Networks of :class:`~skasd.detectors.JointAECNNDetector`.

    Parameters
    ----------
    backbone : {"mobilenet_v2", "efficientnet_b0"}, default="mobilenet_v2"
        Backbone of the classifier.
    width : float, default=1.0
        Width multiplier of MobileNetV2, which scales its numbers of channels, dimensionless.
    image_channels : int, default=1
        Number of channels of the input image, all of them copies of the patch.
    pooling : {"gamp", "mean", "generalised_mean", "rank", "attention"}, default="gamp"
        Pooling of the features: the mean over frequency, then mean plus maximum over time; the mean over both; or the mean
        over frequency, then one of :class:`skasd.networks.TimePooling`.
    dropout : float, default=0.5
        Dropout rate before the classifier, in [0, 0.99].
    autoencoder : bool, default=True
        Whether an autoencoder is trained together with the classifier.
    normalise_features : bool, default=False
        Whether the inputs of classifier and decoder are normalised to unit length.
    normalise_projection : bool, default=True
        Whether the inputs of the contrastive loss are normalised to unit length.
    """

    backbone: str = "mobilenet_v2"
    width: float = 1.0
    image_channels: int = 1
    pooling: str = "gamp"
    dropout: float = 0.5
    autoencoder: bool = True
    normalise_features: bool = False
    normalise_projection: bool = True

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect given the others."""
        check_option("backbone", self.backbone, BACKBONES)
        check_number("width", self.width, low=0, above=True)
        check_integer("image_channels", self.image_channels, low=1)
        check_option("pooling", self.pooling, POOLINGS)
        check_number("dropout", self.dropout, low=0, high=0.99)
        check_flags(self, "autoencoder", "normalise_features", "normalise_projection")
        if self.backbone != "mobilenet_v2":
            refuse_idle(self, ["width"], f"backbone={self.backbone!r}")
        if not self.autoencoder:
            refuse_idle(self, ["normalise_projection"], "autoencoder=False")


@dataclass(repr=False)
class DualBranchNetOptions(ParameterGroup):
    """Network of :class:`~skasd.detectors.SelfSupervisedDetector`: one branch for the spectrum, one per spectrogram.

    Parameters
    ----------
    n_ffts : sequence of int, default=(1024,)
        Window lengths of the spectrograms, in samples, at least 64; each has its own branch. Several resolutions are, for
        example, (256, 1024, 4096).
    frequency_attention : {"off", "gate", "token"}, default="off"
        Attention over the bands of a spectrogram: none; a gate that weights the bands; or self-attention that adds a second
        image.
    embedding_dim : int, default=128
        Dimension of the embedding of each branch, at least 2.
    """

    n_ffts: Sequence[int] = (1024,)
    frequency_attention: str = "off"
    embedding_dim: int = 128

    def check(self) -> None:
        """Raise if an option is out of range."""
        check_option("frequency_attention", self.frequency_attention, FREQUENCY_ATTENTIONS)
        check_integer("embedding_dim", self.embedding_dim, low=2)
        if not isinstance(self.n_ffts, list | tuple) or not self.n_ffts:
            raise TypeError(f"n_ffts={self.n_ffts!r}; a tuple of window lengths in samples is expected.")
        for n_fft in self.n_ffts:
            check_integer("n_ffts", n_fft, low=64)
