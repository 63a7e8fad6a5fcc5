"""A captured step answers for every observation of its shape as the step itself would."""

import logging

import pytest
import torch
from tape import TapeCapture

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.sequence_run import open_run
from dvla_ros.models.trunk import PrefixCache, Trunk
from dvla_ros.models.trunk_config import TrunkConfig

CANVAS, BATCH, WIDTH = 6, 2, 32
CONFIG = TrunkConfig(width=WIDTH, heads=4, kv_heads=2, layers=3, intermediate=48)
PLANS = ["exact", "prefix", "dllm:3,2,0.5"]


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def trunk():
    torch.manual_seed(0)
    return Trunk(CONFIG).eval()


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def opened(trunk, seed, settled, plan="exact", graphs=None, length=9, batch=1):
    """A run of one observation, of which the leading positions are settled."""
    before = random(batch, length, WIDTH, seed=seed).to(trunk.norm.weight)
    cache = trunk.prefill(before[:, :settled]) if settled else PrefixCache()
    return open_run(trunk, cache, before[:, settled:], CachePlan.parse(plan), graphs)


def canvases(seed, steps=5, batch=BATCH):
    """Canvases of which each has one position changed."""
    x = random(batch, CANVAS, WIDTH, seed=seed)
    given = [x]
    for index in range(1, steps):
        x = x.clone()
        x[:, index % CANVAS] = random(batch, WIDTH, seed=100 * seed + index)
        given.append(x)
    return given


def answers(run, given, mask=None):
    return [run.hidden(canvas, mask) for canvas in given]


def require_the_same(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("settled", [0, 4, 9])
def test_one_observation_after_another(trunk, plan, settled):
    capture = TapeCapture()
    graphs = StepGraphs(capture)
    for seed in (1, 2, 3):
        given = canvases(seed)
        found = answers(opened(trunk, seed, settled, plan, graphs), given)
        require_the_same(found, answers(opened(trunk, seed, settled, plan), given))
    kinds = 1
    if plan.startswith("dllm"):  # the canvas or a part of it; each of them with and without what stands before it
        kinds = 2 if settled == 9 else 4
    assert capture.recorded == capture.warmed == kinds
    assert capture.replayed > 6


@pytest.mark.parametrize("settled", [0, 9])
def test_several_observations_at_once(trunk, settled):
    graphs = StepGraphs(TapeCapture())
    for seed in (1, 2):
        given = canvases(seed)
        found = answers(opened(trunk, seed, settled, graphs=graphs, batch=BATCH), given)
        require_the_same(found, answers(opened(trunk, seed, settled, batch=BATCH), given))


@pytest.mark.parametrize("settled", [0, 4, 9])
def test_runs_that_take_turns_do_not_see_each_other(trunk, settled):
    graphs = StepGraphs(TapeCapture())
    runs = [opened(trunk, seed, settled, graphs=graphs) for seed in (1, 2)]
    given = [canvases(seed) for seed in (1, 2)]
    taken = [[run.hidden(canvas) for run, canvas in zip(runs, step, strict=True)] for step in zip(*given, strict=True)]
    for found, seed, own in zip(zip(*taken, strict=True), (1, 2), given, strict=True):
        require_the_same(found, answers(opened(trunk, seed, settled), own))


def test_an_approximate_run_whose_memory_was_taken_begins_again(trunk):
    graphs = StepGraphs(TapeCapture())
    first, second = (opened(trunk, seed, 4, "dllm:9,9,0.0", graphs) for seed in (1, 2))
    canvas, changed = canvases(1, steps=2)
    first.hidden(canvas)
    second.hidden(canvas)
    require_the_same([first.hidden(changed)], answers(opened(trunk, 1, 4), [changed]))


def test_a_mask_of_its_own_in_every_step(trunk):
    graphs = StepGraphs(TapeCapture())
    run, plain = opened(trunk, 1, 9, graphs=graphs), opened(trunk, 1, 9)
    for index, canvas in enumerate(canvases(1)):
        mask = random(BATCH, CANVAS, 9 + CANVAS, seed=index) > 0.0
        mask[..., 0] = True
        require_the_same([run.hidden(canvas, mask)], [plain.hidden(canvas, mask)])
        require_the_same([run.hidden(canvas)], [plain.hidden(canvas)])


def test_an_answer_stays_when_the_next_step_runs(trunk):
    run = opened(trunk, 1, 9, graphs=StepGraphs(TapeCapture()))
    given = canvases(1)
    found = [(answer, answer.clone()) for answer in (run.hidden(canvas) for canvas in given)]
    assert all(torch.equal(answer, then) for answer, then in found)


def test_the_least_recently_used_shape_makes_room(trunk):
    capture = TapeCapture()
    graphs = StepGraphs(capture, capacity=2)
    for length in (5, 6, 5, 7, 5, 6):
        answers(opened(trunk, 1, length, graphs=graphs, length=length), canvases(1, steps=2))
    assert capture.warmed == 4  # 5, 6, 7, and 6 again, which had to make room for 7


def test_weights_that_have_moved_are_captured_anew(trunk):
    graphs = StepGraphs(TapeCapture())
    for change in (lambda: None, trunk.pack, lambda: trunk.double().float()):
        change()
        given = canvases(1)
        require_the_same(answers(opened(trunk, 1, 9, graphs=graphs), given), answers(opened(trunk, 1, 9), given))


def test_where_nothing_can_be_captured_it_is_said_once_and_steps_run_as_they_are(trunk, caplog):
    graphs = StepGraphs(TapeCapture(fails=True))
    with caplog.at_level(logging.WARNING):
        for seed in (1, 2):
            given = canvases(seed)
            for plan in PLANS:
                found = answers(opened(trunk, seed, 4, plan, graphs), given)
                require_the_same(found, answers(opened(trunk, seed, 4, plan), given))
    (record,) = caplog.records
    assert "without CUDA graphs" in record.message and record.message.endswith("when stream is capturing")
    assert graphs.failure


def test_gradients_are_recorded_past_the_graphs(trunk):
    capture = TapeCapture()
    with torch.enable_grad():
        canvas = canvases(1)[0].requires_grad_()
        opened(trunk, 1, 9, graphs=StepGraphs(capture)).hidden(canvas).sum().backward()
    assert canvas.grad is not None and capture.warmed == 0


def test_a_cpu_has_no_graphs_and_says_so_where_they_are_asked_for(caplog):
    assert StepGraphs.on(torch.device("cpu")) is None and not caplog.records
    assert StepGraphs.on(torch.device("cpu"), wanted=True) is None
    assert "the device is cpu" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("settled", [0, 4, 9])
def test_on_the_gpu_a_graph_answers_as_its_step(trunk, plan, settled):
    trunk = trunk.cuda()
    graphs = StepGraphs.on(torch.device("cuda"))
    for seed in (1, 2, 3):
        given = [canvas.cuda() for canvas in canvases(seed)]
        found = answers(opened(trunk, seed, settled, plan, graphs), given)
        require_the_same(found, answers(opened(trunk, seed, settled, plan), given), rtol=1e-4, atol=1e-4)
    assert not graphs.failure
