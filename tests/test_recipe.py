from __future__ import annotations

import pytest

from kws_stream.errors import KwsError
from models.augment import AugmentConfig
from models.batches import MixtureConfig
from models.recipe import read_network, read_recipe
from models.registry import find_architecture


def test_no_settings_leave_the_recipe_as_it_is() -> None:
    assert read_recipe([]) == (AugmentConfig(), MixtureConfig())


def test_settings_change_one_value_each() -> None:
    augmentation, mixture = read_recipe(["snr_db=0,20", "bin_mask=2", "speech_share=0"])
    assert augmentation == AugmentConfig(snr_db=(0.0, 20.0), bin_mask=2)
    assert isinstance(augmentation.bin_mask, int)
    assert mixture == MixtureConfig(speech_share=0.0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("speed", "expected NAME=NUMBER"),
        ("speed=fast", "expected NAME=NUMBER"),
        ("speed='1'", "speed=1: expected a number"),
        ("speed=1,2", "expected a number"),
        ("snr_db=3", "expected two numbers"),
        ("loudness=3", "loudness: no such value; there are: shift_ms speed"),
    ],
)
def test_bad_settings_are_named(setting: str, message: str) -> None:
    with pytest.raises(KwsError, match=message):
        read_recipe([setting])


def test_a_network_s_arguments_change_by_name() -> None:
    build = find_architecture("lightcnn").build
    assert read_network([], build) == {}
    assert read_network(["norm=before", "dropout=0"], build) == {"norm": "before", "dropout": 0.0}
    assert read_network(["causal=True", "units=8"], find_architecture("crnn").build) == {"causal": True, "units": 8}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("width=3", "--network width=3: no such argument; there are: dropout norm"),
        ("dropout=much", r"--network dropout=much: expected a value like 0\.1"),
        ("dropout", r"--network dropout: expected a value like 0\.1"),
    ],
)
def test_arguments_that_a_network_does_not_take_are_named(setting: str, message: str) -> None:
    with pytest.raises(KwsError, match=message):
        read_network([setting], find_architecture("lightcnn").build)
