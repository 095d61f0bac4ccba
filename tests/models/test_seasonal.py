"""Differences from the last season: undone exactly, and 0 is the seasonal naive forecast."""

import pytest
import torch

from unroll.models import LastSeason, normalisation


def window(rows=3, steps=50, targets=2, seed=0):
    return torch.randn(rows, steps, targets, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(x, season, steps):
    """What the seasonal naive forecast says of ``steps`` after the window, one value after another."""
    season = min(season, x.shape[1])
    values = list(x.unbind(1))
    for _ in range(steps):
        values.append(values[-season])
    return torch.stack(values[x.shape[1] :], 1)


@pytest.mark.parametrize("season", [1, 2, 7, 24, 50, 60])
@pytest.mark.parametrize("horizon", [1, 6, 48])
def test_a_network_that_says_nothing_gives_the_seasonal_naive_forecast(season, horizon):
    x = window()
    made = LastSeason(2, season)
    level = made.measure(x, x[:, -1])
    nothing = torch.zeros(3, horizon, 2, dtype=torch.float64)
    assert torch.equal(made.inverse(nothing, level), by_hand(x, season, horizon))
    quantiles = made.inverse(nothing.unsqueeze(-1).expand(-1, -1, -1, 3), level)
    assert torch.equal(quantiles, by_hand(x, season, horizon).unsqueeze(-1).expand(-1, -1, -1, 3))


@pytest.mark.parametrize("season", [1, 2, 7, 24])
def test_what_is_forecast_is_read_as_it_was_said(season):
    """The forecast appended to the window and read with the window's level is what the network said."""
    x, said = window(), window(steps=11, seed=1)
    made = LastSeason(2, season)
    level = made.measure(x, x[:, -1])
    truth = made.inverse(said, level)
    scale = level.scale.unsqueeze(1)
    torch.testing.assert_close((truth - by_hand(x, season, 11)) / scale, said, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [24, 49, 336])
def test_a_series_that_repeats_itself_reads_as_zeros_in_phase_with_its_end(steps):
    wave = torch.arange(400, dtype=torch.float64).remainder(24).square().view(1, -1, 1)[:, -steps:]
    made = LastSeason(1, 24)
    assert made(wave, made.measure(wave, wave[:, -1])).abs().max() == 0


def test_it_does_not_see_level_or_size():
    x = window()
    made = LastSeason(2, 7, eps=0.0)
    read = [made(v, made.measure(v, v[:, -1])) for v in (x, 1e3 * x + 5e4)]
    torch.testing.assert_close(read[0], read[1], rtol=1e-9, atol=1e-9)


def test_a_constant_window_reads_as_zeros_and_stays_finite():
    x = torch.full((1, 30, 1), 7.0)
    made = normalisation("seasonal", 1, season=4)
    level = made.measure(x, x[:, -1])
    assert made(x, level).abs().max() == 0
    assert torch.isfinite(made.inverse(torch.ones(1, 5, 1), level)).all()
