#!/usr/bin/env bash
# The paper's 3D Shapes experiment, ten seeds: scripts/train_shapes3d.sh [more flags for main.py, such as --epochs 1]
#
#   DATA  folder of the official file, which is fetched into it if it is missing [none: the project's replica]
#   LOGS  where the runs go [logs/shapes3d]
#
# SEEDS, PYTHON, CUDA_VISIBLE_DEVICES, restarting and exit status: see scripts/over_seeds.sh.
set -euo pipefail

data=()
if [[ -n ${DATA:-} ]]; then
    data=(--data-path="$DATA" --eval_data_path="$DATA")
fi
exec "$(dirname "${BASH_SOURCE[0]}")/over_seeds.sh" \
    --model=lie_group --epochs=70 --batch-size=256 --latents 10 --learning-rate=1e-4 \
    --subgroup_sizes_ls '[400]' --subspace_sizes_ls '[10]' --lie_alg_init_scale 0.001 \
    --hy_hes 20 --hy_rec 0.1 --hy_commute 0 --forward_eg_prob=0.2 --recons_loss_type=l2 \
    --log-path="${LOGS:-logs/shapes3d}" --dataset=shapes3d --eval_dataset=shapes3d --split=0 \
    ${data[@]+"${data[@]}"} "$@"
