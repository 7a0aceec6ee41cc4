"""JointNet: a convolutional classifier of patches, coupled with an autoencoder of the same patches.

X. Cai et al., "A contrastive semi-supervised learning framework for anomaly sound detection", DCASE Workshop 2021.

Axes: B patches, F bands, P frames, C channels, D dim of the features, K classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format

from skasd._typing import Float
from skasd.networks._autoencoder import DenseAutoencoder
from skasd.networks._dropout import Dropout
from skasd.networks._efficientnet import EfficientNetB0
from skasd.networks._mobilenet import MobileNetV2
from skasd.networks._time_pooling import TIME_POOLINGS, TimePooling

BACKBONES: dict[str, Callable[[int, float], MobileNetV2 | EfficientNetB0]] = {
    "mobilenet_v2": MobileNetV2,
    "efficientnet_b0": lambda n_channels, _: EfficientNetB0(n_channels),
}
POOLINGS = ("gamp", "mean", *TIME_POOLINGS)
_BOTTLENECK_DIM = 8
_PROJECTION_DIM = 256


class JointNet(nn.Module):
    """Patches to class logits, and to two views for a contrastive loss.

    Parameters
    ----------
    n_bands, n_frames : int
        Size of the patches.
    n_classes : int
        Number of classes.
    backbone : {"mobilenet_v2", "efficientnet_b0"}, default="mobilenet_v2"
        Convolutional network of the classifier.
    width : float, default=1.0
        Width multiplier of MobileNetV2, dimensionless. EfficientNet-B0 ignores it.
    image_channels : int, default=1
        Number of image channels; each is a copy of the patch.
    pooling : {"gamp", "mean", "generalised_mean", "rank", "attention"}, default="gamp"
        Pooling of the feature map. ``"gamp"`` averages over frequency and adds the mean and the maximum over time;
        ``"mean"`` averages over both; the others average over frequency and pool over time, see :class:`TimePooling`.
    dropout : float, default=0.5
        Dropout probability of the classifier's input features.
    has_autoencoder : bool, default=True
        Whether the network has the autoencoder and the projections to the two views.
    channels_last : bool, default=True
        Whether the channels of a place are next to each other in memory.
    """

    def __init__(
        self,
        n_bands: int,
        n_frames: int,
        n_classes: int,
        *,
        backbone: str = "mobilenet_v2",
        width: float = 1.0,
        image_channels: int = 1,
        pooling: str = "gamp",
        dropout: float = 0.5,
        has_autoencoder: bool = True,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.image_channels, self.pooling = image_channels, pooling
        self.backbone = BACKBONES[backbone](image_channels, width)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        if channels_last:
            convert_conv2d_weight_memory_format(self.backbone, torch.channels_last)
        n_features = self.backbone.n_features
        self.over_time = TimePooling(n_features, pooling) if pooling in TIME_POOLINGS else None
        self.dropout, self.to_logits = Dropout(dropout), nn.Linear(n_features, n_classes)
        nn.init.normal_(self.to_logits.weight, std=0.01)
        nn.init.zeros_(self.to_logits.bias)
        self.autoencoder: DenseAutoencoder | None = None
        if has_autoencoder:
            self.autoencoder = DenseAutoencoder(n_bands * n_frames, bottleneck_dim=_BOTTLENECK_DIM)
            self.project_code = nn.Linear(_BOTTLENECK_DIM, _PROJECTION_DIM)
            self.project_features = nn.Linear(n_features, _PROJECTION_DIM)
            self.shared = nn.Sequential(
                nn.Linear(_PROJECTION_DIM, _PROJECTION_DIM), nn.ReLU(), nn.Linear(_PROJECTION_DIM, _PROJECTION_DIM)
            )

    def features(self, patch: Float[Tensor, "patches frames bands"]) -> Float[Tensor, "patches dim"]:
        """Pooled features of the backbone."""
        image = patch.transpose(1, 2)[:, None].expand(-1, self.image_channels, -1, -1)  # (B, C, F, P)
        x = self.backbone(image.contiguous(memory_format=self.memory_format))
        if self.over_time is not None:
            return self.over_time(x.mean(dim=2, keepdim=True)).flatten(1)
        return gamp(x) if self.pooling == "gamp" else x.mean(dim=(2, 3))

    def logits(self, features: Float[Tensor, "patches dim"]) -> Float[Tensor, "patches classes"]:
        """Class logits of features."""
        return self.to_logits(self.dropout(features))

    def views(
        self, features: Float[Tensor, "patches dim"], code: Float[Tensor, "patches code_dim"]
    ) -> tuple[Float[Tensor, "patches view_dim"], Float[Tensor, "patches view_dim"]]:
        """Views of each patch, from the classifier's features and the autoencoder's code scaled to unit length."""
        units = [functional.normalize(x.to(torch.promote_types(x.dtype, torch.float32))) for x in (features, code)]
        return self.shared(self.project_features(units[0])), self.shared(self.project_code(units[1]))


def gamp(x: Float[Tensor, "patches channels bands frames"]) -> Float[Tensor, "patches channels"]:
    """Global average and max pooling: mean over frequency, then the sum of mean and maximum over time."""
    over_frequency = x.mean(dim=2)
    return over_frequency.mean(dim=2) + over_frequency.amax(dim=2)


def flattened(patch: Float[Tensor, "patches frames bands"]) -> Float[Tensor, "patches values"]:
    """Flatten patches band by band, so that the frames of a band are contiguous."""
    return patch.transpose(1, 2).flatten(1)


def running_median(patch: Float[Tensor, "patches frames bands"], size: int) -> Float[Tensor, "patches frames bands"]:
    """Median filter over `size` frames, an odd number, in each band; patches are reflected at their ends.

    Equal to ``scipy.ndimage.median_filter`` along time with ``mode="mirror"``.
    """
    n_frames = patch.shape[1]
    place = torch.arange(-(size // 2), n_frames + size // 2, device=patch.device)
    period = max(2 * (n_frames - 1), 1)
    mirrored = place.remainder(period)
    source = torch.minimum(mirrored, period - mirrored) if n_frames > 1 else torch.zeros_like(place)
    return patch[:, source].unfold(1, size, 1).median(dim=3).values
