# Two commands: `make demo` shows what the suite does, `make test` checks that it does it.
# Both make .venv on first use and need nothing but Python >= 3.10 and a package index.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
OLD := .venv-oldest
LITERT := .venv-litert

# Versions that are tested together; transformers 5 needs Python 3.11.
CONSTRAINTS := $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 11) and "constraints.txt" or "constraints-oldest.txt")')
# Without its version, Linux takes a build of torch with several GB of libraries for GPUs.
TORCH := 2.13.0

# pip would compile 20,000 modules, of which most are never imported; Python compiles the others as they come.
INSTALL := -m pip install --quiet --no-compile

# CI runs the slower tests as well.
MARKS := $(if $(CI),not long and not network and not gpu and not phone,)

# A file's tests share fixtures, so files are what processes share out; a core each, or they wait for each other.
# They go in the order of tests/conftest.py, the longest first.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# What both ends of the versions are tried with: every architecture, format and technique, the sources of models.
CORE := $(addprefix tests/test_,edgepress_weights.py edgepress_head.py edgepress_sources.py compress_prune_parts.py \
	compress_distill_slicing.py compress_finetune.py compress_trim_vocab.py compress_trim_vocab_kinds.py \
	compress_qat.py compress_sparsify.py \
	export_command.py export_onnx.py export_coreml.py export_openvino.py)

.PHONY: demo test test-oldest test-litert constraints clean

demo: $(VENV)/demo.stamp
	$(PY) -m compress.quantize --model distilbert --time-budget 10 --overwrite
	$(PY) -m compress.finetune --model minilm --task movie_reviews --epochs 2 --train-samples 1500 --eval-samples 300 --overwrite
	$(PY) -m compress.quantize --model outputs/minilm-movie_reviews --eval-samples 300 --time-budget 10 --overwrite
	@echo "made   outputs/minilm-movie_reviews: a classifier of film reviews, trained here on 1,500 of them"
	@echo "       outputs/minilm-movie_reviews-int8, outputs/distilbert-int8: ONNX files in fp32 and int8"
	@echo "look   at chart.png and README.md in both: size, latency and accuracy beside the model's"
	@echo "next   $(PY) -m export --model outputs/minilm-movie_reviews --formats torchscript coreml"
	@echo "       $(PY) -m compress.finetune --model minilm --task YOURS.csv --text-columns TEXT --label-column LABEL"

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(PY) -m pytest $(SIDE_BY_SIDE) $(if $(MARKS),-m "$(MARKS)") $(ARGS)
	$(if $(CI),$(MAKE) test-oldest)

# The lowest versions that pyproject.toml admits, transformers 4 among them.
test-oldest: $(OLD)/test.stamp
	OMP_NUM_THREADS=1 $(OLD)/bin/python -m pytest $(SIDE_BY_SIDE) $(ARGS) $(CORE)

# Its converter wants older libraries than the others, so that it is tested by itself.
test-litert: $(LITERT)/test.stamp
	OMP_NUM_THREADS=1 $(LITERT)/bin/python -m pytest $(SIDE_BY_SIDE) -m "not long" -k litert $(ARGS) \
		$(addprefix tests/test_,export_litert.py export_litert_lengths.py export_command.py every_architecture.py \
		compress_quantize.py compress_entities.py compress_question_answering.py compress_distill_static.py android_arm.py)

constraints: $(VENV)/test.stamp
	$(PY) -m pip install --quiet 'uv>=0.9,<1'
	$(call COMPILED,constraints.txt,)
	$(call COMPILED,constraints-litert.txt,--extra litert)
	$(call COMPILED,constraints-oldest.txt,--resolution lowest-direct --constraint $(VENV)/four.txt)

# Of libraries for GPUs nothing is said: which there are depends on the build of torch.
define COMPILED
	@echo torch==$(TORCH) > $(VENV)/torch.txt; echo 'transformers<5' > $(VENV)/four.txt
	@echo '# Written by `make constraints`: versions that are tested together.' > $(1)
	@$(PY) -m uv pip compile --quiet --no-header --no-annotate --python-version 3.11 --extra test pyproject.toml \
		--constraint $(VENV)/torch.txt $(2) | grep -v '^nvidia\|^triton\|^cuda' >> $(1)
endef

clean:
	rm -rf $(VENV) $(OLD) $(LITERT) outputs

$(VENV)/demo.stamp: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(PY) $(INSTALL) --constraint $(CONSTRAINTS) --editable .
	touch $@

$(VENV)/test.stamp: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(PY) $(INSTALL) --constraint $(CONSTRAINTS) --editable '.[test]'
	touch $@

$(OLD)/test.stamp: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(OLD)
	$(OLD)/bin/python $(INSTALL) --constraint constraints-oldest.txt --editable '.[test]'
	touch $@

$(LITERT)/test.stamp: pyproject.toml constraints-litert.txt
	$(PYTHON) -m venv $(LITERT)
	$(LITERT)/bin/python $(INSTALL) --constraint constraints-litert.txt --editable '.[test,litert]'
	touch $@
