import numpy as np
import pytest
import torch

from skasd.augmentations import draw_mixing
from skasd.losses import ArcFaceHead, noisy_arcmix_loss, supervised_contrastive_loss
from skasd.networks import OSSCLNet
from skasd.objectives._osscl import OSSCLObjective, OSSCLOptions

N_CLASSES = 41
CONFIGURATIONS = {  # branches, perturbation head, bottlenecks, published number of parameters
    "osscl": (("log_mel", "tgram", "tfgram"), True, "2023", 1_372_246),
    "osscl_mel": (("log_mel",), True, "2023", 891_968),
    "osscl_mel_tgram": (("log_mel", "tgram"), True, "2023", 1_172_950),
    "osscl_mel_tfgram": (("log_mel", "tfgram"), True, "2023", 1_091_264),
    "stgram_mfn": (("log_mel", "tgram"), False, "2023", 1_155_990),
    "noisy_arcmix": (("tgram", "log_mel", "tagram"), False, "2023", 1_156_566),
    "stgram_mfn_2021": (("log_mel", "tgram"), False, "2021", 1_345_046),
}
OPTIONS = {
    "osscl": OSSCLOptions(),
    "osscl_mel": OSSCLOptions(),
    "osscl_mel_tgram": OSSCLOptions(),
    "osscl_mel_tfgram": OSSCLOptions(),
    "stgram_mfn": OSSCLOptions(margin=0.7, mixup_alpha=None, contrastive_weight=0),
    "noisy_arcmix": OSSCLOptions(margin=0.7, contrastive_weight=0),
    "stgram_mfn_2021": OSSCLOptions(margin=0.7, mixup_alpha=None, contrastive_weight=0),
}
configurations = pytest.mark.parametrize("name", CONFIGURATIONS)
BRANCHES = {branches: branches for branches, *_ in CONFIGURATIONS.values()}
combinations = pytest.mark.parametrize("branches", BRANCHES, ids="+".join)


def build(name, size=(128, 313), **settings):
    branches, perturbation_head, bottlenecks, _ = CONFIGURATIONS[name]
    return OSSCLNet(branches, size, perturbation_head=perturbation_head, bottlenecks=bottlenecks, **settings)


def clips(size, n_timepoints, n_clips=4, dtype=torch.float32):
    shared = torch.Generator().manual_seed(0)
    log_mel = 15 * torch.randn(n_clips, *size, dtype=torch.float64, generator=shared) - 50  # dB
    waveform = 0.3 * torch.randn(n_clips, n_timepoints, dtype=torch.float64, generator=shared)
    return {"log_mel": log_mel.to(dtype), "waveform": waveform.to(dtype)}


def inputs_of(branches, size=(16, 12), n_timepoints=352, **settings):
    needed = {"log_mel" if branch in ("log_mel", "tagram") else "waveform" for branch in branches}
    return {name: values for name, values in clips(size, n_timepoints, **settings).items() if name in needed}


def small(name, **settings):
    return build(name, (16, 12), hop_length=32, **settings)


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@configurations
def test_published_number_of_parameters(name):
    objective = OSSCLObjective(build(name), ArcFaceHead(128, N_CLASSES), OPTIONS[name])
    assert n_parameters(objective) == CONFIGURATIONS[name][-1]


@torch.no_grad()
def test_published_shapes_of_ten_second_clips():
    network, shapes = build("osscl").eval(), {}
    for part, module in {**network.branches, "encoder": network.encoder, "head": network.head}.items():
        module.register_forward_hook(lambda module, inputs, output, part=part: shapes.update({part: output.shape}))
    network.encoder.register_forward_pre_hook(lambda module, inputs: shapes.update(stack=inputs[0].shape))
    embedding = network(clips((128, 313), 160_000, n_clips=2))
    images = dict.fromkeys(("log_mel", "tgram", "tfgram"), (2, 128, 313))
    assert shapes == {**images, "stack": (2, 3, 128, 313), "encoder": (2, 128), "head": (2, 128)}
    assert embedding.shape == (2, 128)


def test_images_are_stacked_in_the_order_of_the_branches():
    network, stacks = small("noisy_arcmix").eval(), []
    network.encoder.register_forward_pre_hook(lambda module, inputs: stacks.append(inputs[0]))
    inputs = clips((16, 12), 352)
    network(inputs)
    expected = [network.branches["tgram"](inputs["waveform"]), inputs["log_mel"]]
    expected.append(network.branches["tagram"](inputs["log_mel"]))
    for channel, image in enumerate(expected):
        torch.testing.assert_close(stacks[0][:, channel], image)


@pytest.mark.parametrize("size, n_timepoints", [((16, 2), 40), ((15, 33), 1050), ((5, 7), 200), ((128, 3), 3)], ids=str)
@combinations
def test_any_size_of_clip_gives_an_embedding(branches, size, n_timepoints):
    network = OSSCLNet(branches, size, hop_length=32, embedding_dim=6)
    for training in (True, False):
        embedding = network.train(training)(inputs_of(branches, size, n_timepoints))
        assert embedding.shape == (4, 6)
        assert embedding.isfinite().all()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@configurations
def test_embeddings_have_unit_length(name, dtype, training):
    network = small(name).to(dtype).train(training)
    embedding = network(inputs_of(CONFIGURATIONS[name][0], dtype=dtype))
    assert embedding.dtype == dtype
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4, dtype=dtype), rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@configurations
def test_embeddings_of_bfloat16_networks_are_float32_of_unit_length(name, training):
    network = small(name).train(training)
    with torch.autocast("cpu", torch.bfloat16):
        embedding = network(inputs_of(CONFIGURATIONS[name][0]))
    assert embedding.dtype == torch.float32
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4), rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_in_the_network_is_random(training):
    network, inputs, embeddings = small("osscl").train(training), clips((16, 12), 352), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        embeddings.append(network(inputs))
    assert torch.equal(*embeddings)


def test_perturbation_head_is_on_the_way_in_evaluation_too():
    network, inputs = small("osscl").eval(), clips((16, 12), 352)
    before = network(inputs)
    network.head.layers[-1].bias.data[0] += 1
    assert not torch.allclose(network(inputs), before)


def test_scored_clip_does_not_depend_on_its_batch():
    network, inputs = small("osscl").double(), clips((16, 12), 352, dtype=torch.float64)
    network(inputs)
    network.eval()
    alone = network({name: values[1:2] for name, values in inputs.items()})
    torch.testing.assert_close(network(inputs)[1:2], alone, rtol=0, atol=1e-10)


def idle_parameters(objective):
    """Names of parameters whose gradient is missing, zero everywhere or not finite."""
    gradients = {name: parameter.grad for name, parameter in objective.named_parameters()}
    assert gradients
    return [name for name, g in gradients.items() if g is None or not (g.isfinite().all() and (g != 0).any())]


@configurations
@pytest.mark.parametrize("channels_last", [True, False], ids=["last", "plain"])
def test_every_parameter_learns(name, channels_last):
    torch.manual_seed(0)
    network = small(name, channels_last=channels_last)
    objective = OSSCLObjective(network, ArcFaceHead(128, 3), OPTIONS[name])
    label = torch.tensor([0, 0, 1, 2])
    objective(inputs_of(CONFIGURATIONS[name][0]), label, torch.Generator().manual_seed(0)).backward()
    assert idle_parameters(objective) == []


@configurations
def test_every_parameter_learns_in_bfloat16(name):
    torch.manual_seed(0)
    objective = OSSCLObjective(small(name), ArcFaceHead(128, 3), OPTIONS[name])
    label = torch.tensor([0, 0, 1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(inputs_of(CONFIGURATIONS[name][0]), label, torch.Generator().manual_seed(0))
    loss.backward()
    assert idle_parameters(objective) == []


@combinations
def test_layout_in_memory_does_not_change_the_gradients(branches):
    results = []
    for channels_last in (True, False):
        torch.manual_seed(0)
        network = OSSCLNet(branches, (16, 12), hop_length=32, channels_last=channels_last)
        objective = OSSCLObjective(network, ArcFaceHead(128, 3), OSSCLOptions()).double()
        generator = torch.Generator().manual_seed(0)
        loss = objective(inputs_of(branches, dtype=torch.float64), torch.tensor([0, 0, 1, 2]), generator)
        loss.backward()
        results.append({"loss": loss.detach(), **{name: p.grad for name, p in objective.named_parameters()}})
    for name, values in results[0].items():
        torch.testing.assert_close(values, results[1][name], rtol=1e-6, atol=1e-8, msg=name)


class Recorder(torch.nn.Module):
    """Network that records its inputs; its embeddings are the first values of all inputs, joined."""

    def forward(self, inputs, label=None, generator=None, mix=None):
        if mix is not None:
            inputs = {name: mix(values) for name, values in inputs.items()}
        self.inputs = inputs
        joined = torch.cat([values.flatten(1)[:, :3] for values in inputs.values()], dim=1)
        return torch.nn.functional.normalize(joined)


def objective_on_inputs(**options):
    torch.manual_seed(0)
    head = ArcFaceHead(6, 3, margin=0.4, scale=30.0).double()
    return OSSCLObjective(Recorder(), head, OSSCLOptions(**options))


def test_spectrogram_and_waveform_of_a_batch_are_mixed_alike():
    objective, inputs = objective_on_inputs(), clips((4, 3), 20, dtype=torch.float64)
    objective(inputs, torch.tensor([0, 0, 1, 2]), torch.Generator().manual_seed(5))
    mixing = draw_mixing(4, 0.5, torch.Generator().manual_seed(5))
    for name, values in inputs.items():
        assert torch.equal(objective.network.inputs[name], mixing(values))
        assert not torch.equal(objective.network.inputs[name], values)


def test_clips_are_left_alone_without_mixup():
    objective, inputs = objective_on_inputs(mixup_alpha=None), clips((4, 3), 20, dtype=torch.float64)
    objective(inputs, torch.tensor([0, 0, 1, 2]), torch.Generator())
    assert all(torch.equal(objective.network.inputs[name], values) for name, values in inputs.items())


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.3])
def test_loss_is_the_noisy_cross_entropy_and_the_weighted_contrastive_loss_of_the_first_labels(weight):
    objective, inputs = objective_on_inputs(contrastive_weight=weight), clips((4, 3), 20, dtype=torch.float64)
    label = torch.tensor([0, 0, 1, 2])
    loss = objective(inputs, label, torch.Generator().manual_seed(5))
    mixing = draw_mixing(4, 0.5, torch.Generator().manual_seed(5))
    embedding = Recorder()({name: mixing(values) for name, values in inputs.items()})
    logits = objective.head(embedding, label)
    expected = noisy_arcmix_loss(logits, label, label[mixing.partner], mixing.share)
    expected = expected + weight * supervised_contrastive_loss(embedding, label, temperature=0.02)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_margin_on_both_labels_is_arcmix():
    inputs, label = clips((4, 3), 20, dtype=torch.float64), torch.tensor([0, 0, 1, 2])
    objective = objective_on_inputs(mix_margin="both", contrastive_weight=0)
    loss = objective(inputs, label, torch.Generator().manual_seed(5))
    mixing = draw_mixing(4, 0.5, torch.Generator().manual_seed(5))
    embedding = objective.network.forward({name: mixing(values) for name, values in inputs.items()})
    share, cross_entropies = mixing.share.item(), []
    for own in (label, label[mixing.partner]):
        log_probability = objective.head(embedding, own).log_softmax(dim=1).detach().numpy()
        cross_entropies.append(-np.mean([row[c] for row, c in zip(log_probability, own.tolist(), strict=True)]))
    assert loss.item() == pytest.approx(share * cross_entropies[0] + (1 - share) * cross_entropies[1], rel=1e-12)


def test_validation_loss_is_the_cross_entropy_of_clean_clips():
    objective, inputs = objective_on_inputs(), clips((4, 3), 20, dtype=torch.float64)
    label = torch.tensor([0, 0, 1, 2])
    loss = objective.validation_loss(inputs, label)
    log_probability = objective.head(Recorder()(inputs), label).log_softmax(dim=1)
    assert loss.item() == pytest.approx(-log_probability[range(4), label].mean().item(), rel=1e-12)
