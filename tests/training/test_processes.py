"""Two processes that train one network together, by Accelerate and gloo on the CPU."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skasd.training import TrainingOptions
from tests.training.tiny import assert_same_state, fit
from tests.training.together import plain

ROOT = Path(__file__).resolve().parents[2]
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tests.training.together")


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_twice_the_batch(tmp_path):
    pytest.importorskip("accelerate")
    run = subprocess.run(
        [sys.executable, *TWO, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    alone = plain(batch_size=8, validation_fraction=0.2)
    for name, weight in alone.objective.state_dict().items():
        torch.testing.assert_close(one["plain"][name], weight, rtol=1e-5, atol=1e-6)
    losses = [(epoch["train_loss"], epoch["valid_loss"]) for epoch in alone.history]
    torch.testing.assert_close(torch.tensor(one["losses"]), torch.tensor(losses), rtol=0.02, atol=0)
    for of in ("plain", "detector"):
        assert_same_state(one[of], other[of])
    assert one["n_epochs"] == other["n_epochs"]
    for seeds, clips in (one["refusals"], other["refusals"]):
        assert "different seeds; give random_state a number" in seeds
        assert "different numbers of clips and labels; give" in clips


def test_another_device_than_that_of_accelerate_is_refused():
    with pytest.raises(ValueError, match="device='meta' is not the device of this process, cpu"):
        fit(accelerate=True, device="meta")


def test_clips_that_are_too_few_are_told_as_without_accelerate():
    with pytest.raises(ValueError, match="only 1 clip to train on"):
        fit(accelerate=True, n_clips=1)


def test_one_process_alone_learns_the_same_with_accelerate():
    pytest.importorskip("accelerate")
    assert_same_state(fit(accelerate=True).objective, fit().objective)


def test_accelerate_is_a_flag():
    with pytest.raises(ValueError, match="accelerate='yes' is unknown"):
        TrainingOptions(accelerate="yes").plan(
            max_epochs=1, batch_size=2, learning_rate=0.1, device="cpu", verbose=0, usual={}
        )


def test_missing_accelerate_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"skasd\[accelerate\]"):
        fit(accelerate=True)
