#!/usr/bin/env bash
# Run main.py with the given flags once for every seed, one after the other: scripts/over_seeds.sh --log-path DIR [flags]
#
# Start it again at any time: finished seeds are skipped, unfinished ones go on from their last checkpoint, missing ones
# start. A seed's run is found by the seed recorded in DIR/version_<n>/args.json.
#
#   SEEDS   the seeds, separated by spaces or lines [0 1 2 3 4 5 6 7 8 9]
#   JOBS    how many runs at a time, which share out the processor's cores (--num-threads) and show no bars [1]
#   PYTHON  the interpreter [the project's .venv/bin/python, else python3]
#   CUDA_VISIBLE_DEVICES  which GPU to use, as always: one loop per GPU, each with SEEDS of its own, shares the work
#
# Exit status: 75 when it was asked to stop (SIGTERM, SIGINT, SIGHUP), 2 for bad flags, 1 when a run failed (the others were
# made), else 0.
set -uo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1 # paths among the flags are the caller's

if [[ -z ${PYTHON:-} ]]; then
    PYTHON=python3
    [[ -x $project/.venv/bin/python ]] && PYTHON=$project/.venv/bin/python
fi
read -r -d '' -a seeds <<<"${SEEDS:-0 1 2 3 4 5 6 7 8 9}" # to the end, over the lines of $(seq 5)
children=()
signals=0
trap '((++signals)); ((${#children[@]})) && kill -TERM "${children[@]}" 2>/dev/null' TERM INT HUP

# Note the child that was just started, and stop it if a signal came before it was noted.
started() {
    children+=("$!")
    ((signals)) && kill -TERM "$!" 2>/dev/null
}

# The exit status of a child, once it is gone. A trapped signal ends `wait` early: wait again, for what it did not say.
status_of() {
    local before code status=127
    while
        before=$signals
        wait "$1"
        code=$?
        ((code == 127)) || status=$code
        ((signals != before))
    do :; done
    return "$status"
}

jobs=${JOBS:-1}
if [[ ! $jobs =~ ^[1-9][0-9]*$ ]]; then
    echo "error: JOBS is '$jobs': give the number of runs at a time, 1 or more" >&2
    exit 2
fi
"$PYTHON" "$project/main.py" "$@" --help-data >/dev/null # an error in the flags is said once, not for every seed
(($? == 2)) && exit 2
((signals)) && exit 75
if ((jobs > 1)); then
    # As many loops, each over every JOBS-th seed.
    cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
    ((threads = cores > jobs ? cores / jobs : 1))
    for ((job = 0; job < jobs && job < ${#seeds[@]}; job++)); do
        part=
        for ((i = job; i < ${#seeds[@]}; i += jobs)); do part+="${seeds[i]} "; done
        JOBS=1 SEEDS=$part "$project/scripts/over_seeds.sh" --num-threads "$threads" --quiet "$@" &
        started
        ((signals)) && break
    done
    worst=0
    for child in "${children[@]}"; do
        status_of "$child"
        status=$?
        ((worst = status > worst ? status : worst))
    done
    ((signals)) && exit 75
    exit "$worst"
fi

failed=()
for seed in "${seeds[@]}"; do
    "$PYTHON" "$project/main.py" "$@" --seed "$seed" --resume once &
    children=()
    started
    status_of "${children[0]}"
    status=$?
    if ((status == 75 || signals)); then
        exit 75
    elif ((status != 0)); then
        failed+=("$seed")
    fi
done

if ((${#failed[@]})); then
    echo "failed: seeds ${failed[*]}; see status.json of their runs" >&2
    exit 1
fi
