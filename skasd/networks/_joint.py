"""JointNet: a convolutional classifier of patches, and an autoencoder of the same patches that it is tied to.

X. Cai et al., "A contrastive semi-supervised learning framework for anomaly sound detection", DCASE Workshop 2021.

Axes: B patches, F mel bands, P frames, C channels, D dimensions, K classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format

from skasd.networks._autoencoder import DenseAutoencoder
from skasd.networks._efficientnet import EfficientNetB0
from skasd.networks._mobilenet import MobileNetV2

BACKBONES: dict[str, Callable[[int, float], MobileNetV2 | EfficientNetB0]] = {
    "mobilenet_v2": MobileNetV2,
    "efficientnet_b0": lambda n_channels, _: EfficientNetB0(n_channels),
}
POOLINGS = ("gamp", "mean")
_BOTTLENECK_DIM = 8
_PROJECTION_DIM = 256


class JointNet(nn.Module):
    """Patches to logits of classes, and views of them to be contrasted.

    Parameters
    ----------
    n_bands, n_frames : int
        Of the patches.
    n_classes : int
        Classes.
    backbone : {"mobilenet_v2", "efficientnet_b0"}, default="mobilenet_v2"
        Network of the images.
    width : float, default=1.0
        Of MobileNetV2.
    image_channels : int, default=1
        How often the patch is repeated as a channel of its image.
    pooling : {"gamp", "mean"}, default="gamp"
        Of the map of features: its mean over frequency, and of that the mean and the maximum over time, added; or the mean.
    dropout : float, default=0.5
        Share of the features that the classifier is not given, in training.
    has_autoencoder : bool, default=True
        Whether there is one, and the projections of both.
    channels_last : bool, default=True
        Whether the channels of a place lie together in memory.
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
        self.dropout, self.to_logits = nn.Dropout(dropout), nn.Linear(n_features, n_classes)
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

    def features(self, patch: Tensor) -> Tensor:
        """Features (B, D) of patches (B, P, F)."""
        image = patch.transpose(1, 2)[:, None].expand(-1, self.image_channels, -1, -1)  # (B, C, F, P)
        x = self.backbone(image.contiguous(memory_format=self.memory_format))
        return gamp(x) if self.pooling == "gamp" else x.mean(dim=(2, 3))

    def logits(self, features: Tensor) -> Tensor:
        """Logits (B, K) of features (B, D)."""
        return self.to_logits(self.dropout(features))

    def views(self, features: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Views (B, 256) of what classifier (B, D) and autoencoder (B, 8) make of patches; lengths do not count."""
        units = [functional.normalize(x.to(torch.promote_types(x.dtype, torch.float32))) for x in (features, code)]
        return self.shared(self.project_features(units[0])), self.shared(self.project_code(units[1]))


def gamp(x: Tensor) -> Tensor:
    """Global average and maximum pooling (B, C) of maps (B, C, F, T): both over time, of means over frequency, added."""
    over_frequency = x.mean(dim=2)
    return over_frequency.mean(dim=2) + over_frequency.amax(dim=2)


def flattened(patch: Tensor) -> Tensor:
    """Values (B, F P) of patches (B, P, F), the frames of a band together."""
    return patch.transpose(1, 2).flatten(1)


def running_median(patch: Tensor, size: int) -> Tensor:
    """Median over so many frames of each band of patches (B, P, F), which are reflected at their ends.

    As ``scipy.ndimage.median_filter`` with ``mode="mirror"`` does it; `size` is odd.
    """
    n_frames = patch.shape[1]
    place = torch.arange(-(size // 2), n_frames + size // 2, device=patch.device)
    period = max(2 * (n_frames - 1), 1)
    mirrored = place.remainder(period)
    source = torch.minimum(mirrored, period - mirrored) if n_frames > 1 else torch.zeros_like(place)
    return patch[:, source].unfold(1, size, 1).median(dim=3).values
