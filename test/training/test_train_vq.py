"""The tokenizer learns small images with coloured squares, and measures itself on episodes it has not seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.vq import VqConfig, VqTokenizer
from dvla_ros.training.shard import Frame, Manifest, write_shard
from dvla_ros.training.train_vq import TrainVqConfig, VqTrainer
from dvla_ros.training.vq_images import ImageKey, VqImages

WIDTH, HEIGHT = 32, 24
SIZES = VqConfig(image_width=WIDTH, image_height=HEIGHT, codebook_size=64, code_dim=4, widths=(8, 16, 16))
COLOURS = ((220, 30, 30), (30, 180, 40), (30, 60, 220))


def squares(rng):
    """A grey table with one coloured square, at twice the tokenizer's size and at its size."""
    large = np.full((2, 2 * HEIGHT, 2 * WIDTH, 3), 130, np.uint8)
    for image in large:
        row, column = 8 * rng.integers(HEIGHT // 4 - 1), 8 * rng.integers(WIDTH // 4 - 1)
        image[row : row + 16, column : column + 16] = COLOURS[rng.integers(3)]
    return large, large[:, ::2, ::2]


def write_episodes(folder, episodes, frames_each=12, cameras=("front", "wrist")):
    rng = np.random.default_rng(0)
    manifest = Manifest(cameras, ("pick up the red cube",), ("pick_red",), 0.2, 0, "expert")
    for episode in episodes:
        frames = []
        for _ in range(frames_each):
            images, futures = squares(rng)[0], squares(rng)[1]
            state, actions = np.zeros(7), np.zeros((8, 7))
            frames.append(Frame(images, state, actions, 0, np.zeros((2, 2, 2)), np.zeros((2, 3)), futures, episode))
        write_shard(folder / f"shard-{episode}", manifest, frames)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_episodes(tmp_path_factory.mktemp("squares"), episodes=range(8))


def config(data, out, **changes):
    settings = {"steps": 8, "batch_size": 8, "hold_out_every": 4, "bfloat16": False, "model": SIZES, **changes}
    return TrainVqConfig((data,), out, **settings)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A trainer after 150 steps, where it wrote, and what it reported."""
    out, lines = tmp_path_factory.mktemp("vq"), []
    quick = {"learning_rate": 1e-2, "commitment": 0.05, "coloured": 5.0, "codebook_decay": 0.9}
    trainer = VqTrainer(config(data, out, steps=150, **quick))
    trainer.run(lines.append, report_every=50)
    return trainer, out, lines


def test_training_reduces_the_loss_and_logs_it(trained):
    _, out, lines = trained
    assert [line.step for line in lines] == [50, 100, 150]
    assert lines[-1].reconstruction < 0.75 * lines[0].reconstruction
    logged = [json.loads(line) for line in (out / "vq_training_log.jsonl").read_text().splitlines()]
    assert [line["reconstruction"] for line in logged] == [line.reconstruction for line in lines]


def test_it_beats_the_mean_image_on_unseen_episodes(trained):
    trainer, _, _ = trained
    figures = trainer.evaluate(100)
    assert figures.images == 100
    assert figures.psnr > figures.mean_image_psnr + 3.0
    assert figures.codes_used > 8 and 1.0 < figures.perplexity <= figures.codes_used


def test_a_square_keeps_its_colour(trained):
    trainer, _, _ = trained
    image = torch.full((3, 3, HEIGHT, WIDTH), 130, dtype=torch.uint8)
    for index, colour in enumerate(COLOURS):
        image[index, :, 8:16, 12:20] = torch.tensor(colour, dtype=torch.uint8)[:, None, None]
    made = trainer.tokenizer.decode(trainer.tokenizer.encode(image))
    middle = made[:, :, 11:13, 15:17].float().mean(dim=(2, 3))
    assert middle.argmax(dim=1).tolist() == [0, 1, 2]


def test_the_saved_tokenizer_is_the_trained_one(trained, data):
    trainer, out, _ = trained
    images = torch.from_numpy(VqImages([data], WIDTH, HEIGHT).read([ImageKey(3, 1, False), ImageKey(5, 0, True)]))
    loaded = VqTokenizer.load(out)
    assert torch.equal(loaded.encode(images), trainer.tokenizer.encode(images))


def test_a_collapsed_codebook_comes_back_to_life(data, tmp_path):
    trainer, lines = VqTrainer(config(data, tmp_path)), []
    codebook = trainer.tokenizer.codebook
    codebook.vectors.copy_(codebook.vectors[:1].expand_as(codebook.vectors).clone())
    assert trainer.evaluate(20).codes_used == 1
    trainer.run(lines.append, report_every=8)
    assert lines[0].revived * 8 >= SIZES.codebook_size - 1
    assert trainer.evaluate(20).codes_used > SIZES.codebook_size / 4


def test_training_is_reproducible_and_depends_on_the_seed(data, tmp_path):
    weights = []
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        VqTrainer(config(data, tmp_path / name, seed=seed)).run(lambda progress: None)
        weights.append(load_file(tmp_path / name / "vq.safetensors"))
    first, again, other = weights
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_bfloat16_trains_too(data, tmp_path):
    lines = []
    VqTrainer(config(data, tmp_path, bfloat16=True)).run(lines.append, report_every=8)
    assert np.isfinite(lines[0].reconstruction)
    assert all(tensor.dtype == torch.float32 for tensor in load_file(tmp_path / "vq.safetensors").values())


def test_whole_episodes_are_held_out(data, tmp_path):
    trainer = VqTrainer(config(data, tmp_path))
    images = VqImages([data], WIDTH, HEIGHT)
    assert set(images.episodes[trainer.held_out_frames]) == {0, 4}
    assert images.held_out(4).sum() == len(trainer.held_out_frames) == 24


def test_current_images_are_averaged_down_and_futures_are_as_stored(data):
    images = VqImages([data], WIDTH, HEIGHT)
    shard = data / "shard-2"
    current, future = images.read([ImageKey(24 + 5, 1, False), ImageKey(24 + 5, 1, True)])
    blocks = np.load(shard / "images.npy")[5, 1].reshape(HEIGHT, 2, WIDTH, 2, 3).mean(axis=(1, 3))
    assert np.abs(current.transpose(1, 2, 0) - blocks).max() <= 0.51
    assert (future.transpose(1, 2, 0) == np.load(shard / "futures.npy")[5, 1]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "must be positive"),
        ({"learning_rate": 0.0}, "must be positive"),
        ({"coloured": -1.0}, "must not be negative"),
        ({"codebook_decay": 1.0}, "codebook_decay"),
        ({"hold_out_every": 1}, "hold_out_every"),
    ],
)
def test_settings_out_of_range_are_refused(data, tmp_path, change, message):
    with pytest.raises(ConfigurationError, match=message):
        config(data, tmp_path, **change)


def test_no_data_only_held_out_data_or_no_held_out_data_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="dvla collect"):
        VqTrainer(config(tmp_path, tmp_path / "out"))
    only = write_episodes(tmp_path / "only", [4])
    with pytest.raises(ConfigurationError, match="none is left"):
        VqTrainer(config(only, tmp_path / "out"))
    none = write_episodes(tmp_path / "none", [3])
    with pytest.raises(ConfigurationError, match="collect more"):
        VqTrainer(config(none, tmp_path / "out")).evaluate(10)


@pytest.mark.parametrize("size", [(64, 48), (32, 32), (24, 24)])
def test_images_that_cannot_be_averaged_down_are_refused(data, size):
    with pytest.raises(ConfigurationError, match="whole multiple"):
        VqImages([data], *size)


def test_shards_with_other_cameras_are_refused(tmp_path):
    write_episodes(tmp_path / "a", [1])
    write_episodes(tmp_path / "b", [2], cameras=("front", "side"))
    with pytest.raises(ConfigurationError, match="same cameras"):
        VqTrainer(replace(config(tmp_path, tmp_path / "out"), data=(tmp_path / "a", tmp_path / "b")))
