"""A launch file under the real launch system, in a process of its own, whose output can be waited for."""

import runpy
import subprocess
import sys
import threading

LAUNCH = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
texts = sys.argv[2:]
service = LaunchService(argv=texts)
pairs = [tuple(text.split(":=", 1)) for text in texts]
service.include_launch_description(
    IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=pairs)
)
sys.exit(service.run())
"""
TIMEOUT_S = 120.0


class Launched:
    """A Python program, given by its arguments; it is killed after `TIMEOUT_S`."""

    def __init__(self, *command, env=None):
        self.process = subprocess.Popen(
            [sys.executable, "-u", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=env,
        )
        self.output = ""
        self._watchdog = threading.Timer(TIMEOUT_S, self.process.kill)
        self._watchdog.start()

    def wait_for(self, *texts):
        """Wait until all texts have been printed, in whatever order."""
        while missing := [text for text in texts if text not in self.output]:
            line = self.process.stdout.readline()
            assert line, f"ended without {missing}:\n{self.output}"
            self.output += line

    def end(self):
        """Its exit code, once it has ended."""
        self.output += self.process.stdout.read()
        self._watchdog.cancel()
        return self.process.wait(TIMEOUT_S)


def launched(file, *texts, env=None):
    """A launch file with arguments `name:=value`."""
    return Launched("-c", LAUNCH, str(file), *texts, env=env)


def declared_arguments(file):
    """Names and descriptions of the arguments that a launch file declares, in its order."""
    from launch.actions import DeclareLaunchArgument

    entities = runpy.run_path(str(file))["generate_launch_description"]().entities
    return [(entity.name, entity.description) for entity in entities if isinstance(entity, DeclareLaunchArgument)]
