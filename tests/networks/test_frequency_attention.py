import torch

from skasd.networks import FrequencyAttention, FrequencyGate, OSSCLNet


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_attention_has_the_number_of_parameters_of_the_specification():
    assert sum(parameter.numel() for parameter in FrequencyAttention(313).parameters()) == 57_209


def test_attention_gives_an_image_of_the_size_of_the_log_mel():
    assert FrequencyAttention(313)(noise(2, 128, 313)).shape == (2, 128, 313)


def test_attention_knows_no_order_of_the_bands_and_looks_at_all():
    attention, log_mel = FrequencyAttention(20).eval(), noise(1, 16, 20)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(attention(log_mel[:, order]), attention(log_mel)[:, order])
    other = log_mel.clone()
    other[:, 3] += 5
    assert ((attention(other) - attention(log_mel)).abs().amax(dim=2) > 1e-6).all()


def test_as_a_branch_it_is_one_more_image_of_the_log_mel():
    network = OSSCLNet(("log_mel", "frequency_attention"), (32, 40)).eval()
    assert network.encoder.stem[0].in_channels == 2
    log_mel = noise(2, 32, 40)
    assert network({"log_mel": log_mel}).shape == (2, 128)


def test_gate_weighs_each_band_by_mean_and_spread_of_all():
    gate, spectrogram = FrequencyGate(32), noise(2, 32, 9)
    first, second = gate.weigh[0].weight, gate.weigh[2].weight
    seen = torch.cat([spectrogram.mean(dim=2), spectrogram.std(dim=2, unbiased=False)], dim=1)
    weight = torch.sigmoid(torch.relu(seen @ first.T) @ second.T)
    torch.testing.assert_close(gate(spectrogram), spectrogram * weight[:, :, None])
    assert ((weight > 0) & (weight < 1)).all()


def test_gate_has_no_bias_and_takes_any_number_of_bands_and_frames():
    assert [name for name, _ in FrequencyGate(500).named_parameters()] == ["weigh.0.weight", "weigh.2.weight"]
    assert FrequencyGate(3)(noise(1, 3, 1)).shape == (1, 3, 1)
