"""What each flag of main.py is for, said once. Its role decides what follows:

role      when a run goes on           --evaluate      --resume once compares it    tells runs apart in tables
command   command line                 command line    no                           no
machine   command line                 command line    no                           no
record    given, else as recorded      command line    no                           no
length    given, else as recorded      command line    no: a shorter run goes on    yes
model     recorded; else is refused    recorded        yes                          yes

Every flag that is not named here has the role `model`.
"""

from __future__ import annotations

ROLES = {
    "command": "log_path result_path resume load_model global_step evaluate epoch bootstrap",
    "machine": "device num_threads compile data_on_device quiet",
    "record": "checkpoint_steps keep_epochs metrics end_metrics visualise data_path eval_data_path",
    "length": "epochs max_steps precision metric_preset eval_dataset",
}
_ROLE_OF = {name: role for role, names in ROLES.items() for name in names.split()}


def role(name: str) -> str:
    """The role of the flag with this name (of its value in the namespace)."""
    return _ROLE_OF.get(name, "model")


def of_command(name: str) -> bool:
    """Whether the flag says how one command runs, and is never taken from a run."""
    return role(name) in ("command", "machine")


def tells_apart(name: str) -> bool:
    """Whether runs with different values of this argument are runs of different settings."""
    return role(name) in ("model", "length")
