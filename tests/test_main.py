"""The command line: defaults, spellings, and one clear line for bad input."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import main

ROOT = Path(main.__file__).parent
DEFAULTS = {
    "--epochs": 50,
    "--model": "lie_group",
    "--dataset": "shapes3d",
    "--fixed_shape": None,
    "--data-path": None,
    "--latents": 10,
    "--batch-size": 128,
    "--split": 0.1,
    "--shuffle": True,
    "--base-model": "beta_celeb",
    "--base-model-path": None,
    "--load-model": False,
    "--log-path": "logs",
    "--global-step": None,
    "--learning-rate": 1e-4,
    "--beta": 1,
    "--capacity": None,
    "--capacity-leadin": 100000,
    "--visualise": True,
    "--metrics": False,
    "--end-metrics": True,
    "--evaluate": False,
    "--eval_dataset": None,
    "--eval_data_path": None,
    "--subgroup_sizes_ls": [100],
    "--subspace_sizes_ls": [10],
    "--lie_alg_init_scale": 0.001,
    "--hy_hes": 40,
    "--hy_rec": 0.1,
    "--hy_commute": 0,
    "--forward_eg_prob": 0.2,
    "--recons_loss_type": "l2",
    "--no_exp": False,
    "--factor_vae_gamma": 6.4,
    "--lambda_d": 1,
    "--lambda_od": 10,
    "--seed": None,
    "--device": "auto",
    "--max-steps": None,
    "--num-threads": None,
    "--quiet": False,
}
PUBLISHED_DSPRITES = [
    *("--model=lie_group", "--epochs=70", "--batch-size=256", "--latents", "10", "--learning-rate=1e-4"),
    *("--subgroup_sizes_ls", "[100]", "--subspace_sizes_ls", "[10]", "--lie_alg_init_scale", "0.001"),
    *("--hy_hes", "40", "--hy_rec", "0.1", "--hy_commute", "0", "--forward_eg_prob=0.2", "--recons_loss_type=bce"),
    *("--log-path=logs", "--data-path=data", "--dataset=dsprites"),
    *("--eval_data_path=data", "--eval_dataset=dsprites", "--split=0"),
]


def parse(*argv: str):
    return main.build_parser().parse_args(argv)


def test_defaults():
    args = parse()
    assert {flag: getattr(args, flag[2:].replace("-", "_")) for flag in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("flag", [flag for flag in DEFAULTS if "-" in flag[2:] or "_" in flag])
def test_both_spellings_are_the_same_flag(flag):
    value = {"--fixed_shape": "1", "--subgroup_sizes_ls": "[4]", "--subspace_sizes_ls": "[4]"}.get(flag, "1")
    value = {"--base-model": "vae", "--recons_loss_type": "bce", "--eval_dataset": "mnist"}.get(flag, value)
    dashes, lines = "--" + flag[2:].replace("_", "-"), "--" + flag[2:].replace("-", "_")
    assert parse(dashes, value) == parse(lines, value)


@pytest.mark.parametrize("word", ["true", "True", "yes", "1", None])
def test_words_for_true(word):
    assert parse(*(["--no_exp"] if word is None else ["--no_exp", word])).no_exp is True


@pytest.mark.parametrize("word", ["false", "False", "no", "0"])
def test_words_for_false(word):
    assert parse("--visualise", word).visualise is False
    assert parse(f"--visualise={word}").visualise is False


def test_short_learning_rate():
    assert parse("-lr", "1e-3").learning_rate == 1e-3


def test_the_word_none_stands_for_no_value():
    args = parse("--data-path=none", "--max-steps=None", "--capacity", "NONE")
    assert (args.data_path, args.max_steps, args.capacity) == (None, None, None)


def test_published_command_parses():
    args = parse(*PUBLISHED_DSPRITES)
    assert (args.epochs, args.batch_size, args.subgroup_sizes_ls, args.split) == (70, 256, [100], 0)


@pytest.mark.parametrize(
    ("argv", "meant"),
    [(["--latens=3"], "--latents"), (["--model", "lie_grup"], "lie_group"), (["--dataset=dsprite"], "dsprites")],
)
def test_a_misspelt_flag_or_choice_names_what_may_have_been_meant(argv, meant, capsys):
    assert main.main(argv) == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_a_tilde_is_the_home_folder():
    assert parse("--log-path=~/logs").log_path == str(Path("~/logs").expanduser())


BAD = [
    (["--subgroup_sizes_ls", "[99]"], "--subgroup_sizes_ls"),
    (["--subgroup_sizes_ls", "[100, 25]"], "--subspace_sizes_ls"),
    (["--subgroup_sizes_ls", "100"], "--subgroup_sizes_ls"),
    (["--subspace_sizes_ls", "[0]"], "--subspace_sizes_ls"),
    (["--latents", "9"], "--latents"),
    (["--latents", "0"], "--latents"),
    (["--split", "1"], "--split"),
    (["--split", "-0.1"], "--split"),
    (["--forward_eg_prob", "1.5"], "--forward_eg_prob"),
    (["--forward_eg_prob", "nan"], "--forward_eg_prob"),
    (["--batch-size", "0"], "--batch-size"),
    (["--learning-rate", "fast"], "--learning-rate"),
    (["--no_exp", "perhaps"], "--no_exp"),
    (["--dataset", "imagenet"], "--dataset"),
    (["--eval_dataset", "imagenet"], "--eval_dataset"),
    (["--model", "gan"], "--model"),
    (["--recons_loss_type", "l3"], "--recons_loss_type"),
    (["--fixed_shape", "1"], "--fixed_shape"),
    (["--fixed_shape", "3", "--dataset", "dsprites"], "--fixed_shape"),
    (["--resize", "pad"], "--resize"),
    (["--channels", "2", "--dataset", "images", "--data-path", "{tmp}"], "--channels"),
    (["--dataset", "images"], "--data-path"),
    (["--dataset", "images", "--data-path", "{tmp}"], "--data-path"),
    (["--dataset", "arrays", "--data-path", "{tmp}/file"], "--data-path"),
    (["--load-model"], "--load-model"),
    (["--epoch", "3"], "--epoch"),
    (["--keep-epochs", "0"], "--keep-epochs"),
    (["--evaluate"], "--log-path"),
    (["--evaluate", "--log-path", "{tmp}"], "--log-path"),
    (["--log-path", "{tmp}/file/logs"], "--log-path"),
    (["--data-path", "{tmp}/file/data"], "--data-path"),
    (["--base-model-path", "{tmp}/nothing"], "--base-model-path"),
    (["--batchsize", "3"], "--batchsize"),
]


@pytest.mark.parametrize(("argv", "flag"), BAD, ids=[" ".join(argv) for argv, _ in BAD])
def test_bad_input_is_one_line_and_status_2(argv, flag, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIE_VAE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "file").write_text("not a folder")
    argv = [word.replace("{tmp}", str(tmp_path)) for word in argv]
    status = main.main(argv)
    stderr = capsys.readouterr().err
    assert status == 2
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert flag in stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_help_does_not_import_torch_and_has_one_line_a_flag():
    code = "import sys, main\ntry: main.main(['--help'])\nexcept SystemExit: assert 'torch' not in sys.modules"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line for line in out.splitlines() if line.startswith("  -")]
    for flag in DEFAULTS:
        assert sum(re.match(rf"  (-\w+, )?{flag}( |$)", line) is not None for line in lines) == 1, flag


@pytest.mark.parametrize("columns", [80, 120])
def test_help_starts_with_what_the_program_is_for_fits_the_terminal_and_ends_with_examples(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = main.build_parser().format_help()
    assert max(map(len, text.splitlines())) <= columns and "None]" not in text
    assert text.split("\n\n")[1].startswith("Trains VAEs that learn")
    examples = [line.split()[1:] for line in text.split("examples:")[1].splitlines() if " main.py " in line]
    assert len(examples) == 3
    for example in examples:
        main.build_parser().parse_args(example)


def test_the_demo_is_a_command_that_training_accepts():
    import trainer

    (flags,) = re.findall(r"^DEMO = (.*)$", (ROOT / "Makefile").read_text().replace("\\\n", " "), re.MULTILINE)
    trainer.check_args(parse(*shlex.split(flags)))


def test_a_signal_during_the_import_of_torch_has_the_status_for_a_restart(tmp_path):
    code = """
import os, signal, sys
class Places:
    @staticmethod
    def find_spec(name, *_):
        if name == "torch":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Places)
import main
sys.exit(main.main(sys.argv[1:]))"""
    command = [sys.executable, "-c", code, f"--log-path={tmp_path / 'logs'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 75
    assert done.stderr.startswith("stopped by SIGTERM; the same command with --resume auto")
    assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())
