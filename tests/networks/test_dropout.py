import subprocess
import sys

import pytest
import torch
from torch import nn

from skasd.networks import Dropout


def dropped(dtype=torch.float32, layout=torch.contiguous_format):
    layer, x = Dropout(0.3), torch.arange(1.0, 121).view(2, 3, 4, 5).to(dtype).contiguous(memory_format=layout)
    layer.generator = torch.Generator().manual_seed(3)
    before = torch.get_rng_state()
    out = layer(x)
    assert torch.equal(torch.get_rng_state(), before)
    return out, x


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_it_drops_what_torch_drops_from_a_generator_in_that_state(dtype, layout):
    out, x = dropped(dtype, layout)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = nn.Dropout(0.3)(x)
    assert torch.equal(out, expected)


def test_without_a_generator_and_in_evaluation_it_is_torchs_own():
    layer, x = Dropout(0.5), torch.ones(50)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mine = layer(x)
        torch.manual_seed(0)
        assert torch.equal(mine, nn.Dropout(0.5)(x))
    layer.generator = torch.Generator()
    assert torch.equal(layer.eval()(x), x)


def test_everything_dropped_is_zero_and_not_nan():
    layer = Dropout(1.0)
    layer.generator = torch.Generator()
    assert torch.equal(layer(torch.ones(5)), torch.zeros(5))


@pytest.mark.slow
def test_the_package_is_imported_without_the_compiler_of_torch():
    code = "import sys, skasd.benchmark, skasd.cli; sys.exit('torch._dynamo' in sys.modules)"  # it takes two seconds
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
