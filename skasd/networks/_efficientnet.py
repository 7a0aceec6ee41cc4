"""EfficientNet-B0: inverted residual blocks with larger filters and squeeze and excitation.

M. Tan, Q. Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019, arXiv:1905.11946,
Table 1; trained from scratch, without the stochastic depth of the paper.

Axes: B images, C channels, F bands, T frames.
"""

from torch import nn

from skasd.networks._mobilenet import LAST_CHANNELS, InvertedResidual, convolution

# (expansion, channels, number of blocks, stride of the first block, filter size)
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_STEM_CHANNELS = 32


class EfficientNetB0(nn.Sequential):
    """EfficientNet-B0 up to its last feature map: images (B, C, F, T) to maps (B, 1280, ceil(F / 32), ceil(T / 32)).

    Parameters
    ----------
    n_channels : int, default=1
        Number of channels of the images.
    """

    def __init__(self, n_channels: int = 1) -> None:
        layers: list[nn.Module] = [convolution(n_channels, _STEM_CHANNELS, 3, 2, "silu")]
        n_in = _STEM_CHANNELS
        for expansion, n_out, n_blocks, stride, size in _STAGES:
            for index in range(n_blocks):
                first = stride if index == 0 else 1
                layers.append(InvertedResidual(n_in, n_out, expansion, first, "silu", size, squeeze=True))
                n_in = n_out
        super().__init__(*layers, convolution(n_in, LAST_CHANNELS, 1, 1, "silu"))
        self.n_features = LAST_CHANNELS
