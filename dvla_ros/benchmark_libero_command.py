"""`dvla benchmark-libero`: success of a checkpoint on LIBERO's suites, whose simulator `make libero` installs."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import tyro
from rich import box
from rich.table import Table

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.episode_bar import episode_bar, wide_console
from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.libero.episodes import LiberoEpisodes, LiberoPlan
from dvla_ros.evaluation.libero.figures import LiberoFigures, differences, figures_of, figures_table
from dvla_ros.evaluation.libero.record import LiberoConditions, LiberoRecord
from dvla_ros.evaluation.libero.simulator import LiberoSimulator, python_of, versions_in
from dvla_ros.evaluation.markdown_table import rewrite_part
from dvla_ros.policies.base import Policy
from dvla_ros.policies.load import load_policy, require_device
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.settings import parse_settings
from dvla_ros.provenance import git_revision, machine_line

_LOG = "simulator.log"
console = wide_console()


@dataclass(frozen=True)
class BenchmarkLibero:
    """Measure a checkpoint on LIBERO; the same command goes on where it was interrupted.

    Attributes:
        checkpoint: Folder, of this package or as a published system's training code wrote it.
        deployment: YAML file that says how a published checkpoint is used.
        suite: Suites: libero_spatial, libero_object, libero_goal, libero_10, libero_90.
        tasks: Numbers of tasks from 0, of each suite; all by default.
        episodes: Of each task: its first initial states, of 50.
        seed: Of the policy's answers, and of where furniture stands.
        max_steps: Commands of an episode; 0 is the suite's published number.
        execute_steps: Rows of a chunk to execute before the next look; 0 is the checkpoint's own number.
        whole_chunks: Execute every row of a chunk instead.
        camera_size: Side of the two pictures in pixels.
        rotate: Turn pictures by 180 degrees, as the published systems were trained to see them.
        threads: CPU threads of the policy.
        device: cpu or cuda.
        cache: What a denoising step keeps: exact, prefix, dllm or dllm:25,7,0.25; by default as the deployment says.
        decoding: Decoder settings to replace, as name=value.
        run: Run what is missing; --no-run shows what is recorded.
        environment: Where `make libero` has put the simulator.
        record: Folder with a file of episodes for each suite, and the simulator's log.
        json: File for the figures.
        write: Page whose table is replaced.
        part: Which table of the page: it stands between the comments "PART: begin" and "PART: end".
    """

    checkpoint: tyro.conf.Positional[Path]
    deployment: Path | None = None
    suite: tuple[str, ...] = ("libero_spatial",)
    tasks: tuple[int, ...] = ()
    episodes: int = 50
    seed: int = 0
    max_steps: int = 0
    execute_steps: int = 0
    whole_chunks: bool = False
    camera_size: int = 256
    rotate: bool = True
    threads: int = 1
    device: str = "cpu"
    cache: str = ""
    decoding: tuple[str, ...] = ()
    run: bool = True
    environment: Path = Path(".libero")
    record: Path = Path("libero_record")
    json: Path | None = None
    write: Path | None = None
    part: str = "libero"

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ConfigurationError(f"threads must be 1 or more, got {self.threads}.")
        if not self.suite:
            raise ConfigurationError("Name at least one suite, such as --suite libero_spatial.")

    @property
    def plans(self) -> tuple[LiberoPlan, ...]:
        """One for each suite.

        Raises:
            ConfigurationError: A value is unknown or out of range.
        """
        plan = LiberoPlan(
            suite=self.suite[0],
            tasks=self.tasks,
            episodes=self.episodes,
            seed=self.seed,
            max_steps=self.max_steps,
            execute_steps=self.execute_steps,
            whole_chunks=self.whole_chunks,
            camera_size=self.camera_size,
            rotate=self.rotate,
        )
        return tuple(replace(plan, suite=name) for name in dict.fromkeys(self.suite))

    @property
    def used(self) -> Deployment | None:
        """How a published checkpoint is used; None where nothing is said.

        Raises:
            ConfigurationError: The file is wrong, or pictures would be turned twice.
        """
        deployment = None if self.deployment is None else Deployment.load(self.deployment)
        if deployment is not None and deployment.rotate_180 and self.rotate:
            raise ConfigurationError(
                f"{self.deployment} says rotate_180: true, and this command turns LIBERO's pictures already; leave one "
                "out (--no-rotate)."
            )
        return deployment

    def records(self, versions: Mapping[str, str]) -> list[LiberoRecord]:
        """What is wanted of each suite, with what is recorded of it."""
        conditions = LiberoConditions(
            self.checkpoint,
            self.used,
            parse_settings(self.decoding),
            self.cache,
            self.device,
            self.plans[0],
            versions,
        )
        return [LiberoRecord(self.record, replace(conditions, plan=plan)) for plan in self.plans]

    def load(self) -> Policy:
        """The policy; errors as of `load_policy`."""
        return load_policy(self.checkpoint, self.device, parse_settings(self.decoding), self.used, self.cache)


def benchmark_libero(words: Sequence[str], prog: str = "dvla benchmark-libero") -> int:
    """Run what is missing, then print and write the figures of everything recorded for these episodes."""
    options = tyro.cli(BenchmarkLibero, args=words, prog=prog)
    require_device(options.device)
    python_of(options.environment)
    torch.set_num_threads(options.threads)
    versions = versions_in(options.environment)
    records = options.records(versions)
    if options.run and any(record.missing for record in records):
        run(records, options)
    figures = [row for record in records for row in figures_of(record.plan.suite, record.episodes)]
    if not figures:
        raise ConfigurationError(f"Nothing is recorded in {options.record} for these episodes; run without --no-run.")
    publish(figures, options, versions, f"{prog} {shlex.join(words)}")
    return 0


def run(records: Sequence[LiberoRecord], options: BenchmarkLibero) -> None:
    """Run the missing episodes behind a bar that says how long it will take."""
    policy = options.load()
    total, missing = (sum(map(len, of)) for of in ([r.plan.scenes for r in records], [r.missing for r in records]))
    with (
        LiberoSimulator.of(options.environment, options.record / _LOG) as simulator,
        episode_bar(console) as bar,
    ):
        line = bar.add_task("", total=total, completed=total - missing)
        for record in records:
            runner = LiberoEpisodes(policy, simulator, record.plan)
            for task, initial_state in record.missing:
                record.add(runner.episode(task, initial_state))
                successes = sum(episode.success for episode in record.episodes)
                told = f"{record.plan.suite}, task {task}: {successes} of {len(record.episodes)} succeed"
                bar.update(line, advance=1, description=told)


def publish(
    figures: Sequence[LiberoFigures], options: BenchmarkLibero, versions: Mapping[str, str], command: str
) -> None:
    """The table on the screen, and everything that is asked for in files; never without what sets it apart."""
    table, machine, apart = figures_table(figures), machine_line(), differences(options.plans, versions)
    shown = Table(title=f"{options.checkpoint} on LIBERO", box=box.SIMPLE)
    for index, heading in enumerate(table.headings):
        shown.add_column(heading, no_wrap=True, justify="left" if index < 3 else "right")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    console.print("Not to be put beside published figures without saying what differs:")
    for sentence in apart:
        console.print(f"- {sentence}", highlight=False)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        values = {
            "machine": machine,
            "revision": git_revision(),
            "command": command,
            "simulator": dict(versions),
            "plans": [asdict(plan) for plan in options.plans],
            "differences": apart,
            "figures": [row.to_json() for row in figures],
        }
        options.json.write_text(json.dumps(known(values), indent=1, allow_nan=False) + "\n")
        console.print(f"Wrote {options.json}.")
    if options.write is not None:
        below = "\n".join(f"- {sentence}" for sentence in apart)
        rewrite_part(options.write, options.part, f"{table.markdown()}\n\n{below}\n\n{machine}.\n\n`{command}`")
        console.print(f"Wrote the table into {options.write}.")
