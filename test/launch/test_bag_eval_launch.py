"""`bag_eval.launch.py` under the real launch system."""

from pathlib import Path

from launched import declared_arguments, launched

from dvla_ros.nodes.bag_eval_arguments import BAG_EVAL_ARGUMENTS

FILE = Path(__file__).parents[2] / "launch" / "bag_eval.launch.py"


def test_every_argument_of_the_table_is_declared_with_its_description():
    assert [name for name, _ in declared_arguments(FILE)] == [argument.name for argument in BAG_EVAL_ARGUMENTS]


def test_the_evaluation_is_started_and_what_is_wrong_is_said(tmp_path):
    launch = launched(FILE, f"bag:={tmp_path / 'none'}", f"out:={tmp_path / 'report'}", "system:=dd_vla")
    launch.end()
    assert "process started" in launch.output
    assert str(tmp_path / "none") in launch.output and "Traceback" not in launch.output


def test_a_wrong_argument_is_named_and_starts_nothing():
    launch = launched(FILE, "bga:=one")
    assert launch.end() == 1
    assert "Did you mean 'bag'" in launch.output and "process started" not in launch.output
