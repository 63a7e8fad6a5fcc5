"""However the positions are shared out between the steps, an exact cache gives what running everything gives."""

import pytest
import torch

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.sequence_run import open_run
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.attention import Block, Levels, attention_mask
from dvla_ros.models.trunk import PrefixCache, Trunk
from dvla_ros.models.trunk_config import TrunkConfig

PREFIX, CANVAS, BATCH = 11, 6, 3
CONFIGS = {
    "small": TrunkConfig.small(32, 4, 3),
    "llama": TrunkConfig(width=32, heads=4, kv_heads=4, layers=3, intermediate=48),
    "grouped": TrunkConfig(width=32, heads=4, kv_heads=2, layers=2, intermediate=48),
    "one layer": TrunkConfig(width=32, heads=4, kv_heads=4, layers=1, intermediate=48),
}


@pytest.fixture(params=CONFIGS, ids=str)
def trunk(request):
    torch.manual_seed(0)
    return Trunk(CONFIGS[request.param]).eval()


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def canvases(count, batch=BATCH, seed=1):
    """Embeddings of a few denoising steps: each changes some positions of the one before."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, CANVAS, 32, generator=generator)
    steps = [x]
    for _ in range(count - 1):
        x = x.clone()
        x[:, torch.randint(CANVAS, (1,), generator=generator)] += torch.randn(batch, 1, 32, generator=generator)
        steps.append(x)
    return steps


def prefix():
    return torch.randn(1, PREFIX, 32, generator=torch.Generator().manual_seed(2))


def everything(trunk, before, canvas, mask=None):
    x = torch.cat([before.expand(len(canvas), -1, -1), canvas], dim=1)
    return trunk(x, mask)[:, before.shape[1] :]


def opened(trunk, before, settled, plan, mask=None):
    cache = trunk.prefill(before[:, :settled], mask) if settled else PrefixCache()
    return open_run(trunk, cache, before[:, settled:], CachePlan.parse(plan))


@pytest.mark.parametrize("plan", ["exact", "dllm:1,1,0.0", "dllm:1,1,0.5"])
@pytest.mark.parametrize("batch", [1, BATCH])
def test_full_attention_exactly(trunk, plan, batch):
    before = prefix()
    sequence = opened(trunk, before, 0, plan)
    for canvas in canvases(4, batch):
        torch.testing.assert_close(sequence.hidden(canvas), everything(trunk, before, canvas), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("plan", ["exact", "prefix", "dllm:1,1,0.0", "dllm:9,1,0.0"])
@pytest.mark.parametrize("batch", [1, BATCH])
def test_a_settled_prefix_exactly(trunk, plan, batch):
    before = prefix()
    mask = attention_mask(Levels.of([Block(PREFIX, 0), Block(CANVAS, 1)]), "block_causal")
    sequence = opened(trunk, before, PREFIX, plan)
    for canvas in canvases(4, batch):
        torch.testing.assert_close(
            sequence.hidden(canvas), everything(trunk, before, canvas, mask), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("plan", ["exact", "dllm:1,1,0.3"])
@pytest.mark.parametrize("variant", ["merged", "block_causal", "image_causal_first"])
def test_words_settled_and_images_in_every_step_exactly(trunk, plan, variant):
    """As UD-VLA: the words see nothing else, the images of now may see those of the future."""
    words = 4
    blocks = [Block(words, 0, causal=True), Block(PREFIX - words, 1), Block(2, 2), Block(CANVAS - 2, 3)]
    mask = attention_mask(Levels.of(blocks), variant)
    before = prefix()
    within = None if mask is None else mask[:words, :words]
    sequence = opened(trunk, before, words, plan, within)
    for canvas in canvases(3):
        expected = everything(trunk, before, canvas, mask)
        torch.testing.assert_close(sequence.hidden(canvas, mask[words:]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("plan", ["exact", "dllm:1,1,0.3", "dllm:3,2,0.5"])
def test_rows_of_the_actions_alone_are_rows_of_the_whole_canvas(trunk, plan):
    """As UD-VLA with everything before the canvas settled: future images see all but the actions."""
    words = 4
    blocks = [Block(words, 0, causal=True), Block(PREFIX - words, 1), Block(2, 2), Block(CANVAS - 2, 3)]
    mask = attention_mask(Levels.of(blocks), "block_causal")
    before, within = prefix(), mask[:PREFIX, :PREFIX]
    some, whole = (opened(trunk, before, PREFIX, plan, within) for _ in range(2))
    for canvas in canvases(4):
        expected = whole.hidden(canvas, mask[PREFIX:])
        torch.testing.assert_close(some.hidden(canvas, mask[2 - CANVAS :]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("plan", ["prefix", "dllm:4,2,0.5", "dllm:4,4,0.0"])
def test_what_is_not_exact_begins_exactly_and_then_departs(trunk, plan):
    before = prefix()
    sequence = opened(trunk, before, 0, plan)
    first, *later = canvases(4)
    torch.testing.assert_close(sequence.hidden(first), everything(trunk, before, first), rtol=1e-5, atol=1e-5)
    off = [(sequence.hidden(canvas) - everything(trunk, before, canvas)).abs().max().item() for canvas in later]
    if len(trunk.layers) > 1 or plan.endswith("0.0"):
        assert 1e-5 < max(off) < 10.0


def test_after_an_interval_dllm_is_exact_again(trunk):
    before = prefix()
    sequence = opened(trunk, before, 0, "dllm:2,2,0.25")
    for index, canvas in enumerate(canvases(5)):
        found = sequence.hidden(canvas)
        if index % 2 == 0:
            torch.testing.assert_close(found, everything(trunk, before, canvas), rtol=1e-5, atol=1e-5)


def test_computing_all_of_the_canvas_by_choice_is_computing_it(trunk):
    """With a settled prefix and ratio 1 every position is chosen, in whatever order."""
    before = prefix()
    chosen, plain = opened(trunk, before, PREFIX, "dllm:9,9,1.0"), opened(trunk, before, PREFIX, "exact")
    for canvas in canvases(4):
        torch.testing.assert_close(chosen.hidden(canvas), plain.hidden(canvas), rtol=1e-5, atol=1e-5)


def test_the_positions_that_changed_are_the_ones_computed(trunk):
    """One position changes, and one may be computed: in the first layer it is that one."""
    before = prefix()
    sequence = opened(trunk, before, PREFIX, f"dllm:9,9,{1.0 / CANVAS + 1e-6}")
    canvas = canvases(1)[0]
    sequence.hidden(canvas)
    values = sequence._memory.layers[0].canvas_values().clone()
    changed = canvas.clone()
    changed[:, 2] = canvases(1, seed=5)[0][:, 2]
    sequence.hidden(changed)
    moved = (sequence._memory.layers[0].canvas_values() - values).abs().amax(dim=(1, 3))
    assert (moved[:, 2] > 0.0).all() and (moved[:, [0, 1, 3, 4, 5]] == 0.0).all()


@pytest.mark.parametrize("text", ["exact", "prefix", "dllm:25,7,0.25", "dllm:6,6,0"])
def test_a_plan_is_its_text(text):
    assert str(CachePlan.parse(text)) == text
    assert CachePlan.parse("dllm") == CachePlan("dllm")


@pytest.mark.parametrize("text", ["", "fast", "dllm:1", "dllm:1,2,x", "prefix:3", "dllm:0,1,0.5", "dllm:1,1,2"])
def test_a_plan_that_is_none_is_refused_with_those_there_are(text):
    with pytest.raises(ConfigurationError, match="cache"):
        CachePlan.parse(text)
