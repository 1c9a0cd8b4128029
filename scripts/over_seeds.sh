#!/usr/bin/env bash
# Run main.py with the given flags once for every seed, one after the other: scripts/over_seeds.sh --log-path DIR [flags]
#
# Start it again at any time: finished seeds are skipped, unfinished ones go on from their last checkpoint, missing ones
# start. A seed's run is found by the seed recorded in DIR/version_<n>/args.json.
#
#   SEEDS   the seeds, separated by spaces [0 1 2 3 4 5 6 7 8 9]
#   PYTHON  the interpreter [.venv/bin/python, else python3]
#   CUDA_VISIBLE_DEVICES  which GPU to use, as always: one loop per GPU, each with SEEDS of its own, shares the work
#
# Exit status: 75 when it was asked to stop (SIGTERM, SIGINT), 1 when a run failed (the others were made), else 0.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

if [[ -z ${PYTHON:-} ]]; then
    PYTHON=python3
    [[ -x .venv/bin/python ]] && PYTHON=.venv/bin/python
fi
read -r -a seeds <<<"${SEEDS:-0 1 2 3 4 5 6 7 8 9}"
failed=()
child=
trap '[[ -n $child ]] && kill -TERM "$child" 2>/dev/null' TERM INT

for seed in "${seeds[@]}"; do
    "$PYTHON" main.py "$@" --seed "$seed" --resume once &
    child=$!
    status=0
    # A trapped signal ends `wait` early: wait again, until the run is gone.
    while kill -0 "$child" 2>/dev/null; do
        wait "$child"
        status=$?
    done
    if ((status == 75)); then
        exit 75
    elif ((status != 0)); then
        failed+=("$seed")
    fi
done

if ((${#failed[@]})); then
    echo "failed: seeds ${failed[*]}; see status.json of their runs" >&2
    exit 1
fi
