"""The numerical tests as other processors would run them: `python -m tests.processors [NAME ...]`, one line each.

The libraries choose their kernels at start, by the processor's features; environment variables take features away. A
kernel that this processor lacks cannot be had so: on one without AVX-512, those combinations run what it has.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Reference values, exponential, fast layers, metrics, resume, determinism.
PATHS = (
    *("models/test_lie_vae_reference.py", "models/test_baselines_reference.py", "models/test_lie_algebra.py"),
    *("models/test_exponential.py", "models/test_fast_ops.py", "models/test_losses.py", "models/test_diagnostics.py"),
    *("models/test_total_correlation.py", "models/test_factor_vae.py", "metrics/test_reference_values.py"),
    *("metrics/test_metric_properties.py", "metrics/test_evaluate_metrics.py", "system/test_speed.py"),
    *("logger/test_resume.py", "logger/test_two_processes.py", "logger/test_reference_checkpoints.py"),
    *("datasets/test_render_dsprites.py", "datasets/test_render_shapes3d.py", "test_trainer.py"),
)
VARIABLES = (
    *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"),
    *("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "OMP_NUM_THREADS"),
)
NO_AVX512, NO_AVX2 = "X86_V4 AVX512_ICL AVX512_SPR", "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"
# Values of VARIABLES; "" leaves the choice to the library.
COMBINATIONS = {
    "this-1": ("", "", "", "", "", "1"),
    "this-2": ("", "", "", "", "", "2"),
    "sse-1": ("default", "SSE41", "SSE4_2", "Prescott", NO_AVX2, "1"),
    "avx2-2": ("avx2", "AVX2", "AVX2", "Haswell", NO_AVX512, "2"),
    "zen-1": ("avx2", "AVX2", "AVX2", "Zen", NO_AVX512, "1"),
    "avx512-2": ("avx512", "AVX512_CORE", "", "SkylakeX", "", "2"),
    "mixed-2": ("default", "AVX2", "SSE4_2", "SkylakeX", NO_AVX512, "2"),
}


def environment(name: str) -> dict[str, str]:
    """This process's environment with the variables of one combination."""
    chosen = {variable: value for variable, value in zip(VARIABLES, COMBINATIONS[name], strict=True) if value}
    return {variable: value for variable, value in os.environ.items() if variable not in VARIABLES} | chosen


def run(name: str, paths: list[str]) -> bool:
    """The tests under one combination: prints one line, and all that pytest said if one failed. Whether all passed."""
    two = ["-n", "2", "--dist", "loadfile"] if COMBINATIONS[name][-1] == "1" else []  # of one thread, two at a time
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *two, *paths]
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment(name), capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
    settings = " ".join(value or "-" for value in COMBINATIONS[name])
    last = (done.stdout.strip().splitlines() or ["no output"])[-1].strip("= ")
    print(f"{name:9} [{settings}] {last} ({time.monotonic() - start:.0f} s)", flush=True)
    return done.returncode == 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(COMBINATIONS)} [all]")
    parser.add_argument("--paths", nargs="+", help="the tests to run [the numerical ones]")
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(COMBINATIONS):
        parser.error(f"unknown combination {', '.join(sorted(unknown))}; choose from {', '.join(COMBINATIONS)}")
    paths = args.paths or [f"tests/{path}" for path in PATHS]
    print("combination [" + " ".join(VARIABLES) + "]", flush=True)
    passed = [run(name, paths) for name in args.names or COMBINATIONS]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
