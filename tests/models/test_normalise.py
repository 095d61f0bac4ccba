"""A normalisation is undone exactly, and does what its paper's equations say."""

import pytest
import torch

from unroll.errors import ConfigError
from unroll.models import NORMALISATIONS, RevIN, normalisation

SHAPES = [(1, 1, 1), (3, 7, 2), (2, 50, 5)]


def made(name, targets):
    """One whose learned numbers are not those it starts with, in float64."""
    found = normalisation(name, targets).double()
    with torch.no_grad():
        for k, parameter in enumerate(found.parameters()):
            parameter.copy_(torch.randn(targets, generator=torch.Generator().manual_seed(k)) + 2 * (k == 0))
    return found


def window(batch, T, targets, scale=1.0, shift=0.0):
    generator = torch.Generator().manual_seed(7)
    return torch.randn(batch, T, targets, generator=generator, dtype=torch.float64) * scale + shift


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NORMALISATIONS)
def test_the_inverse_gives_back_what_went_in(name, shape):
    own, x = made(name, shape[-1]), window(*shape, scale=30.0, shift=-400.0)
    level = own.measure(x, x[:, -1])
    torch.testing.assert_close(own.inverse(own(x, level), level), x, rtol=1e-13, atol=1e-11)
    quantiles = torch.stack([x, x + 1], -1)
    normalised = torch.stack([own(x, level), own(x + 1, level)], -1)
    torch.testing.assert_close(own.inverse(normalised, level), quantiles, rtol=1e-13, atol=1e-11)


def test_what_each_takes_off():
    x = window(3, 7, 2, scale=5.0, shift=9.0)
    assert torch.equal(made("none", 2)(x, made("none", 2).measure(x, x[:, -1])), x)
    last = made("last", 2)
    assert torch.equal(last(x, last.measure(x, x[:, -1])), x - x[:, -1:])


def test_revin_is_the_papers_equations():
    x, own = window(3, 7, 2, scale=5.0, shift=9.0), made("revin", 2)
    found = own(x, own.measure(x, x[:, -1]))
    for b in range(3):
        for k in range(2):
            row = x[b, :, k].tolist()
            mean = sum(row) / 7
            variance = sum((v - mean) ** 2 for v in row) / 7
            for t, v in enumerate(row):
                expected = own.weight[k].item() * (v - mean) / (variance + 1e-5) ** 0.5 + own.bias[k].item()
                assert found[b, t, k].item() == pytest.approx(expected, rel=1e-12)


def test_revin_makes_windows_of_any_level_and_size_alike():
    x, own = window(3, 40, 2), RevIN(2, eps=0.0).double()
    other = 250.0 * x - 1e4
    a, b = (own(w, own.measure(w, w[:, -1])) for w in (x, other))
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(a.mean(1), torch.zeros(3, 2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(a.var(1, correction=0), torch.ones(3, 2).double(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e6])
def test_a_window_that_does_not_change(value):
    own, x = made("revin", 2), torch.full((2, 9, 2), value, dtype=torch.float64)
    level = own.measure(x, x[:, -1])
    assert torch.equal(own(x, level), own.bias.expand_as(x))
    said = torch.ones(2, 3, 2, dtype=torch.float64)
    expected = value + 1e-5**0.5 * (1 - own.bias) / own.weight
    torch.testing.assert_close(own.inverse(said, level), expected.expand(2, 3, 2), rtol=1e-12, atol=1e-12)
    own.inverse(own(x, level), level).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in own.parameters())


def test_without_affine_it_learns_nothing():
    assert [p.shape for p in RevIN(3).parameters()] == [(3,), (3,)]
    plain, learned = RevIN(3, affine=False).double(), RevIN(3).double()
    assert not list(plain.parameters())
    x = window(2, 5, 3)
    level = plain.measure(x, x[:, -1])
    assert torch.equal(plain(x, level), learned(x, level))


def test_an_unknown_one_is_named():
    with pytest.raises(ConfigError, match="Did you mean 'revin'"):
        normalisation("revinn", 2)
