"""Run directories, TensorBoard, the text log, checkpoints and pictures."""
