from contextlib import closing

import numpy as np
import pytest
import torch
from torch import nn

from skasd.training import _memory, evaluated

CPU = torch.device("cpu")
X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


class Sum(nn.Module):
    """Of two inputs."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, inputs):
        return self.weight * (inputs["waveform"] + inputs["log_mel"])


def network(dtype=torch.float32):
    return nn.Linear(4, 2).to(dtype).eval()


def test_each_batch_has_its_output():
    made = network()
    outputs = list(evaluated(made, [X, X[:1]], CPU))
    for output, batch in zip(outputs, [X, X[:1]], strict=True):
        np.testing.assert_array_equal(output, made(torch.from_numpy(batch)).detach().numpy())


def test_a_batch_may_be_several_inputs():
    (output,) = evaluated(Sum(), [{"waveform": X, "log_mel": 2 * X}], CPU)
    np.testing.assert_allclose(output, 3 * X)


@pytest.mark.parametrize("network_dtype, dtype", [(torch.float32, np.float32), (torch.float64, np.float64)], ids=str)
@pytest.mark.parametrize("batch_dtype", [np.float32, np.float64])
def test_output_has_the_precision_of_the_network(network_dtype, dtype, batch_dtype):
    (output,) = evaluated(network(network_dtype), [X.astype(batch_dtype)], CPU)
    assert output.dtype == dtype


def test_on_another_device_a_copy_computes():
    made, seen = network(), []
    made.register_forward_hook(lambda module, inputs, output: seen.append(module))
    with pytest.raises(NotImplementedError, match="meta"):  # its tensors have no numbers
        list(evaluated(made, [X], torch.device("meta")))
    assert [next(module.parameters()).device.type for module in seen] == ["meta"]
    assert made.weight.device == CPU


def test_the_caller_computes_gradients_between_two_batches():
    for _ in evaluated(network(), [X, X], CPU):
        assert not torch.is_inference_mode_enabled()


@pytest.mark.skipif(_memory._glibc() is None, reason="the C library is not glibc")
def test_memory_goes_back_where_outputs_are_not_all_asked_for():
    with closing(evaluated(network(), [X, X], CPU)) as outputs:
        next(outputs)
        assert _memory._n_users == 1
    assert _memory._n_users == 0


def test_no_batches_have_no_output():
    assert list(evaluated(network(), [], CPU)) == []
