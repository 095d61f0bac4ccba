"""Decoders against loops over ``step``, for every cell and every normalisation."""

import pytest
import torch
import torch.nn.functional as F

from unroll.errors import ConfigError
from unroll.models import NORMALISATIONS, DirectForecast, RecursiveForecast, RevIN, SegmentForecast, normalisation
from unroll.nn import CELLS, Recurrent

WIDTH, TARGETS, BATCH = 6, 3, 2
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def encoder(cell="gru", reads=WIDTH, layers=1):
    return Recurrent(CELLS[cell].make(reads, WIDTH), layers, batch_first=True)


def direct(cell="gru", horizon=5, normalise=None, **options):
    return DirectForecast(encoder(cell, TARGETS), TARGETS, horizon, normalise, **options)


def segments(cell="gru", horizon=5, normalise=None, segment=4, **options):
    return SegmentForecast(encoder(cell, layers=2), TARGETS, horizon, segment, normalise, **options)


def fed_back(cell="gru", horizon=5, normalise=None):
    return segments(cell, horizon, normalise, recurrent=True)


def recursive(cell="gru", horizon=5, normalise=None):
    return RecursiveForecast(encoder(cell, TARGETS, 2), TARGETS, horizon, normalise)


DECODERS = {"direct": direct, "segments": segments, "segments-recurrent": fed_back, "recursive": recursive}


def doubled(make, *args, **options):
    """In float64, its parameters away from what they start as."""
    torch.manual_seed(3)
    network = make(*args, **options).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def history(T=11, batch=BATCH):
    return torch.randn(batch, T, TARGETS, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def outcome(network, x):
    return network(x, x[:, -1])


def steps(encoder, x, state=None):
    """The last output and state of a loop over ``step``; ``x`` (rows, T, features)."""
    output = None
    for t in range(x.shape[1]):
        output, state = encoder.step(x[:, t], state)
    return output, state


@pytest.mark.parametrize("name", NORMALISATIONS)
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_decodes_and_every_parameter_learns(cell, decoder, name):
    network = doubled(DECODERS[decoder], cell, normalise=normalisation(name, TARGETS)).train()
    found = outcome(network, history(9, batch=7))
    assert found.shape == (7, 5, TARGETS)
    found.square().sum().backward()
    for parameter, value in network.named_parameters():
        assert torch.isfinite(value.grad).all(), parameter
        assert value.grad.abs().sum() > 0, parameter


@pytest.mark.parametrize("cell", CELLS)
def test_direct_reads_the_history_once(cell):
    network, x = doubled(direct, cell), history()
    output, _ = steps(network.encoder, x - x[:, -1:])
    expected = network.head(output).view(BATCH, 5, TARGETS) + x[:, -1:]
    torch.testing.assert_close(outcome(network, x), expected, **CLOSE)


@pytest.mark.parametrize("cell", CELLS)
def test_recursive_is_a_loop_that_reads_each_forecast_before_the_next(cell):
    network, x = doubled(recursive, cell), history()
    output, state = steps(network.encoder, x - x[:, -1:])
    value, ahead = torch.zeros(BATCH, TARGETS, dtype=torch.float64), []
    for _ in range(5):
        value = value + network.head(output)
        ahead.append(value + x[:, -1])
        output, state = network.encoder.step(value, state)
    torch.testing.assert_close(outcome(network, x), torch.stack(ahead, 1), **CLOSE)


@pytest.mark.parametrize("horizon", [1, 2, 7])
def test_recursive_counts_on_from_the_last_value(horizon):
    network = doubled(recursive, horizon=horizon)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.fill_(1.0)
    x = torch.arange(6.0, dtype=torch.float64).view(1, 6, 1).expand(1, 6, TARGETS)
    expected = torch.arange(6.0, 6.0 + horizon, dtype=torch.float64)
    assert torch.equal(outcome(network, x), expected.view(1, -1, 1).expand(1, horizon, TARGETS))


def test_a_longer_recursive_horizon_begins_as_a_shorter_one_does():
    long, short = doubled(recursive, horizon=8), doubled(recursive, horizon=3)
    short.load_state_dict(long.state_dict())
    assert torch.equal(outcome(long, history())[:, :3], outcome(short, history()))


KNOWN, STEADY = 2, 1


def knowing(cell="gru", horizon=5, **options):
    return RecursiveForecast(encoder(cell, TARGETS + KNOWN + STEADY, 2), TARGETS, horizon, future=KNOWN, **options)


def known_ahead(horizon=5):
    """A history whose last channel never changes, and what is known of the steps after it."""
    made = torch.Generator().manual_seed(8)
    rows = torch.randn(BATCH, 11 + horizon, TARGETS + KNOWN + STEADY, generator=made, dtype=torch.float64)
    rows[..., -1] = rows[:, :1, -1]
    return rows[:, :11], rows[:, 11:, TARGETS : TARGETS + KNOWN]


@pytest.mark.parametrize("cell", CELLS)
def test_recursive_reads_what_is_known_of_a_step_before_it_and_in_it(cell):
    network, (x, future) = doubled(knowing, cell), known_ahead()
    last = x[:, -1, :TARGETS]
    read = torch.cat([x[..., :TARGETS] - last.unsqueeze(1), x[..., TARGETS:]], -1)
    output, state = steps(network.encoder, read)
    value, ahead = torch.zeros_like(last), []
    for k in range(5):
        met = F.relu(network.known(future[:, k]) + network.meeting(output))
        value = value + network.head(output) + network.effect(met)
        ahead.append(value + last)
        output, state = network.encoder.step(torch.cat([value, future[:, k], x[:, 0, -STEADY:]], -1), state)
    torch.testing.assert_close(network(x, last, future), torch.stack(ahead, 1), **CLOSE)


@pytest.mark.parametrize("k", range(5))
def test_what_is_known_of_a_step_changes_it_and_those_after_it(k):
    network, (x, future) = doubled(knowing), known_ahead()
    other = future.clone()
    other[:, k] += 1
    told = network(x, x[:, -1, :TARGETS], future) != network(x, x[:, -1, :TARGETS], other)
    assert told.any(0).any(-1).tolist() == [j >= k for j in range(5)]


def test_the_first_known_step_follows_from_the_summary():
    network, (x, future) = doubled(knowing, normalise=RevIN(TARGETS)), known_ahead()
    last = x[:, -1, :TARGETS]
    level = network.level(x, last)
    read = network.read(x, level)
    first = network.from_summary(network.encoder(read)[0][:, -1], read, level, future)
    torch.testing.assert_close(first, network(x, last, future)[:, :1], **CLOSE)


def by_hand(network, row, k, horizon):
    """The forecast of target ``k`` from its normalised history alone, segment by segment, a step at a time."""
    w = network.reads
    missing = -len(row) % w
    filled = torch.cat([row[:1].expand(missing), row])
    pieces = [F.relu(network.project(piece)) for piece in filled.split(w)]
    output, state = steps(network.encoder, torch.stack(pieces).unsqueeze(0))
    written = []
    for m in range(-(-horizon // w)):
        if network.recurrent:
            written.append(network.head(output[0]))
            output, state = network.encoder.step(F.relu(network.project(written[-1])).unsqueeze(0), state)
        else:
            asked = torch.cat([network.position[m], network.channel[k]])
            answer, _ = network.encoder.step(asked.unsqueeze(0), state)
            written.append(network.head(answer[0]))
    return torch.cat(written)[:horizon]


@pytest.mark.parametrize(("T", "horizon"), [(8, 4), (12, 8), (11, 5), (1, 3), (13, 9)])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_segments_are_read_and_written_one_target_at_a_time(cell, recurrent, T, horizon):
    network, x = doubled(segments, cell, horizon, recurrent=recurrent), history(T)
    found = outcome(network, x)
    for b in range(BATCH):
        for k in range(TARGETS):
            own = x[b, :, k]
            expected = by_hand(network, own - own[-1], k, horizon) + own[-1]
            torch.testing.assert_close(found[b, :, k], expected, **CLOSE)


def test_a_history_is_filled_in_front_with_its_first_value():
    network, x = doubled(segments), history(10)
    filled = torch.cat([x[:, :1], x[:, :1], x], 1)
    assert torch.equal(outcome(network, x), outcome(network, filled))


@pytest.mark.parametrize("decoder", ["segments", "segments-recurrent"])
def test_targets_do_not_see_each_other_in_segments(decoder):
    network, x = doubled(DECODERS[decoder]), history()
    other = x.clone()
    other[..., 1] = 40 - 3 * other[..., 1]
    before, after = outcome(network, x), outcome(network, other)
    assert torch.equal(before[..., [0, 2]], after[..., [0, 2]])
    assert not torch.isclose(before[..., 1], after[..., 1]).any()


def test_targets_share_weights_in_segments_but_for_their_embedding():
    network, x = doubled(segments), history()
    x = x[..., :1].expand(-1, -1, TARGETS).contiguous()
    assert not torch.isclose(*outcome(network, x)[..., :2].unbind(-1)).any()
    with torch.no_grad():
        network.channel.copy_(network.channel[:1].clone().expand(TARGETS, -1))
    found = outcome(network, x)
    torch.testing.assert_close(found, found[..., :1].expand_as(found), **CLOSE)


def test_a_single_target_has_an_embedding_of_positions_alone():
    network = SegmentForecast(encoder(), 1, 5, 4)
    assert network.position.shape == (2, WIDTH)
    assert network.channel is None
    assert outcome(network, torch.randn(2, 9, 1)).shape == (2, 5, 1)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_level_taken_off_comes_back(decoder):
    x = history()
    network = doubled(DECODERS[decoder])
    torch.testing.assert_close(outcome(network, x + 50), outcome(network, x) + 50, **CLOSE)
    network = doubled(DECODERS[decoder], normalise=RevIN(TARGETS, eps=0.0))
    scale = torch.tensor([2.0, 0.1, 30.0], dtype=torch.float64)
    torch.testing.assert_close(outcome(network, x * scale + 50), outcome(network, x) * scale + 50, **CLOSE)
    plain = doubled(DECODERS[decoder], normalise=normalisation("none", TARGETS))
    assert not torch.isclose(outcome(plain, x + 50), outcome(plain, x) + 50).all()


@pytest.mark.parametrize("make", [direct, segments])
def test_quantiles_are_forecasts_beside_each_other(make):
    network = doubled(make, quantiles=4)
    found = outcome(network, history())
    assert found.shape == (BATCH, 5, TARGETS, 4)
    torch.testing.assert_close(outcome(network, history() + 9), found + 9, **CLOSE)
    found[..., 2].sum().backward()
    rows = network.head.weight.grad.unflatten(0, (-1, 4)).abs().sum((0, 2))
    assert rows[2] > 0
    assert torch.equal(rows[[0, 1, 3]], torch.zeros(3, dtype=torch.float64))


def test_dropout_before_the_output_layer_acts_in_training_alone():
    network, x = doubled(segments, dropout=1.0), history()
    assert torch.equal(outcome(network, x), outcome(network, x))
    told = outcome(network.train(), x) - x[:, -1:]
    expected = network.head.bias[[0, 1, 2, 3, 0]].view(1, 5, 1)
    torch.testing.assert_close(told, expected.expand_as(told), **CLOSE)


@pytest.mark.parametrize(("decoder", "horizon"), [("segments", 5), ("recursive", 2)])
def test_a_forecaster_is_exported_with_a_free_batch(decoder, horizon):
    network, x = doubled(DECODERS[decoder], "rnn", horizon, RevIN(TARGETS)), history(4)
    free = {0: torch.export.Dim("batch", min=1)}
    program = torch.export.export(network, (x, x[:, -1].clone()), dynamic_shapes={"x": free, "last": free})
    more = history(4, batch=7)
    torch.testing.assert_close(program.module()(more, more[:, -1].clone()), outcome(network, more), **CLOSE)


def test_what_does_not_fit_is_refused():
    cell = CELLS["gru"].make(3, 4)
    for wrong in (Recurrent(cell), Recurrent(cell, batch_first=True, bidirectional=True)):
        with pytest.raises(ConfigError, match="batch_first=True and bidirectional=False"):
            DirectForecast(wrong, 1, 2)
    with pytest.raises(ConfigError, match="horizon=0"):
        direct(horizon=0)
    with pytest.raises(ConfigError, match="segment=0"):
        segments(segment=0)
    with pytest.raises(ConfigError, match=r"dropout=1\.5"):
        segments(dropout=1.5)
