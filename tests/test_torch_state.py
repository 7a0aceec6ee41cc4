import multiprocessing
import threading

import pytest
import torch
from torch import nn

from skasd._torch_state import DrawnFrom, own_torch_state


@pytest.mark.parametrize(
    "caller",
    [
        lambda: torch.autocast("cpu", torch.bfloat16),
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.device("meta"),
    ],
    ids=["autocast", "no_grad", "inference_mode", "default device"],
)
def test_what_a_caller_has_set_is_off_inside_and_on_again_outside(caller):
    def state():
        x = torch.ones(2, 2, requires_grad=True)
        return (x @ x).dtype, (x @ x).requires_grad, x.is_inference(), x.device.type

    plain = state()
    with caller():
        before = state()
        with own_torch_state():
            assert state() == plain
        assert state() == before != plain


def layers():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.PReLU(2), nn.BatchNorm2d(2), nn.Linear(3, 4), nn.LayerNorm(4))
    nn.init.xavier_uniform_(net[0].weight)
    nn.init.trunc_normal_(net[3].weight)
    nn.init.orthogonal_(net[3].weight)
    nn.init.normal_(net[3].bias)
    return net.state_dict()


def test_weights_are_those_of_the_global_generator_with_this_seed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = layers()
        before = torch.get_rng_state()
        with DrawnFrom(torch.Generator().manual_seed(3)):
            drawn = layers()
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(drawn[name], value) for name, value in expected.items())


def test_weights_are_float32_whatever_the_default_data_type():
    with DrawnFrom(torch.Generator().manual_seed(3)):
        expected = layers()
    torch.set_default_dtype(torch.float64)
    try:
        with DrawnFrom(torch.Generator().manual_seed(3)):
            drawn = layers()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(drawn[name], value) for name, value in expected.items())


def test_a_generator_that_is_given_is_used():
    with DrawnFrom(torch.Generator().manual_seed(0)):
        drawn = torch.rand(3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(1)))


def test_other_threads_draw_from_their_own_generator():
    drawn = []
    with torch.random.fork_rng(), DrawnFrom(torch.Generator().manual_seed(0)):
        thread = threading.Thread(target=lambda: drawn.append(torch.rand(1)))
        before = torch.get_rng_state()
        thread.start()
        thread.join()
        assert not torch.equal(torch.get_rng_state(), before)
    assert len(drawn) == 1


def _product(queue):
    with pytest.warns(UserWarning, match="torch computes on one thread here"):
        queue.put(_computed())
    queue.put(_computed())  # says so once
    queue.put(torch.get_num_threads())


def _computed():
    with own_torch_state():
        return float(nn.Conv2d(3, 16, 3)(torch.ones(8, 3, 64, 64)).sum().isfinite())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the system does not fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_computes_after_its_parent_did_on_several_threads():
    context = multiprocessing.get_context("fork")
    queue, n_threads = context.Queue(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        nn.Conv2d(3, 16, 3)(torch.ones(8, 3, 64, 64)).sum().backward()
        child = context.Process(target=_product, args=(queue,))
        child.start()
    finally:
        torch.set_num_threads(n_threads)
    child.join(30)
    hangs = child.is_alive()
    child.kill()
    assert not hangs
    assert [queue.get(timeout=5) for _ in range(3)] == [1.0, 1.0, 1]
