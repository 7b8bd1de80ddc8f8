# Every target makes the environment it needs in .venv and uses it again; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUBS := proto/onnxplain/v1

.PHONY: demo test lint proto bench-gpu clean

demo: $(VENV)/run
	$(BIN)/python examples/demo.py

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) proto PROTO_OUT=$(VENV)/stubs
	for stub in $(VENV)/stubs/onnxplain/v1/*; do diff $$stub $(STUBS) || exit; done

PROTO_OUT ?= proto
proto: $(VENV)/dev
	mkdir -p $(PROTO_OUT)
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(PROTO_OUT) --pyi_out=$(PROTO_OUT) \
	    --grpc_python_out=$(PROTO_OUT) onnxplain/v1/explain.proto

bench-gpu: $(VENV)/run
	$(BIN)/python bench/gpu_artefacts.py $(VENV)/gpu
	$(BIN)/python bench/gpu.py $(VENV)/gpu

$(VENV)/run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/dev: $(VENV)/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-out
