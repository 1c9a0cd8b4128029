#!/usr/bin/env bash
# The paper's dSprites experiment, ten seeds: scripts/train_dsprites.sh [more flags for main.py, such as --epochs 1]
#
#   DATA  folder of the official file, which is fetched into it if it is missing [none: the project's replica]
#   LOGS  where the runs go [logs/dsprites]
#
# SEEDS, PYTHON, CUDA_VISIBLE_DEVICES, restarting and exit status: see scripts/over_seeds.sh.
set -euo pipefail

data=()
if [[ -n ${DATA:-} ]]; then
    data=(--data-path="$DATA" --eval_data_path="$DATA")
fi
exec "$(dirname "${BASH_SOURCE[0]}")/over_seeds.sh" \
    --model=lie_group --epochs=70 --batch-size=256 --latents 10 --learning-rate=1e-4 \
    --subgroup_sizes_ls '[100]' --subspace_sizes_ls '[10]' --lie_alg_init_scale 0.001 \
    --hy_hes 40 --hy_rec 0.1 --hy_commute 0 --forward_eg_prob=0.2 --recons_loss_type=bce \
    --log-path="${LOGS:-logs/dsprites}" --dataset=dsprites --eval_dataset=dsprites --split=0 \
    ${data[@]+"${data[@]}"} "$@"
