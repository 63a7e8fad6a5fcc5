"""Examples for the published networks: the same frames and sentences, augmented, prepared where they are made."""

import numpy as np
import pytest
import torch

from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.simulation.tasks import TASKS
from dvla_ros.training.augmentation import published_augmentation, unchanged
from dvla_ros.training.example_loader import ExampleLoader
from dvla_ros.training.example_order import BatchShare, ExampleOrder, StepSampler
from dvla_ros.training.plain_examples import PlainExamples

SEED = 2


def as_it_is(examples):
    return examples


def numbers_and_pictures(examples):
    pictures = [torch.from_numpy(np.stack(list(example.images.values()))) for example in examples]
    return {"numbers": torch.tensor([example.number for example in examples]), "images": torch.stack(pictures)}


def test_an_example_is_its_frame_and_a_sentence_that_asks_for_it(demonstrations):
    examples = PlainExamples(demonstrations, unchanged, as_it_is, SEED)
    numbers = [7, 0, 300]
    rows = ExampleOrder(len(demonstrations), SEED).rows(np.array(numbers))
    for example, number, row in zip(examples.__getitems__(numbers), numbers, rows, strict=True):
        assert (example.number, example.row, example.frozen) == (number, row, demonstrations.frozen[row])
        assert np.array_equal(np.stack([example.images[name] for name in CAMERAS]), demonstrations.images[row])
        assert np.array_equal(example.state, demonstrations.states[row])
        assert np.array_equal(example.actions, demonstrations.actions[row])
        task = demonstrations.manifest.task_names[demonstrations.instructions[row]]
        assert example.instruction in TASKS[task].phrasings


def test_sentences_are_left_out_as_often_as_asked_for(demonstrations):
    examples = PlainExamples(demonstrations, unchanged, as_it_is, SEED, dropped=0.25)
    said = [example.instruction for example in examples.__getitems__(range(200))]
    assert 0.15 < np.mean([not sentence for sentence in said]) < 0.35


@pytest.mark.parametrize("system", ["dd_vla", "diffusion_vla"])
def test_workers_augment_and_prepare_the_same(demonstrations, system):
    examples = PlainExamples(demonstrations, published_augmentation(system), numbers_and_pictures, SEED)
    sampler = StepSampler(BatchShare(2), 2)
    own, theirs = (list(ExampleLoader(examples, sampler, workers)) for workers in (0, 1))
    assert [batch["numbers"].tolist() for batch in own] == [[0, 1], [2, 3]]
    assert all(torch.equal(a["images"], b["images"]) for a, b in zip(own, theirs, strict=True))
    alone = examples[3]["images"][0]
    stored = demonstrations.images[ExampleOrder(len(demonstrations), SEED).rows(np.array([3]))[0]]
    assert torch.equal(alone, own[1]["images"][1]) and not np.array_equal(alone, stored)
