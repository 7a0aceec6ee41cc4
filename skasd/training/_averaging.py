"""State of a training: the trained weights, their exponential moving average (EMA), and the best result so far."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Learner(nn.Module):
    """Objective together with the moving average of its weights, in one module that a checkpoint can store.

    Parameters
    ----------
    objective : nn.Module
        Objective to train.
    ema_decay : float or None
        Decay of the exponential moving average (EMA) of the weights, in [0, 1]; None disables averaging.
    keeps_best : bool
        Whether to keep a copy of the best result so far.
    """

    n_steps: Tensor
    n_epochs: Tensor

    def __init__(self, objective: nn.Module, ema_decay: float | None, *, keeps_best: bool) -> None:
        super().__init__()
        self._of_clips = _buffers_of_clips(objective)
        self.student, self.ema_decay = objective, ema_decay
        self.average = None if ema_decay is None else _copy(objective)
        self.best = _copy(objective) if keeps_best else None
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("n_epochs", torch.zeros((), dtype=torch.int64))

    @property
    def result(self) -> nn.Module:
        """Module that is validated and returned: the moving average, or the trained weights if there is none."""
        return self.student if self.average is None else self.average

    def train(self, mode: bool = True) -> "Learner":
        """Set training or evaluation mode of the trained weights; the copies always stay in evaluation mode.

        Parameters
        ----------
        mode : bool, default=True
            Whether to set training mode.

        Returns
        -------
        self : Learner
            The module itself.
        """
        super().train(False)
        self.student.train(mode)
        return self

    @torch.no_grad()
    def update_average(self) -> None:
        r"""Update the moving average after a step: :math:`e \leftarrow \alpha_t e + (1 - \alpha_t) p`.

        The decay is :math:`\alpha_t = \min(\alpha, (1 + t) / (10 + t))` after :math:`t` steps, so that the random
        initialisation does not dominate short trainings. Batch-norm statistics are averaged like the weights.
        """
        step = int(self.n_steps)
        self.n_steps += 1
        if self.average is None or self.ema_decay is None:
            return
        decay = min(self.ema_decay, (1 + step) / (10 + step))
        current_state = self.student.state_dict()
        pairs = [
            (kept, current_state[name])
            for name, kept in self.average.state_dict().items()
            if name not in self._of_clips
        ]
        floating = [pair for pair in pairs if pair[0].is_floating_point()]
        averages, current = map(list, zip(*floating, strict=True))
        get_ema_multi_avg_fn(decay)(averages, current, None)
        for kept, value in pairs:
            if not kept.is_floating_point():
                kept.copy_(value)

    def shared_buffers(self) -> list[Tensor]:
        """Floating point buffers of the trained module that hold no clips, such as running statistics."""
        named = self.student.named_buffers()
        return [buffer for name, buffer in named if name not in self._of_clips and buffer.is_floating_point()]

    def keep_as_best(self) -> None:
        """Store the current result as the best."""
        if self.best is not None:
            state = {name: value for name, value in self.result.state_dict().items() if name not in self._of_clips}
            self.best.load_state_dict(state, strict=False)


def _buffers_of_clips(objective: nn.Module) -> set[str]:
    """Names of buffers that hold clips, in modules with ``holds_clips``; averaging them would be meaningless."""
    holders = [(name, module) for name, module in objective.named_modules() if getattr(module, "holds_clips", False)]
    return {f"{name}.{buffer}".lstrip(".") for name, module in holders for buffer, _ in module.named_buffers()}


def _copy(objective: nn.Module) -> nn.Module:
    """Copy in evaluation mode, without the clips that modules hold."""
    holders = [module for module in objective.modules() if getattr(module, "holds_clips", False)]
    empty = {id(buffer): buffer.new_empty(0) for module in holders for buffer in module.buffers()}
    return deepcopy(objective, empty).requires_grad_(False).eval()
