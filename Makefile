# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# Long enough for position and size to have a latent each, short enough to wait for. One shape only. Of five seeds, MIG is
# 0.22, 0.27, 0.46, 0.03, 0.09 and DCI 0.33, 0.34, 0.55, 0.07, 0.19: the seed is that of the medians.
DEMO = --dataset dsprites --fixed_shape 0 --recons_loss_type bce --batch-size 64 -lr 1e-3 --max-steps 1200 --split 0 \
	--hy_tc 5 --seed 0 --metric-preset fast --log-path logs/demo

# Two processes of tests, each with one thread and a file at a time. Compiled tests are kept for the next time.
AT_ONCE ?= 2
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile

.PHONY: demo test test-slow test-processors lint format bench clean

$(VENV)/.installed: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

demo: $(VENV)/.installed
	$(BIN)/python main.py $(DEMO)
	@run=$$(ls -td logs/demo/version_* | head -n 1) && $(BIN)/python -m logger.report $$run && \
	echo "Look first at $$run/traversals.png: in every row one latent moves, and its name says which factor follows it." && \
	echo "Then open $$run/report.html in a browser: scores, curves and all pictures on one page."

test: $(VENV)/.installed
	$(PYTEST)

test-slow: $(VENV)/.installed
	$(PYTEST) -m slow

# The numerical tests with the kernels that the libraries choose on other processors.
test-processors: $(VENV)/.installed
	$(BIN)/python -m tests.processors $(COMBINATIONS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each also runs alone, with options: `python -m benchmarks.train_step --help`.
bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.data
	$(BIN)/python -m benchmarks.metrics
	$(BIN)/python -m benchmarks.fidelity dsprites tests/data/dsprites_frames.npz

clean:
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
