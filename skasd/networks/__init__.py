"""Networks: torch modules that map tensors to tensors."""

from skasd.networks._autoencoder import DenseAutoencoder
from skasd.networks._byol_a import BYOLANet
from skasd.networks._dropout import Dropout
from skasd.networks._dual_branch import SpectrogramBranch, SpectrumBranch, SpectrumNet
from skasd.networks._efficientnet import EfficientNetB0
from skasd.networks._folding import folded
from skasd.networks._frequency_attention import FrequencyAttention, FrequencyGate
from skasd.networks._joint import JointNet
from skasd.networks._mel import LogMelNet
from skasd.networks._mobilefacenet import MobileFaceNet
from skasd.networks._mobilenet import MobileNetV2
from skasd.networks._osscl import OSSCLNet
from skasd.networks._perturbation import PerturbationHead
from skasd.networks._segments import SegmentNet
from skasd.networks._squeeze_excitation import SqueezeExcitation
from skasd.networks._tagram import TAgramNet
from skasd.networks._tfgram import TFgramNet
from skasd.networks._tgram import TgramNet
from skasd.networks._time_pooling import TimePooling

__all__ = [
    "BYOLANet",
    "DenseAutoencoder",
    "Dropout",
    "EfficientNetB0",
    "FrequencyAttention",
    "FrequencyGate",
    "JointNet",
    "LogMelNet",
    "MobileFaceNet",
    "MobileNetV2",
    "OSSCLNet",
    "PerturbationHead",
    "SegmentNet",
    "SpectrogramBranch",
    "SpectrumBranch",
    "SpectrumNet",
    "SqueezeExcitation",
    "TAgramNet",
    "TFgramNet",
    "TgramNet",
    "TimePooling",
    "folded",
]
