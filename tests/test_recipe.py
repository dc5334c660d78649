from __future__ import annotations

import pytest

from kws_stream.errors import KwsError
from models.augment import AugmentConfig
from models.batches import MixtureConfig
from models.recipe import read_recipe


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
