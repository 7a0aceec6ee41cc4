"""What each system minimises: a network, its losses and its augmentation, and how they are trained.

Public here are the groups of parameters that detectors take; the objectives themselves are private.
"""

from skasd.objectives._joint_ae_cnn import PatchOptions
from skasd.objectives._network_options import (
    DualBranchNetOptions,
    JointNetOptions,
    MobileFaceNetOptions,
    SegmentNetOptions,
)

__all__ = ["DualBranchNetOptions", "JointNetOptions", "MobileFaceNetOptions", "PatchOptions", "SegmentNetOptions"]
