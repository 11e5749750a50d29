"""Keyed random draws."""

from __future__ import annotations

import hashlib

import numpy as np

from softlabels import keyed


def test_a_generator_is_numpys_for_the_hash_of_the_purpose_and_the_key():
    word = int.from_bytes(hashlib.sha256(b"order").digest()[:8], "big")
    assert (keyed.rng("order", 3, 7).random(5) == np.random.default_rng([word, 3, 7]).random(5)).all()


def test_draws_of_an_item_do_not_depend_on_how_many_items_there_are():
    for draw in (
        lambda n: keyed.rng("zoom", 0, 1).random(n),
        lambda n: keyed.rng("flips", 0, 1).integers(0, 2, (n, 2)),
    ):
        assert (draw(1000)[:10] == draw(10)).all()


def test_purpose_and_every_part_of_the_key_matter():
    draws = [keyed.rng(*key).random() for key in [("a", 0, 0), ("b", 0, 0), ("a", 1, 0), ("a", 0, 1)]]
    draws.append(keyed.rng("a", 0, 0, 1).random())
    assert len(set(draws)) == len(draws)


def test_what_was_drawn_before_does_not_matter():
    first = keyed.rng("order", 1).random(3)
    np.random.default_rng(0).random(10)
    keyed.rng("order", 2).random(3)
    assert (keyed.rng("order", 1).random(3) == first).all()


def test_seeds_for_torch_are_keyed_and_in_its_range():
    seeds = [keyed.torch_seed("dropout", 0, epoch, step) for epoch in range(20) for step in range(20)]
    assert len(set(seeds)) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert keyed.torch_seed("dropout", 0, 1, 2) == seeds[22]
