"""The `dvla` command: one sub-command per thing a user does.

`dvla COMMAND --help` lists the options of a command; for `collect`, `train` and `simulate` they are the fields of one
dataclass each.
"""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import Progress as ProgressBar
from rich.table import Table

from dvla_ros.checkpoint_commands import fresh_checkpoint, golden, inspect_checkpoint, model_card
from dvla_ros.errors import DvlaError

console = Console()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit code: 2 for a wrong argument or input, with one line that says what."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in COMMANDS:
        return _usage(words)
    try:
        return COMMANDS[words[0]][1](words[1:])
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _usage(words: Sequence[str]) -> int:
    asked = not words or words[0] in ("-h", "--help", "help")
    lines = [f"  {name:<18} {description}" for name, (description, _) in COMMANDS.items()]
    problem = [] if asked else [f"error: there is no command {words[0]!r}"]
    print("\n".join([*problem, "usage: dvla COMMAND [options]", *lines]), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


def _demonstrate(words: Sequence[str]) -> int:
    from dvla_ros.nodes.demonstrate import main as demonstrate

    return demonstrate(words)


def _demo(words: Sequence[str]) -> int:
    from dvla_ros.nodes.demo import main as demo

    return demo(words)


def _bringup(words: Sequence[str]) -> int:
    from dvla_ros.nodes.bringup import main as bringup

    return bringup(words)


def _evaluate(words: Sequence[str]) -> int:
    from dvla_ros.evaluate_command import evaluate

    return evaluate(words)


def _benchmark(words: Sequence[str]) -> int:
    from dvla_ros.benchmark_command import benchmark

    return benchmark(words)


def _benchmark_sim(words: Sequence[str]) -> int:
    from dvla_ros.benchmark_sim_command import benchmark_sim

    return benchmark_sim(words)


def _benchmark_libero(words: Sequence[str]) -> int:
    from dvla_ros.benchmark_libero_command import benchmark_libero

    return benchmark_libero(words)


def _convert(words: Sequence[str]) -> int:
    from dvla_ros.dataset_commands import convert

    return convert(words)


def _stats(words: Sequence[str]) -> int:
    from dvla_ros.dataset_commands import stats

    return stats(words)


def _inspect(words: Sequence[str]) -> int:
    from dvla_ros.view_command import inspect

    return inspect(words)


@dataclass(frozen=True)
class Collect:
    """Make scripted demonstrations in simulation.

    Attributes:
        out: Folder to write shards into.
        episodes: Number of episodes.
        seed: Number of the first episode.
        policy: Checkpoint that drives the arm while the expert labels (DAgger); without one the expert drives.
        moving: Share of episodes in which the arm never rests and the first actions of a label are being executed.
        noise_m: Largest standard deviation of the noise on each action, in metres.
        kick_probability: Of a shove of up to 5 cm with each action.
        one_way: The expert always takes the grasp nearest now, straight and all at once; else one of many ways.
        horizon: Actions of each frame's label.
        tasks: Task names or families (pick, put, stack, push, detour), all tasks alike often; by default the first four
            families, a fixed share each.
        json: File for the result.
    """

    out: Path
    episodes: int = 100
    seed: int = 0
    policy: Path | None = None
    moving: float = 0.5
    noise_m: float = 0.006
    kick_probability: float = 0.05
    one_way: bool = False
    horizon: int = 8
    tasks: tuple[str, ...] = ()
    json: Path | None = None


def _collect(words: Sequence[str]) -> int:
    from dvla_ros.simulation.tasks import tasks_of
    from dvla_ros.training.collect import CollectConfig, collect

    options = tyro.cli(Collect, args=words, prog="dvla collect")
    policy = None if options.policy is None else _load(options.policy, "cpu", {})
    config = CollectConfig(
        options.out,
        options.episodes,
        options.seed,
        noise_m=options.noise_m,
        kick_probability=options.kick_probability,
        moving=options.moving,
        one_way=options.one_way,
        horizon=options.horizon,
        tasks=tasks_of(options.tasks) if options.tasks else (),
    )
    result = (0, 0, 0)
    with ProgressBar(console=console) as bar:
        task = bar.add_task("collecting", total=config.episodes)
        for result in collect(config, policy):
            bar.update(task, completed=result[0], description=f"{result[1]} frames, {result[2]} of {result[0]} succeed")
    _write_json(
        options.json, dict(zip(("episodes", "frames", "successes"), result, strict=True)) | {"seed": config.seed}
    )
    return 0


def _train(words: Sequence[str]) -> int:
    from dvla_ros.training_command import train

    return train(words)


def _fine_tune(words: Sequence[str]) -> int:
    from dvla_ros.training_command import fine_tune

    return fine_tune(words)


def _train_vq(words: Sequence[str]) -> int:
    from dvla_ros.training.train_vq import TrainVqConfig, VqProgress, VqTrainer

    @dataclass(frozen=True)
    class TrainVq:
        """Train the image tokenizer of ud_vla on demonstrations."""

        train: tyro.conf.OmitArgPrefixes[TrainVqConfig]
        json: Path | None = None

    options = tyro.cli(TrainVq, args=words, prog="dvla train-vq")

    def report(progress: VqProgress) -> None:
        console.print(
            f"step {progress.step}/{options.train.steps}  {progress.images_per_second:.0f} images/s  "
            f"reconstruction {progress.reconstruction:.4f}"
        )

    trainer = VqTrainer(options.train)
    trainer.run(report)
    console.print(f"Wrote {options.train.out}.")
    _write_json(options.json, asdict(trainer.evaluate()) | {"seed": options.train.seed})
    return 0


@dataclass(frozen=True)
class Simulate:
    """Measure the success of a checkpoint in simulation, without ROS.

    Attributes:
        system: Which shipped policy to measure, where no checkpoint is given.
        checkpoint: Checkpoint folder; the one shipped for the system by default.
        deployment: YAML file that says how a published checkpoint is used.
        tasks: Task names or families (pick, put, stack, push, detour); the tasks of the first four by default.
        episodes: Episodes, spread evenly over the tasks.
        seed: First scene seed.
        execute_steps: Actions per chunk to execute; 0 is the checkpoint's own number.
        inference_s: Simulated seconds that pass while the policy thinks.
        replanning: How chunks follow each other: sync, async, inpaint or temporal_ensemble.
        time_limit: Simulated seconds per episode.
        threads: CPU threads.
        device: cpu or cuda.
        cache: What a denoising step keeps: exact, prefix, dllm or dllm:25,7,0.25; by default as the deployment says.
        decoding: Decoder settings to replace, as name=value, e.g. num_steps=8 greedy=true.
        json: File for the result.
    """

    system: str = "dd_vla"
    checkpoint: Path | None = None
    deployment: Path | None = None
    tasks: tuple[str, ...] = ()
    episodes: int = 36
    seed: int = 0
    execute_steps: int = 0
    inference_s: float = 0.12
    replanning: str = "sync"
    time_limit: float = 20.0
    threads: int = 1
    device: str = "cpu"
    cache: str = ""
    decoding: tuple[str, ...] = field(default_factory=tuple)
    json: Path | None = None


def _simulate(words: Sequence[str]) -> int:
    import torch

    from dvla_ros.control.replanning import ReplanningConfig
    from dvla_ros.evaluation.simulated import Episode, SimulateConfig, SimulatedEpisodes, summarise
    from dvla_ros.policies.settings import parse_settings
    from dvla_ros.provenance import machine_line
    from dvla_ros.simulation.tasks import tasks_of

    options = tyro.cli(Simulate, args=words, prog="dvla simulate")
    machine = machine_line()
    torch.set_num_threads(options.threads)
    config = SimulateConfig(
        tasks=tasks_of(options.tasks),
        episodes=options.episodes,
        seed=options.seed,
        execute_steps=options.execute_steps,
        inference_s=options.inference_s,
        replanning=ReplanningConfig(mode=options.replanning, lead_s=0.0),
        time_limit=options.time_limit,
    )
    decoding = parse_settings(options.decoding)
    checkpoint = options.checkpoint or _shipped(options.system)
    policy = _load(checkpoint, options.device, decoding, options.deployment, options.cache)
    episodes: list[Episode] = []
    with ProgressBar(console=console) as bar:
        task = bar.add_task("simulating", total=config.episodes)
        for episode in SimulatedEpisodes(policy, config).run():
            episodes.append(episode)
            successes = sum(e.outcome == "success" for e in episodes)
            bar.update(task, completed=len(episodes), description=f"{successes} of {len(episodes)} succeed")
    made = {"machine": machine, "command": shlex.join(["dvla", "simulate", *words])}
    summary = summarise(episodes) | {"seed": config.seed} | made
    console.print(_summary_table(summary))
    _write_json(options.json, summary)
    return 0


def _summary_table(summary: dict[str, object]) -> Table:
    table = Table(
        title=f"{summary['success_rate']:.1%} of {summary['episodes']} episodes, NFE {summary['nfe']:.1f}, "
        f"decode p50 {summary['decode_ms_p50']:.0f} ms"
    )
    for heading in ("task", "successes", "episodes"):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    for part in ("by_family", "by_task"):
        for name, row in summary[part].items():  # type: ignore[attr-defined]
            table.add_row(name, str(row["successes"]), str(row["episodes"]), end_section=False)
        table.add_section()
    return table


def _load(  # type: ignore[no-untyped-def]
    checkpoint: Path, device: str, decoding: dict[str, object], deployment: Path | None = None, cache: str = ""
):
    from dvla_ros.policies.load import load_policy
    from dvla_ros.policies.published.deployment import Deployment

    used = None if deployment is None else Deployment.load(deployment)
    return load_policy(checkpoint, device, decoding, used, cache)


def _shipped(system: str) -> Path:
    from dvla_ros.nodes.node_table import shipped_checkpoint
    from dvla_ros.policies.systems import system_named

    return shipped_checkpoint(system_named(system).name)


def _write_json(path: Path | None, values: object) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1) + "\n")
        console.print(f"Wrote {path}.")


COMMANDS: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "demo": ("drive the simulated WidowX with the shipped policy and film it", _demo),
    "bringup": ("start a robot's nodes, as the launch file does", _bringup),
    "demonstrate": ("record the scripted expert's demonstrations through ROS", _demonstrate),
    "collect": ("make demonstrations in simulation", _collect),
    "train": ("train a small policy of one of the systems on demonstrations", _train),
    "fine-tune": ("fine-tune a published checkpoint on recordings", _fine_tune),
    "train-vq": ("train the image tokenizer of ud_vla on demonstrations", _train_vq),
    "evaluate": ("measure checkpoints and decoders on recordings", _evaluate),
    "benchmark": ("measure how fast policies decode on this machine", _benchmark),
    "benchmark-sim": ("compare systems and decoders in simulation, under conditions", _benchmark_sim),
    "benchmark-libero": ("measure a policy's success on LIBERO's suites", _benchmark_libero),
    "inspect": ("see a recording, and what the policy thought", _inspect),
    "convert": ("recordings to training data or LeRobot data sets, and back", _convert),
    "stats": ("check recordings or a data set, and write its statistics", _stats),
    "simulate": ("measure a policy's success in simulation, without ROS", _simulate),
    "model-card": ("write or renew a checkpoint's README.md: contents, training, results", model_card),
    "inspect-checkpoint": ("say what a checkpoint is, without loading it", inspect_checkpoint),
    "golden": ("record what a checkpoint answers, to be asked again at every start", golden),
    "fresh-checkpoint": ("write random weights in the layout of a published system", fresh_checkpoint),
}

if __name__ == "__main__":
    sys.exit(main())
