"""OS-SCL in plain PyTorch, trained and scored the way its published code does it: the peer of the speed benchmark.

The log-mel of every clip is computed anew on the CPU, one clip at a time, inside the data set; the networks are stock
PyTorch modules in float32; the averaged weights follow the trained ones in a Python loop over tensors. Left out is what
would only cost time here: reading files, validation, the learning-rate schedule, and unused layers.

S. Huang et al., "Noise supervised contrastive learning and feature-perturbed for anomalous sound detection", ICASSP 2025,
arXiv:2509.13853.

Axes: B clips, C channels, F mel bands, T frames, L time points, D embedding, K classes.
"""

import copy
import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

try:
    from torchaudio.transforms import MelSpectrogram
except (ImportError, OSError, RuntimeError):  # absent, or built for another torch
    MelSpectrogram = None

SAMPLE_RATE, N_FFT, HOP_LENGTH, N_MELS = 16000, 2048, 512, 128
EMBEDDING_DIM, BOTTLENECK_DIM = 128, 64
MARGIN, SCALE = 0.4, 30.0
TEMPERATURE, BASE_TEMPERATURE = 0.02, 0.07
LEARNING_RATE, DECAY = 1e-4, 0.9999


# Log-mel and data set


def slaney_filterbank():
    """Triangles on Slaney's mel scale, linear below 1 kHz and logarithmic above, each of unit area."""
    mels_at_1khz, mels_per_factor = 15.0, 27 / math.log(6.4)
    highest = mels_at_1khz + mels_per_factor * math.log(SAMPLE_RATE / 2 / 1000)
    mel = np.linspace(0, highest, N_MELS + 2)
    edge = np.where(mel < mels_at_1khz, mel * 200 / 3, 1000 * np.exp((mel - mels_at_1khz) / mels_per_factor))
    low, peak, high = edge[:-2, None], edge[1:-1, None], edge[2:, None]
    frequency = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    triangle = np.minimum((frequency - low) / (peak - low), (high - frequency) / (high - peak))
    return torch.from_numpy(triangle.clip(min=0) * 2 / (high - low)).float()  # (F, N_FFT / 2 + 1)


class StftMelSpectrogram(nn.Module):
    """What torchaudio's MelSpectrogram computes, where it cannot be imported."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT))
        self.register_buffer("filterbank", slaney_filterbank())

    def forward(self, waveform):
        """Mel power (F, T) of a waveform (L,)."""
        spectrum = torch.stft(
            waveform, N_FFT, HOP_LENGTH, window=self.window, center=True, pad_mode="constant", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()  # (N_FFT / 2 + 1, T)
        return self.filterbank @ power  # (F, T)


def mel_spectrogram():
    if MelSpectrogram is None:
        return StftMelSpectrogram()
    return MelSpectrogram(
        SAMPLE_RATE, N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS, pad_mode="constant", norm="slaney", mel_scale="slaney"
    )


class Clips(Dataset):
    """Clips in memory, whose log-mel is computed each time a clip is asked for."""

    def __init__(self, waveforms, labels):
        self.waveforms = np.asarray(waveforms, dtype=np.float32)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.mel = mel_spectrogram()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """Log-mel in dB (F, T), waveform (L,) and label of one clip."""
        waveform = torch.from_numpy(self.waveforms[index])
        log_mel = 10 * self.mel(waveform).clamp(min=1e-10).log10()
        return log_mel, waveform, self.labels[index]


# Networks


class TgramNet(nn.Module):
    """A filterbank that is learnt, and three layers behind it."""

    def __init__(self, n_frames):
        super().__init__()
        self.filters = nn.Conv1d(1, N_MELS, 1024, stride=HOP_LENGTH, padding=512, bias=False)
        layers = []
        for _ in range(3):
            smooth = nn.Conv1d(N_MELS, N_MELS, 3, padding=1, bias=False)
            layers += [nn.LayerNorm(n_frames), nn.LeakyReLU(0.2), smooth]
        self.layers = nn.Sequential(*layers)

    def forward(self, waveform):
        x = self.filters(waveform[:, None])  # (B, L) -> (B, F, T)
        return self.layers(x)


class TFgramNet(nn.Module):
    """The one-dimensional front of PANNs' Wavegram, pooled to the frames of the log-mel."""

    def __init__(self, n_frames):
        super().__init__()
        self.layers = nn.Sequential(
            *conv1d(1, 64, 11, stride=5, padding=5),  # (B, 1, L) -> (B, 64, L / 5)
            *conv1d(64, 64, 3, padding=1),
            *conv1d(64, 64, 3, padding=2, dilation=2),
            nn.MaxPool1d(4),  # (B, 64, L / 20)
            *conv1d(64, N_MELS, 3, padding=1),
            *conv1d(N_MELS, N_MELS, 3, padding=2, dilation=2),
            nn.AdaptiveMaxPool1d(2 * n_frames),  # (B, F, 2 T)
            *conv1d(N_MELS, N_MELS, 3, padding=1),
            *conv1d(N_MELS, N_MELS, 3, padding=2, dilation=2),
            nn.AdaptiveMaxPool1d(n_frames),  # (B, F, T)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, waveform):
        return self.layers(waveform[:, None])


def conv1d(n_in, n_out, width, **options):
    return nn.Conv1d(n_in, n_out, width, bias=False, **options), nn.BatchNorm1d(n_out), nn.ReLU()


def conv2d(n_in, n_out, size, **options):
    return nn.Conv2d(n_in, n_out, size, bias=False, **options), nn.BatchNorm2d(n_out)


def depthwise(n_channels, stride):
    return conv2d(n_channels, n_channels, 3, stride=stride, padding=1, groups=n_channels)


class Bottleneck(nn.Module):
    """Widen, filter each channel, narrow; the input is added where the shape allows."""

    def __init__(self, n_in, n_out, expansion, stride):
        super().__init__()
        width = expansion * n_in
        self.shortcut = stride == 1 and n_in == n_out
        self.layers = nn.Sequential(
            *conv2d(n_in, width, 1),
            nn.PReLU(width),
            *depthwise(width, stride),
            nn.PReLU(width),
            *conv2d(width, n_out, 1),
        )

    def forward(self, x):
        return self.layers(x) + x if self.shortcut else self.layers(x)


class MobileFaceNet(nn.Module):
    """The small variant, from images to embeddings."""

    def __init__(self, n_channels, n_frames):
        super().__init__()
        map_size = tuple(math.ceil(size / 16) for size in (N_MELS, n_frames))  # four layers of stride 2
        self.layers = nn.Sequential(
            *conv2d(n_channels, 64, 3, stride=2, padding=1),
            nn.PReLU(64),
            *depthwise(64, 1),
            nn.PReLU(64),  # (B, 64, F / 2, T / 2)
            Bottleneck(64, 128, 2, 2),
            Bottleneck(128, 128, 2, 1),  # (B, 128, F / 4, T / 4)
            Bottleneck(128, 128, 4, 2),
            Bottleneck(128, 128, 4, 1),  # (B, 128, F / 8, T / 8)
            Bottleneck(128, 128, 4, 2),
            Bottleneck(128, 128, 4, 1),  # (B, 128, F / 16, T / 16)
            *conv2d(128, 512, 1),
            nn.PReLU(512),
            *conv2d(512, 512, map_size, groups=512),  # (B, 512, 1, 1)
            *conv2d(512, EMBEDDING_DIM, 1),
            nn.Flatten(),  # (B, D)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                height, width = module.kernel_size
                nn.init.normal_(module.weight, std=math.sqrt(2 / (height * width * module.out_channels)))

    def forward(self, image):
        return self.layers(image)


def perturbation_head():
    """OS-SCL's feature perturbation: a learnt bottleneck without noise."""
    return nn.Sequential(
        nn.Linear(EMBEDDING_DIM, BOTTLENECK_DIM),
        nn.ReLU(),
        nn.BatchNorm1d(BOTTLENECK_DIM),
        nn.Linear(BOTTLENECK_DIM, EMBEDDING_DIM),
        nn.ReLU(),
        nn.BatchNorm1d(EMBEDDING_DIM),
    )


class Network(nn.Module):
    """The whole: images of the clip, stacked as channels, to a unit embedding and margined logits.

    ``branches`` are the channels in their order, of "log_mel", "tgram" and "tfgram".
    """

    def __init__(self, branches, n_classes, n_timepoints):
        super().__init__()
        n_frames = 1 + n_timepoints // HOP_LENGTH
        learnt = {"tgram": TgramNet, "tfgram": TFgramNet}
        self.branches = tuple(branches)
        self.images = nn.ModuleDict({name: learnt[name](n_frames) for name in self.branches if name != "log_mel"})
        self.encoder = MobileFaceNet(len(self.branches), n_frames)
        self.perturbation = perturbation_head()
        self.centres = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_classes, EMBEDDING_DIM)))

    def forward(self, log_mel, waveform, label):
        """Embedding (B, D) and logits (B, K) of log-mels (B, F, T) and waveforms (B, L), with the margin on label (B,)."""
        images = [log_mel if name == "log_mel" else self.images[name](waveform) for name in self.branches]
        embedding = self.encoder(torch.stack(images, dim=1))  # (B, C, F, T) -> (B, D)
        embedding = functional.normalize(self.perturbation(embedding))
        cosine = functional.linear(embedding, functional.normalize(self.centres))  # (B, K)
        return embedding, arcface_logits(cosine, label)


# Losses


def arcface_logits(cosine, label, margin=MARGIN):
    """Scaled cosines (B, K), with the angle to the centre of the label widened by the margin."""
    target = cosine.gather(1, label[:, None])  # (B, 1)
    sine = (1 - target.square()).clamp(min=1e-12).sqrt()  # a finite gradient where the angle is 0
    widened = target * math.cos(margin) - sine * math.sin(margin)
    beyond = target - margin * math.sin(margin)  # where angle + margin would pass pi
    widened = torch.where(target > -math.cos(margin), widened, beyond)
    return SCALE * cosine.scatter(1, label[:, None], widened)


def noisy_margin_loss(logits, label, partner, share):
    """Cross-entropies of both labels of a mixed clip, from one set of logits: the margin stays on the first."""
    first, second = functional.cross_entropy(logits, label), functional.cross_entropy(logits, partner)
    return share * first + (1 - share) * second


def contrastive_loss(embedding, label, temperature=TEMPERATURE):
    """Supervised contrastive loss of unit embeddings (B, D); a clip alone in its class counts as 0."""
    similarity = embedding @ embedding.T / temperature  # (B, B)
    itself = torch.eye(len(label), dtype=torch.bool, device=label.device)
    positive = (label[:, None] == label) & ~itself
    total = similarity.masked_fill(itself, -math.inf).logsumexp(dim=1, keepdim=True)
    log_share = torch.where(positive, similarity - total, 0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return -temperature / BASE_TEMPERATURE * log_share.mean()


# Training and scoring


def mixup(log_mel, waveform, label, share):
    """Mix each clip with another of the batch; log-mels are mixed in dB. Gives the label of the partner too."""
    order = torch.randperm(len(label))
    return torch.lerp(log_mel[order], log_mel, share), torch.lerp(waveform[order], waveform, share), label[order]


def training_loss(network, log_mel, waveform, label, share):
    mixed_log_mel, mixed_waveform, partner = mixup(log_mel, waveform, label, share)
    embedding, logits = network(mixed_log_mel, mixed_waveform, label)
    return noisy_margin_loss(logits, label, partner, share) + contrastive_loss(embedding, label)


def float_tensors(network):
    """Weights and statistics of batch normalisation; views, which follow the network."""
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]


@torch.no_grad()
def update_average(averages, tensors):
    for average, tensor in zip(averages, tensors, strict=True):
        average.mul_(DECAY).add_(tensor, alpha=1 - DECAY)


def train(waveforms, labels, branches, *, max_epochs, batch_size=64, num_workers=0, n_classes=41):
    """Averaged network and the seconds of each epoch.

    Draws from torch's global generator. Batch normalisation refuses a last batch of a single clip.
    """
    clips = Clips(waveforms, labels)
    loader = DataLoader(clips, batch_size, shuffle=True, num_workers=num_workers, persistent_workers=num_workers > 0)
    network = Network(branches, n_classes, clips.waveforms.shape[1])
    averaged = copy.deepcopy(network).requires_grad_(False).eval()
    averages, tensors = float_tensors(averaged), float_tensors(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    beta = torch.distributions.Beta(0.5, 0.5)
    seconds = []
    for _ in range(max_epochs):
        start = time.perf_counter()
        for log_mel, waveform, label in loader:
            loss = training_loss(network, log_mel, waveform, label, beta.sample().item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            update_average(averages, tensors)
        seconds.append(time.perf_counter() - start)
    return averaged, seconds


@torch.no_grad()
def score(network, waveforms, labels, batch_size):
    """Anomaly scores (n,): cross-entropy of the margined logits for the known label; high = anomalous."""
    network.eval()
    scores = []
    for log_mel, waveform, label in DataLoader(Clips(waveforms, labels), batch_size):
        _, logits = network(log_mel, waveform, label)
        scores.append(functional.cross_entropy(logits, label, reduction="none"))  # (B,)
    return torch.cat(scores).numpy()
