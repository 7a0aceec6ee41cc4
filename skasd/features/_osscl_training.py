"""From clips to a trained OS-SCL network: what its detector and its transformer share."""

from typing import Any

from skasd.clips import Clips
from skasd.inputs._augmentation import prepared
from skasd.inputs._clip_classes import ClipClasses
from skasd.inputs._network_fit import NetworkFit
from skasd.objectives._osscl import OSSCLOptions, train_osscl
from skasd.training import ClipStore, Training


def run_osscl(
    fit: NetworkFit, clips: Clips, store: ClipStore, options: OSSCLOptions, augmentation: Any = None
) -> tuple[ClipClasses, Training]:
    """Read the clips into the store, find their classes, and train.

    Parameters
    ----------
    fit : NetworkFit
        What the clips become.
    clips : Clips
        To train on.
    store : ClipStore
        Empty.
    options : OSSCLOptions
        Network and loss.
    augmentation : SpectrumAugmentation or None, default=None
        Of the log-mels.
    """
    classes = fit.classes(clips, store)
    training = train_osscl(
        store,
        classes.label,
        branches=fit.branches,
        size=fit.inputs.size,
        hop_length=fit.inputs.frontend.hop_length,
        dtype=fit.inputs.dtype,
        options=options,
        training=fit.training,
        seed=fit.seed,
        augmenter=prepared(augmentation, fit.log_mels(store), classes.label, fit.inputs.frontend),
    )
    return classes, training
