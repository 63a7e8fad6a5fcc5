"""What the documentation says of settings is so, and its links lead somewhere."""

import ast
import json
import re
from dataclasses import MISSING, fields
from itertools import takewhile
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import tyro
import yaml

from dvla_ros.actions.gripper import GRIPPER_CONVENTIONS
from dvla_ros.benchmark_command import Benchmark
from dvla_ros.benchmark_libero_command import BenchmarkLibero
from dvla_ros.benchmark_sim_command import BenchmarkSim
from dvla_ros.checkpoint_commands import FreshCheckpoint, Golden, InspectCheckpoint, ModelCard
from dvla_ros.cli import Collect, Simulate
from dvla_ros.control.controller_config import ControllerConfig
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.dataset_commands import Convert, Stats
from dvla_ros.denoising.registry import DECODERS, override
from dvla_ros.evaluate_command import Evaluate
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_divla import SmallDivlaConfig
from dvla_ros.models.small_vla import SmallVlaConfig
from dvla_ros.nodes.chunker_parameters import ChunkerParameters
from dvla_ros.nodes.deadman_node import DeadmanParameters
from dvla_ros.nodes.demonstrate import DemonstrateConfig
from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS, parse_arguments
from dvla_ros.nodes.node_table import widowx_plan
from dvla_ros.nodes.operator.parameters import OperatorParameters
from dvla_ros.nodes.parameters import parameter_fields
from dvla_ros.nodes.policy_parameters import PolicyParameters
from dvla_ros.nodes.recorder_parameters import RecorderParameters
from dvla_ros.nodes.sim_node import SimParameters
from dvla_ros.nodes.view_node import ViewParameters
from dvla_ros.policies.checkpoint import CheckpointConfig, dataclass_from_json
from dvla_ros.policies.coding import ActionCoding
from dvla_ros.policies.ddim_decoding import DdimDecoding, override_ddim
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.settings import parse_settings
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.fine_tune_config import FineTuneConfig
from dvla_ros.training.objectives.dd_vla import DdVlaObjectiveConfig
from dvla_ros.training.objectives.dfm_vla import DfmVlaObjectiveConfig
from dvla_ros.training.objectives.diffusion_vla import DiffusionVlaObjectiveConfig
from dvla_ros.training.objectives.llada_vla import LladaVlaObjectiveConfig
from dvla_ros.training.objectives.ud_vla import UdVlaObjectiveConfig
from dvla_ros.training.train_vq import TrainVqConfig
from dvla_ros.view_command import Inspect

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("checkpoints/*/README.md")])
CHECKPOINTS = ROOT / "docs/how_to/checkpoints.md"
FORMAT = ROOT / "docs/reference/checkpoint_format.md"
COMMANDS = ROOT / "docs/reference/commands.md"
LAUNCH = ROOT / "docs/reference/launch_arguments.md"
PARAMETERS = ROOT / "docs/reference/parameters.md"
SAFETY = ROOT / "docs/safety.md"
SYSTEMS_PAGE = ROOT / "docs/systems.md"

OBJECTIVES = {
    "dd_vla": DdVlaObjectiveConfig,
    "ud_vla": UdVlaObjectiveConfig,
    "llada_vla": LladaVlaObjectiveConfig,
    "dfm_vla": DfmVlaObjectiveConfig,
    "diffusion_vla": DiffusionVlaObjectiveConfig,
}
TABLES = {
    "config.json": CheckpointConfig,
    "small_vla": SmallVlaConfig,
    "small_divla": SmallDivlaConfig,
    "perception": PerceptionConfig,
    "segment": SegmentSizes,
    "coding": ActionCoding,
    "ddim": DdimDecoding,
    **{name: config for name, (config, _) in DECODERS.items()},
}
OPTIONS = {
    "dvla demonstrate": (DemonstrateConfig,),
    "dvla collect": (Collect,),
    "dvla train": (TrainConfig,),
    "dvla fine-tune": (FineTuneConfig,),
    "dvla train-vq": (TrainVqConfig,),
    "dvla simulate": (Simulate,),
    "dvla convert": (Convert,),
    "dvla stats": (Stats,),
    "dvla evaluate": (Evaluate,),
    "dvla model-card": (ModelCard,),
    "dvla inspect-checkpoint": (InspectCheckpoint,),
    "dvla golden": (Golden,),
    "dvla fresh-checkpoint": (FreshCheckpoint,),
    "dvla inspect": (Inspect,),
    "dvla benchmark": (Benchmark,),
    "dvla benchmark-sim": (BenchmarkSim,),
    "dvla benchmark-libero": (BenchmarkLibero,),
}
PARAMETER_TABLES = {
    "policy_node": ("policy_node", PolicyParameters),
    "chunker_node": ("chunker_node", ChunkerParameters),
    "Limits of the safety gate": ("chunker_node", SafetyConfig),
    "Behaviour of the controller": ("chunker_node", ControllerConfig),
    "deadman_node": ("deadman_node", DeadmanParameters),
    "operator_node": ("operator_node", OperatorParameters),
    "view_node": ("view_node", ViewParameters),
    "recorder_node": ("recorder_node", RecorderParameters),
    "sim_node": ("sim_node", SimParameters),
}
ELSEWHERE = {"perception", "model"}
"""Groups of options that another table tells."""
POSITIONAL = get_args(tyro.conf.Positional[str])[1]
"""What marks a field as a word of its own."""
PLACEHOLDERS = {"name=value", "decoder=stable"}
"""Not of a real decoder: a pattern, and the example of docs/how_to/add_a_decoder.md."""
IN_WORDS = {"perception", "segments", "unet1d", "scale_dp"}
"""Keys whose default is another table, which the page says in words."""


def text_of(page):
    return page.read_text(encoding="utf-8")


def section(page, heading):
    """The text from a heading to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text_of(page), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no heading {heading!r}"
    return found[1]


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", text_of(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("heading", TABLES)
def test_the_tables_of_the_checkpoint_format_are_complete_and_tell_the_defaults(heading):
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section(FORMAT, heading), re.MULTILINE))
    defaults = {field.name: default_of(field) for field in fields(TABLES[heading])}
    assert set(rows) - set(SYSTEMS) == set(defaults)
    for name in set(defaults) - IN_WORDS:
        assert value_of(rows[name]) == defaults[name], name


def default_of(field):
    value = field.default if field.default_factory is MISSING else field.default_factory()
    value = str(value) if isinstance(value, Path) else value
    return "needed" if value is MISSING else list(value) if isinstance(value, tuple) else value


def value_of(cell):
    try:
        return json.loads(cell.strip("`"))
    except json.JSONDecodeError:
        return cell.strip("`")


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_decoding_of_a_system_is_told_completely(system):
    (row,) = re.findall(rf"^\| `{system}` \| `(\w+)` \| (.*) \|$", section(FORMAT, "decoding"), re.MULTILINE)
    decoder, told = row
    settings = re.search(r"`(.*?=.*?)`", told)
    changes = parse_settings(settings[1].split()) if settings else {}
    complete = override_ddim if decoder == "ddim" else override
    own = dict(SYSTEMS[system].decoding)
    assert complete({"decoder": decoder}, changes) == complete({"decoder": decoder}, own)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_coding_of_a_system_is_told_completely(system):
    (told,) = re.findall(rf"^\| .*`{system}`.* \| `(\w+=.*)` \|$", section(FORMAT, "coding"), re.MULTILINE)
    assert dataclass_from_json(ActionCoding, parse_settings(told.split())) == SYSTEMS[system].coding


@pytest.mark.parametrize("heading", OPTIONS)
def test_the_tables_of_the_commands_are_complete_and_tell_the_defaults(heading):
    rows = dict(re.findall(r"^\| `--([\w-]+)` \| (.*?) ?\|", section(COMMANDS, heading), re.MULTILINE))
    options = [field for kind in OPTIONS[heading] for field in options_of(kind) if field.name not in ELSEWHERE]
    defaults = {field.name.replace("_", "-"): default_of(field) for field in options}
    assert set(rows) - {"json"} == set(defaults) - {"json"}
    for name, default in defaults.items():
        assert value_of(rows[name]) == ("" if default in (None, []) else default), name


def options_of(kind):
    """The fields that are given as options, not as words of their own."""
    hints = get_type_hints(kind, include_extras=True)
    return [field for field in fields(kind) if POSITIONAL not in get_args(hints[field.name])]


@pytest.mark.parametrize("system", OBJECTIVES)
def test_the_settings_of_a_loss_are_told_completely(system):
    (told,) = re.findall(rf"^\| `{system}` \| `(.*=.*)` \|$", section(COMMANDS, "dvla train"), re.MULTILINE)
    settings = parse_settings(told.split())
    assert set(settings) == {field.name for field in fields(OBJECTIVES[system])}
    assert dataclass_from_json(OBJECTIVES[system], settings) == OBJECTIVES[system]()


def test_the_table_of_launch_arguments_is_complete_and_tells_the_defaults():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", text_of(LAUNCH), re.MULTILINE)
    told = {name: "" if default == "empty" else default.strip("`") for name, default in rows}
    assert told == {argument.name: argument.default for argument in WIDOWX_ARGUMENTS}


@pytest.mark.parametrize("heading", PARAMETER_TABLES)
def test_the_tables_of_parameters_are_complete_and_tell_defaults_and_what_sets_them(heading):
    node, kind = PARAMETER_TABLES[heading]
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*?) \| (.*?)\|", section(PARAMETERS, heading), re.MULTILINE)
    told = {name: (default, given.strip()) for name, default, given in rows}
    shipped = yaml.safe_load((ROOT / "config/widowx.yaml").read_text(encoding="utf-8"))[node]["ros__parameters"]
    everything = ["use_sim:=true", "deadman:=true", "operator:=true", "view:=true", "record:=true", "recorder:=node"]
    plan = widowx_plan(parse_arguments(everything))
    (launched,) = (entry.parameters for entry in plan.nodes if entry.name == node)
    fields_of_kind = {field.name: default_of(field) for field in parameter_fields(kind)}
    assert set(told) == set(fields_of_kind)
    for name, default in fields_of_kind.items():
        assert rounded(parameter_of(told[name][0])) == rounded(default), name
        if name in launched:
            assert told[name][1] == "*launch*", name
        elif name in shipped:
            assert parameter_of(told[name][1]) == shipped[name], name
        else:
            assert told[name][1] == "", name


def parameter_of(cell):
    return "" if cell == "empty" else value_of(cell)


def rounded(value):
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return round(value, 5) if isinstance(value, float) else value


def test_the_page_on_safety_explains_every_word_that_holds_stops_or_rejects():
    explained = set(re.findall(r"`(\w+)`", text_of(SAFETY)))
    assert words_of_the_command_path() - explained == set()


def words_of_the_command_path():
    """Reasons of rejections, holds and faults, as the code writes them."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for folder in ("control", "nodes", "nodes/backends")
        for path in (ROOT / "dvla_ros" / folder).glob("*.py")
    ]
    constants = dict(pair for tree in trees for node in tree.body for pair in text_constants(node))
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    spoken = [call.args[position] for call in calls for position in reason_positions(call) if len(call.args) > position]
    return {word for reason in spoken for word in texts_of(reason, constants)} | backend_words(trees)


def texts_of(reason, constants):
    """The texts that an argument may be."""
    if isinstance(reason, ast.IfExp):
        return texts_of(reason.body, constants) + texts_of(reason.orelse, constants)
    text = constants.get(reason.id) if isinstance(reason, ast.Name) else constant(reason)
    return [text] if isinstance(text, str) else []


def reason_positions(call):
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = dict.fromkeys(("rejected", "Cause", "Hold", "fault", "_fail"), 0)
    positions = first | {"Condition": 1, "check_magnitude": 2, "check_range": 3}
    return [positions[name]] if name in positions else []


def text_constants(node):
    """(name, text) of an assignment of one or several texts at the top of a module."""
    if isinstance(node, ast.Assign):
        names, values = node.targets[0], node.value
        pairs = zip(names.elts, values.elts, strict=True) if isinstance(names, ast.Tuple) else [(names, values)]
        for name, value in pairs:
            if isinstance(constant(value), str):
                yield name.id, value.value


def constant(node):
    return node.value if isinstance(node, ast.Constant) else None


def backend_words(trees):
    """The words before the colon of what backends say in `problem`."""
    texts = [node.values[0].value for tree in trees for node in ast.walk(tree) if starts_with_text(node)]
    return {found[1] for text in texts if (found := re.match(r"((?:servo|gripper)_\w+): ", text))}


def starts_with_text(node):
    return isinstance(node, ast.JoinedStr) and bool(node.values) and isinstance(constant(node.values[0]), str)


def commands():
    """(page, system, option, settings) of every `--decoding`, `--objective` and `--coding` in a command."""
    for page in PAGES:
        for line in re.findall(r"dvla (?:simulate|train) [^`\n]*", text_of(page).replace("\\\n", " ")):
            words = line.partition("#")[0].split()
            named = re.search(r"--system (\w+)", line)
            system = named[1] if named else "dd_vla"
            for option in ("--decoding", "--objective", "--coding"):
                settings = settings_after(words, option)
                if settings and not PLACEHOLDERS & {system, *settings}:
                    yield page, system, option, settings


def settings_after(words, option):
    following = words[words.index(option) + 1 :] if option in words else []
    return [word for word in takewhile(lambda word: not word.startswith("--"), following) if "=" in word]


@pytest.mark.parametrize(("page", "system", "option", "settings"), list(commands()))
def test_the_settings_in_a_command_exist(page, system, option, settings):
    changes = parse_settings(settings)
    if option == "--decoding":
        (override_ddim if system == "diffusion_vla" else override)(dict(SYSTEMS[system].decoding), changes)
    else:
        dataclass_from_json(OBJECTIVES[system] if option == "--objective" else ActionCoding, changes)


@pytest.mark.parametrize(
    ("heading", "system"),
    [
        ("Discrete Diffusion VLA", "dd_vla"),
        ("UD-VLA", "ud_vla"),
        ("LLaDA-VLA", "llada_vla"),
        ("DFM-VLA", "dfm_vla"),
        ("DiffusionVLA", "diffusion_vla"),
    ],
)
def test_the_settings_on_the_page_of_the_systems_exist(heading, system):
    decoder = DECODERS.get(SYSTEMS[system].decoding["decoder"], (DdimDecoding,))[0]
    network = SmallDivlaConfig if system == "diffusion_vla" else SmallVlaConfig
    kinds = (decoder, OBJECTIVES[system], ActionCoding, network)
    known = {field.name for kind in kinds for field in fields(kind)}
    spans = re.findall(r"`((?:--\w+ )?\w+=[^`]*)`", section(SYSTEMS_PAGE, heading))
    named = {name for span in spans for name in re.findall(r"(\w+)=", span)}
    assert spans
    assert named - known - {"decoder"} == set()


def test_the_commands_name_every_system():
    assert {system for _, system, _, _ in commands()} == set(SYSTEMS)


def test_the_table_of_the_deployment_file_is_complete():
    rows = re.findall(r"^\| `(\w+)` \|", text_of(CHECKPOINTS), re.MULTILINE)
    assert [row for row in rows if row not in GRIPPER_CONVENTIONS] == [field.name for field in fields(Deployment)]
    robots = {name for name, it in GRIPPER_CONVENTIONS.items() if (it.low, it.high) == (0.0, 1.0)}
    assert {row for row in rows if row in GRIPPER_CONVENTIONS} == robots


def test_the_example_of_a_deployment_file_is_one(tmp_path):
    (example,) = re.findall(r"^```yaml\n(# my_arm.*?)^```", text_of(CHECKPOINTS), re.MULTILINE | re.DOTALL)
    path = tmp_path / "my_arm.yaml"
    path.write_text(example, encoding="utf-8")
    assert Deployment.load(path).files == {"vision_tokenizer": str(tmp_path / "../Emu3-VisionTokenizer")}
