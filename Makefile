# Two commands: `make demo` shows what the suite does, `make test` checks that it does it.
# Both make .venv on first use and need nothing but Python >= 3.10 and a package index.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

# CI runs the slower tests as well.
MARKS := $(if $(CI),not long and not network and not gpu and not phone,)

# A file's tests share fixtures, so files are what processes share out; a core each, or they wait for each other.
# They go in the order of tests/conftest.py, the longest first.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test clean

demo: $(VENV)/demo.stamp
	$(PY) -m compress.quantize --model distilbert --time-budget 10 --overwrite
	$(PY) -m compress.finetune --model minilm --task movie_reviews --epochs 1 --train-samples 1500 --eval-samples 300 --overwrite
	$(PY) -m compress.quantize --model outputs/minilm-movie_reviews --eval-samples 300 --time-budget 10 --overwrite
	@echo "made   outputs/minilm-movie_reviews: a classifier of film reviews, trained here on 1,500 of them"
	@echo "       outputs/minilm-movie_reviews-int8, outputs/distilbert-int8: ONNX files in fp32 and int8"
	@echo "look   at chart.png and README.md in both: size, latency and accuracy beside the model's"
	@echo "next   $(PY) -m export --model outputs/minilm-movie_reviews --formats torchscript coreml"
	@echo "       $(PY) -m compress.finetune --model minilm --task YOURS.csv --text-columns TEXT --label-column LABEL"

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(PY) -m pytest $(SIDE_BY_SIDE) $(if $(MARKS),-m "$(MARKS)") $(ARGS)

clean:
	rm -rf $(VENV) outputs

$(VENV)/demo.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --editable .
	touch $@

$(VENV)/test.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --editable '.[test]'
	touch $@
