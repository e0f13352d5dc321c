# make demo   set everything up and serve the app at http://127.0.0.1:7860
# make test   set everything up and run the tests
# make bench  measure beside the peers (prox_tv needs LAPACK headers: apt-get install liblapacke-dev)
# make check  ruff and the type checker

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# cards, caches and the demo never leave this machine
export GRADIO_ANALYTICS_ENABLED := False

.PHONY: demo test bench check format clean

demo: $(VENV)/.app
	$(BIN)/python app.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.run

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch and torchvision come first and together: resolved apart, their builds may not match
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch torchvision
	touch $@

# one stamp an extra; the kernels are compiled where a compiler is found, and the app works without
$(VENV)/.app $(VENV)/.dev $(VENV)/.bench: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[$(patsubst .%,%,$(notdir $@))]"
	$(BIN)/python -m cuda_src.build
	touch $@

clean:
	rm -rf $(VENV) cuda_src/lib build *.egg-info
