import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datasets import check_data_path, load_dataset, store
from system.errors import UserError
from system.files import making, replacing

ROOT = Path(__file__).resolve().parents[2]


def test_an_unknown_home_directory_is_told(monkeypatch):
    monkeypatch.setenv("LIE_VAE_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(UserError, match="home directory of ~nobody.* is not known: set LIE_VAE_CACHE"):
        check_data_path("dsprites", None)


def test_unknown_data_set_lists_the_known_ones():
    with pytest.raises(UserError, match="--dataset imagenet is not known: choose from dsprites, shapes3d"):
        check_data_path("imagenet", None)


@pytest.mark.parametrize("name", ["dsprites", "shapes3d"])
def test_usable_data_paths_pass_the_check(name, tmp_path, dsprites_file, shapes3d_file):
    path, _ = {"dsprites": dsprites_file, "shapes3d": shapes3d_file}[name](tmp_path / "data")
    check_data_path(name, path)
    check_data_path(name, str(path.parent))
    check_data_path(name, tmp_path / "to" / "be" / "made")
    check_data_path(name, None)


def test_a_misspelt_file_fails_the_check(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        check_data_path("shapes3d", tmp_path / "shapes.h5")


def test_a_file_of_another_name_is_none_of_several_files(tmp_path):
    (tmp_path / "digits.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(UserError, match="digits.gz is no file of mnist; name train-images-idx3-ubyte.gz or its dir"):
        check_data_path("mnist", tmp_path / "digits.gz")


def test_an_unknown_option_fails_the_check(tmp_path):
    with pytest.raises(UserError, match="colour red does nothing for --dataset dsprites: leave it out"):
        check_data_path("dsprites", None, colour="red")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_directory_or_a_pipe_under_the_files_name_fails_the_check(make, tmp_path):
    make(tmp_path / "3dshapes.h5")
    with pytest.raises(UserError, match="is not a file"):
        check_data_path("shapes3d", tmp_path)


def test_links_that_lead_nowhere_fail_the_check(tmp_path):
    (tmp_path / "3dshapes.h5").symlink_to(tmp_path / "disk" / "3dshapes.h5")
    for path in (tmp_path, tmp_path / "3dshapes.h5"):
        with pytest.raises(UserError, match="3dshapes.h5 is a link to .*disk/3dshapes.h5, which is not there"):
            check_data_path("shapes3d", path)


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path):
    (tmp_path / "3dshapes.h5").symlink_to("/proc/self/mem")  # nobody may read at address 0
    with pytest.raises(UserError, match=r"3dshapes.h5 cannot be read \(Input/output error\): check its permissions"):
        check_data_path("shapes3d", tmp_path)


def test_no_message_asks_to_delete_a_file(tmp_path, dsprites_file):
    path, _ = dsprites_file(tmp_path, latents_classes=None)
    with pytest.raises(UserError, match="name another file, or move this one away and fetch it again"):
        load_dataset("dsprites", path, progress=False)


def test_a_directory_that_cannot_be_filled_fails_the_check():
    with pytest.raises(UserError, match=r"--data-path /dev/null/data: there is no .*name another directory"):
        check_data_path("dsprites", "/dev/null/data")


def test_a_cache_that_cannot_be_written_fails_the_check(monkeypatch):
    monkeypatch.setenv("LIE_VAE_CACHE", "/dev/null/cache")
    with pytest.raises(UserError, match="set LIE_VAE_CACHE"):
        check_data_path("dsprites", None)


def test_the_check_imports_no_torch():
    code = "import sys, datasets; datasets.check_data_path('shapes3d', None); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def _load_slowly(data_path, step, counter, ready):
    module, name = step
    work = getattr(module, name)

    def slow(*arguments):
        with counter.get_lock():
            counter.value += 1
        time.sleep(0.3)
        return work(*arguments)

    setattr(module, name, slow)
    ready.wait()
    assert load_dataset("dsprites", data_path, progress=False).factor_sizes == (3, 2, 4, 2, 3)


def times_done(data_path, step):
    """How often `step`, a module and the name of its function, runs when three processes load the data set at once."""
    context = multiprocessing.get_context("fork")
    counter, ready = context.Value("i", 0), context.Event()
    workers = [context.Process(target=_load_slowly, args=(data_path, step, counter, ready)) for _ in range(3)]
    for worker in workers:
        worker.start()
    ready.set()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    return counter.value


def test_processes_at_once_convert_once(tmp_path, dsprites_file):
    path, _ = dsprites_file(tmp_path / "data")
    assert times_done(path.parent, (store, "_write")) == 1
    left = sorted(file.name.removeprefix(path.name) for file in path.parent.iterdir())
    assert left == ["", ".packed.npy", ".packed.npy.json"]


def _add_one(path, times):
    for _ in range(times):
        with making(path, ""):
            before = int(path.read_text())
            time.sleep(0.0002)
            path.write_text(str(before + 1))


def test_a_lock_taken_and_removed_many_times_never_lets_two_in(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add_one, args=(path, 50)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert path.read_text() == "200"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_holder_frees_the_lock(tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib; from system.files import making\n"
            "with making(pathlib.Path(sys.argv[1]), ''): print('held', flush=True); time.sleep(60)",
            str(tmp_path / "file"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    assert (tmp_path / "file.lock").exists()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with making(tmp_path / "file", ""):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_bytes(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_message(tmp_path):
    with (
        pytest.raises(UserError, match="cannot write .*/file: No space left on device; free some space"),
        replacing(tmp_path / "file"),
    ):
        raise OSError(28, "No space left on device")
    assert np.array_equal(list(tmp_path.iterdir()), [])


def test_the_source_names_the_options_so_that_other_images_are_not_taken_for_the_same(small_dsprites):
    sources = [load_dataset("dsprites", small_dsprites, fixed_shape=s, progress=False).source for s in (None, 0, 1)]
    assert len(set(sources)) == 3 and sources[1] == f"{sources[0]}, fixed_shape 0"
