"""The messages of other projects are there for every test of this folder, before its modules are imported."""

from ros_messages import use_test_messages

# At collection rather than in a fixture: building them takes a minute, which no test's time limit should pay for.
use_test_messages()
