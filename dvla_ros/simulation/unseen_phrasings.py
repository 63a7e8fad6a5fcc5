"""Sentences that ask for the simulated tasks in words that no demonstration uses; never to be trained on."""

from dvla_ros.errors import SimulationError
from dvla_ros.simulation.tasks import Detour, Pick, Push, PutOnPlate, Stack, Task

KINDS = ("another verb", "another noun", "a whole request")
"""What differs from the sentences of the demonstrations, from little to much."""


def unseen_phrasings(task: Task) -> tuple[str, str, str]:
    """One sentence for each of `KINDS`; none of them is among the task's `phrasings`.

    Raises:
        SimulationError: The task is of no known family.
    """
    cube = f"the {task.target} cube"
    box = f"the {task.target} box"
    toy = f"the little {task.target} toy"
    if isinstance(task, Detour):
        return f"reach {cube} around the post", f"go round the pole to {box}", f"can you get past that post to {toy}"
    if isinstance(task, Pick):
        return f"raise {cube}", f"pick up {box}", f"could you hold up {toy} for me"
    if isinstance(task, PutOnPlate):
        return f"drop {cube} on the plate", f"put {box} on the dish", f"could you leave {toy} on that round dish"
    if isinstance(task, Stack):
        other = task.base
        return (
            f"set {cube} upon the {other} cube",
            f"stack {box} on the {other} box",
            f"build a tower with {task.target} standing on {other}",
        )
    if isinstance(task, Push):
        way = task.direction
        return f"shove {cube} to the {way}", f"push {box} to the {way}", f"move {toy} over to your {way} side"
    raise SimulationError(f"There are no unseen sentences for {task.name!r}; add them beside those of its family.")
