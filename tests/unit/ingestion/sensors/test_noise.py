"""Randomness by key and index."""

from __future__ import annotations

import numpy as np

from ingestion.sensors.noise import key_of, normal, smooth, uniform


def test_any_part_can_be_computed_alone() -> None:
    index = np.arange(10_000, dtype=np.int64)
    whole = normal(7, index)
    np.testing.assert_array_equal(whole[4321:5000], normal(7, index[4321:5000]))


def test_uniform_and_normal_have_their_moments() -> None:
    index = np.arange(200_000, dtype=np.int64)
    flat, bell = uniform(1, index), normal(2, index)
    assert 0 < flat.min() < flat.max() < 1
    assert abs(flat.mean() - 0.5) < 0.003
    assert abs(bell.mean()) < 0.01
    assert abs(bell.std() - 1) < 0.01
    assert abs(np.corrcoef(bell[:-1], bell[1:])[0, 1]) < 0.01


def test_keys_of_other_names_and_seeds_differ() -> None:
    keys = {key_of(seed, name) for seed in range(50) for name in ("a", "b", "ab", "a/b")}
    assert len(keys) == 200
    assert key_of(1, "a", "b") != key_of(1, "ab")


def test_smooth_noise_passes_through_its_knots_without_jumps() -> None:
    time_us = np.arange(0, 100_000, dtype=np.int64)
    wandering = smooth(3, time_us, 1000)
    np.testing.assert_allclose(wandering[::1000], normal(3, np.arange(100, dtype=np.int64)))
    assert np.abs(np.diff(wandering)).max() < 0.02
