"""What is said: the instruction, the reasoning, the state of the controller and its reasons, and what answers."""

from dvla_ros.view.colours import STATE
from dvla_ros.view.facts import Instruction, Outcome, Policy, Reasoning, Status
from dvla_ros.view.rerun_stream import RerunStream


class WordPanel:
    """Logs a line where something changed, and keeps the present state as a text of its own.

    Args:
        stream: Where to log.
    """

    def __init__(self, stream: RerunStream) -> None:
        self._stream = stream
        self._instruction, self._outcome = "", ""
        self._state = ("", "")

    def see_instruction(self, fact: Instruction) -> None:
        """Log an instruction where it differs from the one before."""
        if fact.text == self._instruction:
            return
        self._instruction = fact.text
        self._stream.at(fact.stamp)
        self._document("said/instruction", fact.text or "(none)")
        self._line("log/instruction", fact.text or "the run was ended", "INFO")

    def see_reasoning(self, fact: Reasoning) -> None:
        """Show what the policy said to itself."""
        self._stream.at(fact.stamp)
        self._document("said/reasoning", fact.text)
        self._line("log/reasoning", fact.text, "DEBUG")

    def see_status(self, fact: Status) -> None:
        """Log the state of the controller where it, or its reason, differs from the one before."""
        if (fact.state, fact.reason) == self._state:
            return
        self._state = (fact.state, fact.reason)
        words = ": ".join(part for part in (fact.state, fact.reason, fact.message) if part)
        self._stream.at(fact.stamp)
        self._document("said/state", words)
        self._line("log/controller", words, STATE.get(fact.state, "WARN"))

    def see_outcome(self, fact: Outcome) -> None:
        """Log what the simulated scene says where it differs from the one before."""
        if fact.text != self._outcome:
            self._outcome = fact.text
            self._stream.at(fact.stamp)
            self._line("log/scene", fact.text, "INFO")

    def see_policy(self, fact: Policy) -> None:
        """Show what answers."""
        rows = "\n".join(f"| {name} | {_cell(value)} |" for name, value in fact.facts)
        text = f"| policy | |\n|---|---|\n{rows}\n"
        self._stream.log_always("said/policy", self._stream.rr.TextDocument(text, media_type="text/markdown"))

    def warn(self, stamp: float, text: str) -> None:
        """Log that something could not be shown."""
        self._stream.at(stamp)
        self._line("log/view", text, "WARN")

    def _document(self, entity: str, text: str) -> None:
        self._stream.log(entity, self._stream.rr.TextDocument(text))

    def _line(self, entity: str, text: str, level: str) -> None:
        self._stream.log(entity, self._stream.rr.TextLog(text, level=level))


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
