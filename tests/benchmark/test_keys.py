"""Keys of results: what counts as the same detector."""

import pytest

from skasd.benchmark._estimators import essence
from skasd.detectors import AutoencoderDetector, OSSCLDetector
from skasd.training import TrainingOptions


def changes(detector, **options):
    return essence(detector(training=TrainingOptions(**options))) != essence(
        detector(training=TrainingOptions(calibration_fraction=0))
    )


@pytest.mark.parametrize("options", [{}, {"calibration_fraction": 0.2}, {"validation_fraction": 0.1}], ids=str)
def test_clips_held_out_for_the_threshold_are_another_training(options):
    assert changes(OSSCLDetector, **options)


def test_a_validation_set_makes_the_key_that_it_always_made():
    with_validation = essence(OSSCLDetector(training=TrainingOptions(validation_fraction=0.1)))
    assert "calibration_fraction" not in with_validation
    assert "calibration_fraction" not in essence(AutoencoderDetector())
    assert '"calibration_fraction": "auto"' in essence(OSSCLDetector())
    assert '"calibration_fraction": "auto"' in essence(
        AutoencoderDetector(training=TrainingOptions(validation_fraction=0))
    )
