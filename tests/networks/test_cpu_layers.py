from collections import OrderedDict

import pytest
import torch
from torch import nn

from skasd.networks._cpu_layers import DepthwiseConv2d, GlobalDepthwiseConv2d, NormActivation

ACTIVATIONS = pytest.mark.parametrize("activation", ["prelu", "relu", "relu6", "silu", None])
FORMATS = pytest.mark.parametrize(
    "memory_format", [torch.channels_last, torch.contiguous_format], ids=["last", "plain"]
)
SIZES = pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 9), (3, 1), (1, 1)], ids=str)
TOLERANCES = {torch.float64: {"rtol": 1e-10, "atol": 1e-10}, torch.float32: {"rtol": 1e-4, "atol": 1e-5}}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)


@pytest.fixture(params=[1, 7, 100, 2**20], ids="{} elements".format)
def in_parts(request, monkeypatch):
    """Size of the parts in which gradients are computed: one row, a few rows, or all rows."""
    monkeypatch.setattr("skasd.networks._cpu_layers._ELEMENTS_IN_CACHE", request.param)


def noise(*shape, dtype=torch.float64, memory_format=torch.channels_last, seed=0):
    values = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return values.to(dtype).contiguous(memory_format=memory_format)


def with_noise(layer, dtype=torch.float64):
    """`layer` with parameters and running statistics that differ from their initial values and between channels."""
    for seed, values in enumerate([*layer.parameters(), *layer.buffers()]):
        if values.is_floating_point():
            values.data = 0.7 + 0.3 * noise(*values.shape, memory_format=torch.contiguous_format, seed=seed).abs()
    if isinstance(layer, NormActivation):
        layer.norm.bias.data -= 1
        layer.norm.weight.data[::2] *= -1
    if isinstance(getattr(layer, "activation", None), nn.PReLU):
        layer.activation.weight.data[0] = -0.4
    return layer.to(dtype)


def plain_norm(layer):
    """The same layer built from torch's own layers, with the same parameters."""
    n_channels, dtype = len(layer.norm.weight), layer.norm.weight.dtype
    activation = nn.PReLU(n_channels) if isinstance(layer.activation, nn.PReLU) else type(layer.activation)()
    plain = nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(n_channels), activation=activation)).to(dtype)
    plain.load_state_dict(layer.state_dict())
    return plain.train(layer.training)


def plain_convolution(layer):
    n_channels, stride, size = len(layer.weight), layer.stride, layer.kernel_size
    settings = {"padding": size[0] // 2, "groups": n_channels, "bias": False}
    plain = nn.Conv2d(n_channels, n_channels, size, stride, **settings).to(layer.weight.dtype)
    plain.load_state_dict(layer.state_dict())
    return plain


def values_of(layer, x, weighting=None):
    """Output, gradients of its weighted sum with respect to input and parameters, and running statistics."""
    x = x.clone().requires_grad_()
    output = layer(x)
    output.backward(torch.ones_like(output) if weighting is None else weighting)
    gradients = {name: parameter.grad for name, parameter in layer.named_parameters()}
    return {"output": output.detach(), "input": x.grad, **gradients, **dict(layer.named_buffers())}


def assert_all_close(actual, expected, **tolerance):
    assert actual.keys() == expected.keys()
    for name, values in actual.items():
        torch.testing.assert_close(values, expected[name], msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def assert_near(actual, expected, share):
    """Assert that differences are below a fraction of the largest value of each tensor."""
    assert actual.keys() == expected.keys()
    for name, values in actual.items():
        exact = expected[name].double()
        assert (values.double() - exact).abs().max() <= share * exact.abs().max(), name


@ACTIVATIONS
@DTYPES
@FORMATS
@SIZES
def test_norm_equals_the_plain_one(activation, dtype, memory_format, size):
    layer = with_noise(NormActivation(5, activation), dtype)
    x, weighting = noise(4, 5, *size, dtype=dtype, memory_format=memory_format), noise(4, 5, *size, dtype=dtype, seed=1)
    expected = values_of(plain_norm(layer), x, weighting)
    assert_all_close(values_of(layer, x, weighting), expected, **TOLERANCES[dtype])


@ACTIVATIONS
@pytest.mark.usefixtures("in_parts")
def test_norm_in_parts_equals_the_plain_one(activation):
    layer = with_noise(NormActivation(3, activation))
    x, weighting = noise(3, 3, 5, 7), noise(3, 3, 5, 7, seed=1)
    expected = values_of(plain_norm(layer), x, weighting)
    assert_all_close(values_of(layer, x, weighting), expected, **TOLERANCES[torch.float64])


@ACTIVATIONS
def test_norm_of_off_centre_and_scaled_input_equals_the_plain_one(activation):
    layer = with_noise(NormActivation(5, activation))
    x, weighting = 20 * noise(4, 5, 6, 7) - 60, 1e-3 * noise(4, 5, 6, 7, seed=1) + 1e-2
    expected = values_of(plain_norm(layer), x, weighting)
    assert_all_close(values_of(layer, x, weighting), expected, **TOLERANCES[torch.float64])


@ACTIVATIONS
@FORMATS
def test_layout_of_the_incoming_gradient_does_not_matter_to_the_norm(activation, memory_format):
    layer, x = with_noise(NormActivation(5, activation)), noise(2, 5, 3, 4)
    weighting = noise(2, 5, 3, 4, memory_format=memory_format, seed=1)
    expected = values_of(plain_norm(layer), x, weighting)
    assert_all_close(values_of(layer, x, weighting), expected, **TOLERANCES[torch.float64])


@ACTIVATIONS
def test_expanded_gradient_of_a_sum_reaches_through_the_norm(activation):
    layer = with_noise(NormActivation(5, activation))
    plain, inputs = plain_norm(layer), [noise(2, 5, 3, 4).requires_grad_() for _ in range(2)]
    for module, x in zip((layer, plain), inputs, strict=True):
        module(x).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, **TOLERANCES[torch.float64])
    torch.testing.assert_close(layer.norm.bias.grad, plain.norm.bias.grad, **TOLERANCES[torch.float64])


def test_own_gradients_of_prelu_are_taken_in_training_of_channels_last_only():
    layer, x = NormActivation(5), noise(2, 5, 3, 4, dtype=torch.float32)
    own = "_ChannelPReLUBackward"
    assert layer(x).grad_fn.name() == own
    assert layer(x.contiguous()).grad_fn.name() != own
    assert layer.eval()(x).grad_fn.name() != own
    assert layer.train()(x.detach()).requires_grad
    with torch.no_grad():
        assert layer(x).grad_fn is None


@ACTIVATIONS
@FORMATS
def test_running_statistics_follow_several_batches(activation, memory_format):
    layer = with_noise(NormActivation(5, activation))
    plain = plain_norm(layer)
    for seed in range(4):
        x = noise(3, 5, 4, 3, memory_format=memory_format, seed=seed) * (seed + 1) - seed
        layer(x), plain(x)
    assert layer.norm.num_batches_tracked == 4
    assert_all_close(dict(layer.named_buffers()), dict(plain.named_buffers()), **TOLERANCES[torch.float64])


@FORMATS
def test_running_statistics_follow_without_gradients_too(memory_format):
    layer, x = NormActivation(5).double(), noise(3, 5, 4, 3, memory_format=memory_format)
    with torch.no_grad():
        layer(x)
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * x.mean(dim=(0, 2, 3)))
    assert layer.norm.num_batches_tracked == 1


@ACTIVATIONS
@FORMATS
def test_norm_in_evaluation_equals_the_plain_one(activation, memory_format):
    layer = with_noise(NormActivation(5, activation)).eval()
    before = {name: values.clone() for name, values in layer.named_buffers()}
    x, weighting = noise(4, 5, 5, 7, memory_format=memory_format), noise(4, 5, 5, 7, seed=1)
    result = values_of(layer, x, weighting)
    assert_all_close(result, values_of(plain_norm(layer), x, weighting), **TOLERANCES[torch.float64])
    assert all(torch.equal(values, result[name]) for name, values in before.items())


def test_gradient_of_norm_and_prelu_agrees_with_finite_differences():
    layer = with_noise(NormActivation(3))
    x = noise(2, 3, 3, 2).requires_grad_()

    def output(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    names, parameters = zip(*layer.named_parameters(), strict=True)
    assert layer(x).grad_fn.name() == "_ChannelPReLUBackward"
    assert torch.autograd.gradcheck(output, (x, *parameters))


@ACTIVATIONS
@FORMATS
@pytest.mark.usefixtures("in_parts")
def test_norm_in_bfloat16_is_near_float32(activation, memory_format):
    layer = with_noise(NormActivation(5, activation), torch.float32)
    x = noise(4, 5, 9, 13, dtype=torch.bfloat16, memory_format=memory_format) + 0.5
    weighting = noise(4, 5, 9, 13, dtype=torch.bfloat16, seed=1)
    expected = values_of(plain_norm(layer), x.float(), weighting.float())
    with torch.autocast("cpu", torch.bfloat16):
        result = values_of(layer, x, weighting)
    assert result["output"].dtype == result["input"].dtype == torch.bfloat16
    assert_near(result, expected, 0.03)


@ACTIVATIONS
def test_parameters_and_statistics_stay_float32_in_bfloat16(activation):
    layer = NormActivation(5, activation)
    with torch.autocast("cpu", torch.bfloat16):
        result = values_of(layer, noise(4, 5, 3, 3, dtype=torch.bfloat16))
    floating = {name: values for name, values in result.items() if values.is_floating_point()}
    assert {values.dtype for name, values in floating.items() if name not in ("output", "input")} == {torch.float32}


def test_running_statistics_of_many_bfloat16_values_are_not_rounded():
    layer = NormActivation(2)
    x = 0.1 * noise(8, 2, 100, 100, dtype=torch.bfloat16) + 1
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
    variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3))
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * mean, rtol=1e-4, atol=0)
    torch.testing.assert_close(layer.norm.running_var, 0.9 + 0.1 * variance, rtol=1e-4, atol=0)


def test_rounding_of_bfloat16_sums_does_not_add_up(monkeypatch):
    monkeypatch.setattr("skasd.networks._cpu_layers._ELEMENTS_IN_CACHE", 2**10)
    layer, x = NormActivation(8, None), noise(8, 8, 60, 60, dtype=torch.bfloat16)
    weighting = noise(8, 8, 60, 60, seed=1).add(1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        result = values_of(layer, x, weighting)
    torch.testing.assert_close(result["norm.bias"], weighting.float().sum(dim=(0, 2, 3)), rtol=3e-4, atol=0)


@ACTIVATIONS
@FORMATS
def test_norm_of_off_centre_bfloat16_input_is_near_float32(activation, memory_format):
    layer = with_noise(NormActivation(8, activation), torch.float32)
    x = (noise(8, 8, 32, 40, memory_format=memory_format) + 3).bfloat16()
    weighting = (noise(8, 8, 32, 40, seed=1) + 1).bfloat16()
    expected = values_of(plain_norm(layer), x.float(), weighting.float())
    with torch.autocast("cpu", torch.bfloat16):
        result = values_of(layer, x, weighting)
    assert_near(result, expected, 0.03)


def test_one_value_per_channel_is_refused_in_training():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        NormActivation(5)(noise(1, 5, 1, 1, dtype=torch.float32))


def test_input_without_gradient_leaves_those_of_the_parameters():
    layer = with_noise(NormActivation(5))
    plain, x = plain_norm(layer), noise(2, 5, 3, 4)
    for module in (layer, plain):
        module(x).square().sum().backward()
    for own, other in zip(layer.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, **TOLERANCES[torch.float64])


def test_second_derivative_of_prelu_is_refused():
    x = noise(2, 5, 3, 4, dtype=torch.float32).requires_grad_()
    output = NormActivation(5)(x).pow(3).sum()
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        torch.autograd.grad(output, x, create_graph=True)


@DTYPES
@FORMATS
@SIZES
@pytest.mark.parametrize(("stride", "filter_size"), [(1, 3), (2, 3), (3, 3), (1, 5), (2, 5)])
def test_depthwise_convolution_equals_the_plain_one(stride, filter_size, dtype, memory_format, size):
    layer = with_noise(DepthwiseConv2d(5, stride, filter_size), dtype)
    x = noise(4, 5, *size, dtype=dtype, memory_format=memory_format)
    weighting = noise(*layer(x).shape, dtype=dtype, seed=1)
    expected = values_of(plain_convolution(layer), x, weighting)
    assert_all_close(values_of(layer, x, weighting), expected, **TOLERANCES[dtype])


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_depthwise_convolution_halves_and_rounds_up(stride):
    shape = DepthwiseConv2d(5, stride)(noise(2, 5, 7, 10, dtype=torch.float32)).shape
    assert shape == (2, 5, -(-7 // stride), -(-10 // stride))


@FORMATS
def test_layout_of_the_incoming_gradient_does_not_matter_to_the_convolution(memory_format):
    layer, x = with_noise(DepthwiseConv2d(5, 2)), noise(2, 5, 5, 7)
    weighting = noise(2, 5, 3, 4, memory_format=memory_format, seed=1)
    expected = values_of(plain_convolution(layer), x, weighting)
    assert_all_close(values_of(layer, x, weighting), expected, **TOLERANCES[torch.float64])


def test_expanded_gradient_of_a_sum_reaches_through_the_convolution():
    layer = with_noise(DepthwiseConv2d(5, 2))
    plain, inputs = plain_convolution(layer), [noise(2, 5, 5, 7).requires_grad_() for _ in range(2)]
    for module, x in zip((layer, plain), inputs, strict=True):
        module(x).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, **TOLERANCES[torch.float64])
    torch.testing.assert_close(layer.weight.grad, plain.weight.grad, **TOLERANCES[torch.float64])


def test_own_gradients_of_the_convolution_are_taken_of_strided_channels_last_only():
    x, own = noise(2, 5, 6, 7, dtype=torch.float32), "_StridedDepthwiseBackward"
    assert DepthwiseConv2d(5, 2)(x).grad_fn.name() == own
    assert DepthwiseConv2d(5, 2)(x.contiguous()).grad_fn.name() != own
    assert DepthwiseConv2d(5, 1)(x).grad_fn.name() != own
    with torch.no_grad():
        assert DepthwiseConv2d(5, 2)(x).grad_fn is None


@FORMATS
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolution_in_evaluation_equals_the_plain_one(stride, memory_format):
    layer = with_noise(DepthwiseConv2d(5, stride)).eval()
    x = noise(4, 5, 5, 7, memory_format=memory_format)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), plain_convolution(layer)(x), **TOLERANCES[torch.float64])


@FORMATS
@pytest.mark.parametrize("stride", [1, 2])
def test_gradient_of_the_depthwise_convolution_agrees_with_finite_differences(stride, memory_format):
    layer, x = DepthwiseConv2d(3, stride).double(), noise(2, 3, 5, 4, memory_format=memory_format).requires_grad_()

    def output(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(output, (x, layer.weight))


@FORMATS
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolution_in_bfloat16_is_near_float32(stride, given, memory_format):
    layer = with_noise(DepthwiseConv2d(16, stride), torch.float32)
    x = noise(4, 16, 9, 13, dtype=given, memory_format=memory_format)
    weighting = noise(*layer(x.float()).shape, dtype=torch.bfloat16, seed=1)
    expected = values_of(plain_convolution(layer), x.float(), weighting.float())
    with torch.autocast("cpu", torch.bfloat16):
        result = values_of(layer, x, weighting)
    assert (result["output"].dtype, result["input"].dtype) == (torch.bfloat16, given)
    assert result["weight"].dtype == torch.float32
    assert_near(result, expected, 0.02)


def global_pair(size, dtype=torch.float64):
    layer = with_noise(GlobalDepthwiseConv2d(5, size), dtype)
    plain = nn.Conv2d(5, 5, size, groups=5, bias=False).to(dtype)
    plain.weight.data[:, 0] = layer.weight.data
    return layer, nn.Sequential(plain, nn.Flatten())


def values_of_plain_global(plain, x, weighting):
    values = values_of(plain, x, weighting)
    values["weight"] = values.pop("0.weight")[:, 0]
    return values


@DTYPES
@FORMATS
@SIZES
def test_global_convolution_equals_the_plain_one(dtype, memory_format, size):
    layer, plain = global_pair(size, dtype)
    x = noise(4, 5, *size, dtype=dtype, memory_format=memory_format)
    weighting = noise(4, 5, dtype=dtype, memory_format=torch.contiguous_format, seed=1)
    expected = values_of_plain_global(plain, x, weighting)
    assert_all_close(values_of(layer, x, weighting), expected, **TOLERANCES[dtype])


@FORMATS
def test_global_convolution_in_evaluation_equals_the_plain_one(memory_format):
    layer, plain = global_pair((5, 7))
    x = noise(4, 5, 5, 7, memory_format=memory_format)
    with torch.no_grad():
        torch.testing.assert_close(layer.eval()(x), plain(x), **TOLERANCES[torch.float64])


def test_gradient_of_the_global_convolution_agrees_with_finite_differences():
    layer, _ = global_pair((3, 2))

    def output(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(output, (noise(2, 5, 3, 2).requires_grad_(), layer.weight))


@FORMATS
def test_global_convolution_in_bfloat16_is_near_float32(memory_format):
    layer, plain = global_pair((8, 20), torch.float32)
    x = noise(4, 5, 8, 20, dtype=torch.bfloat16, memory_format=memory_format) + 1
    weighting = noise(4, 5, dtype=torch.float32, memory_format=torch.contiguous_format, seed=1).bfloat16().float()
    expected = values_of_plain_global(plain, x.float(), weighting)
    with torch.autocast("cpu", torch.bfloat16):
        result = values_of(layer, x, weighting.bfloat16())
    assert result["output"].dtype == torch.bfloat16
    assert result["weight"].dtype == torch.float32
    assert_near(result, expected, 0.02)
