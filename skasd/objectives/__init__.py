"""Training objectives of the detectors: network, losses and augmentation of each system.

The groups of parameters that detectors take are public; the objectives themselves are private.
"""

from skasd.objectives._joint_ae_cnn import PatchOptions
from skasd.objectives._network_options import (
    DualBranchNetOptions,
    JointNetOptions,
    MobileFaceNetOptions,
    SegmentNetOptions,
)

__all__ = ["DualBranchNetOptions", "JointNetOptions", "MobileFaceNetOptions", "PatchOptions", "SegmentNetOptions"]
