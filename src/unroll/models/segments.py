"""Segment-wise encoding and decoding: a recurrent network that reads and writes many steps at a time."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll import kernels
from unroll.models.checks import checked_share, checked_size
from unroll.models.forecast import ForecastNetwork
from unroll.models.normalise import Level, Normalisation
from unroll.nn import Recurrent


class SegmentForecast(ForecastNetwork):
    r"""SegRNN (Lin et al. 2023): segments of w steps in, segments of w steps out.

    Every target is a sequence of its own (channel-independent). It is cut into n = ⌈T / w⌉ segments, and the encoder
    reads one per step:

    .. math:: h_n = \mathrm{encoder}(e_1, \dots, e_n), \qquad e_i = \mathrm{ReLU}(W_e x'_{(i-1)w+1 \dots iw} + b_e)

    Parallel decoding (PMF) repeats the last state for each of m = ⌈h / w⌉ segments of the horizon and takes one step
    from it with the same cell; its input says which segment of which target is asked for:

    .. math:: \hat y'^{(k)} = W_o \,\mathrm{dropout}(\mathrm{step}([p_k; c], h_n)) + b_o, \qquad k = 1 \dots m

    with p (m, d/2) and c (targets, d/2) learned; a single target has p (m, d) alone. Recurrent decoding (RMF,
    ``recurrent=True``) feeds every segment back instead:

    .. math:: \hat y'^{(k)} = W_o \,\mathrm{dropout}(h_{n+k-1}) + b_o, \qquad
        h_{n+k} = \mathrm{step}(\mathrm{ReLU}(W_e \hat y'^{(k)} + b_e), h_{n+k-1})

    A history that is no multiple of w is filled in front with its first value; of the last segment of the horizon what
    is beyond it is cut off.

    Args:
        encoder: reads d = ``encoder.input_size`` features; any cell, any number of layers.
        segment: w.
        dropout: share of what the output layer reads that is zeroed in training.
        recurrent: RMF instead of PMF.

    The others, and shapes, as in ``ForecastNetwork``; ``x`` has no channels but the targets.

    Raises:
        ConfigError: an impossible ``segment`` or ``dropout``.

    Example::

        >>> encoder = Recurrent(GRUCell(16, 16), batch_first=True)
        >>> network = SegmentForecast(encoder, targets=7, horizon=96, segment=24)
        >>> x = torch.randn(4, 720, 7)
        >>> network(x, x[:, -1]).shape
        torch.Size([4, 96, 7])
    """

    summarises: ClassVar[bool] = False

    def __init__(
        self,
        encoder: Recurrent,
        targets: int,
        horizon: int,
        segment: int,
        normalise: Normalisation | None = None,
        quantiles: int | None = None,
        *,
        dropout: float = 0.0,
        recurrent: bool = False,
    ) -> None:
        super().__init__(encoder, targets, horizon, normalise, quantiles)
        self.reads = checked_size("segment", segment)
        self.dropout, self.recurrent = checked_share("dropout", dropout), recurrent
        width = encoder.input_size
        self.project = nn.Linear(segment, width)
        self.head = nn.Linear(encoder.output_size, segment * self.numbers)
        self.segments = -(-horizon // segment)
        if not recurrent:
            of_channel = width // 2 if targets > 1 else 0
            self.position = nn.Parameter(torch.randn(self.segments, width - of_channel))
            self.channel = nn.Parameter(torch.randn(targets, of_channel)) if of_channel else None

    def read(self, x: Tensor, level: Level) -> Tensor:
        """(batch · targets, n, d): the segments of every target, projected."""
        values = self.normalise(x, level).transpose(1, 2).flatten(0, 1)
        missing = -values.shape[1] % self.reads
        if missing:
            values = torch.cat([values[:, :1].expand(-1, missing), values], 1)
        return self._projected(values.unflatten(1, (-1, self.reads)))

    def decode(self, read: Tensor, future: Tensor | None) -> Tensor:
        output, state = self.encoder(read)
        told = self._fed_back(output[:, -1], state) if self.recurrent else self._at_once(state, read.shape[0])
        told = told.unflatten(0, (-1, self.targets)).transpose(1, 2)[:, : self.horizon]
        return told if self.quantiles is not None else told.squeeze(-1)

    def from_summary(self, summary: Tensor, read: Tensor, level: Level, future: Tensor | None) -> Tensor:
        raise NotImplementedError("segments are decoded from the encoder's state, of which its output is a part")

    def _projected(self, segments: Tensor) -> Tensor:
        return F.relu(self.project(segments))

    def _at_once(self, state: tuple[object, ...], rows: int) -> Tensor:
        """(rows, m · w, numbers) by one step from the last state, repeated for every segment."""
        repeated = [kernels.map_state(lambda leaf: leaf.repeat_interleave(self.segments, 0), own) for own in state]
        asked = self.position.expand(self.targets, -1, -1)
        if self.channel is not None:
            asked = torch.cat([asked, self.channel.unsqueeze(1).expand(-1, self.segments, -1)], -1)
        asked = asked.flatten(0, 1).repeat(rows // self.targets, 1)
        output, _ = self.encoder(asked.unsqueeze(1), repeated)
        return self._written(output[:, 0]).view(rows, self.segments * self.reads, self.numbers)

    def _fed_back(self, output: Tensor, state: tuple[object, ...]) -> Tensor:
        """(rows, m · w, numbers), every segment read before the next is written."""
        written = [self._written(output)]
        while len(written) < self.segments:
            output, state = self.encoder(self._projected(written[-1].squeeze(-1)).unsqueeze(1), state)
            output = output[:, 0]
            written.append(self._written(output))
        return torch.cat(written, 1)

    def _written(self, output: Tensor) -> Tensor:
        """(rows, w, numbers) from outputs (rows, output_size)."""
        dropped = F.dropout(output, self.dropout, self.training)
        return self.head(dropped).unflatten(-1, (self.reads, self.numbers))
