"""Reads the plan, study/plan.toml: the runs, their order, and published scores."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from system.errors import UserError

# Columns of the tables -> names in scores.json.
SCORES = {
    "FactorVAE": "fac_eval",
    "beta-VAE": "val_hig_acc",
    "MIG": "discrete_mig",
    "MIG, all factors": "discrete_mig_all_factors",
    "SAP": "SAP_score",
    "DCI": "dci_disentanglement",
}
ROTATED = ("fac_eval", "discrete_mig_all_factors", "SAP_score", "dci_disentanglement")  # see study/analysis.py


@dataclass(frozen=True)
class Configuration:
    """A row of a table. Fields as in plan.toml, with complete `flags` (`like` is resolved)."""

    name: str
    group: str
    flags: dict
    seeds: Sequence[int]
    also: str | None = None
    paper: dict[str, Sequence[float]] = field(default_factory=dict)
    rerun: dict[str, Sequence[float]] = field(default_factory=dict)
    checkpoint: bool = False
    full: bool = True

    @property
    def epochs(self) -> int:
        """The budget in epochs."""
        return self.flags["epochs"]

    def command(self, seed: int | str) -> list[str]:
        """The flags of main.py for a run; --keep-epochs is chosen such that the last epoch's weights are kept."""
        values = {name: json.dumps(v) if isinstance(v, list) else str(v) for name, v in self.flags.items()}
        keep = 7 if self.epochs % 7 == 0 else self.epochs
        how = ["--metrics", "--metric-preset=fast", f"--keep-epochs={keep}", "--visualise=false"]
        return [*(f"--{name}={value}" for name, value in values.items()), f"--seed={seed}", *how]


def _read(file: Path) -> tuple[dict, list[Configuration]]:
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    found: dict[str, Configuration] = {}
    for name, entry in content.pop("configuration").items():
        flags = found[entry.pop("like")].flags if "like" in entry else {}
        found[name] = Configuration(name, **{**entry, "flags": {**flags, **entry["flags"]}})
    return content, list(found.values())


PLAN, CONFIGURATIONS = _read(Path(__file__).with_name("plan.toml"))
GROUPS: dict[str, dict] = PLAN["group"]


def rows(group: str) -> list[Configuration]:
    """The rows of a group's tables: its configurations, first the one of another group that it starts from, if any."""
    base = GROUPS[group].get("base")
    return [
        configuration for configuration in CONFIGURATIONS if group == configuration.group or configuration.name == base
    ]


def by_name(name: str) -> Configuration:
    """The configuration with this name."""
    return next(c for c in CONFIGURATIONS if c.name == name)


def of_run(args: dict) -> Configuration:
    """The configuration of a run with these recorded arguments. Raises UserError if there is none.

    If two configurations match, since `auto` matches every precision: the one whose name is a folder of the log path.
    """
    differing = {
        c.name: [n for n, v in c.flags.items() if args.get(n) != v and (n, v) != ("precision", "auto")]
        for c in CONFIGURATIONS
    }
    folders = Path(args.get("log_path", "")).parts
    name = min(differing, key=lambda name: (len(differing[name]), name not in folders))
    if differing[name]:
        raise UserError(
            f"no configuration of study/plan.toml has the arguments of this run; the nearest is {name}, which differs "
            f"in {', '.join(differing[name])}: add yours to the plan"
        )
    return by_name(name)


def jobs(names: Sequence[str] | None = None) -> list[tuple[Configuration, int]]:
    """(configuration, seed) of the named groups and configurations (None: all), by group, then by seed.

    Raises UserError if a name is not in the plan.
    """
    order = list(GROUPS)
    known = [*order, *(c.name for c in CONFIGURATIONS if c.name not in GROUPS)]
    if unknown := [name for name in names or () if name not in known]:
        raise UserError(f"--only {' '.join(unknown)} is not in the plan; choose from {', '.join(known)}")
    wanted = [c for c in CONFIGURATIONS if not names or c.name in names or c.group in names]
    found = [(c, seed) for c in wanted for seed in c.seeds]
    return sorted(found, key=lambda job: (order.index(job[0].group), job[1]))
