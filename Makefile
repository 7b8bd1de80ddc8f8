# Every target installs what it needs into .venv, once. `parity` uses .venv-parity (a newer PyTorch),
# `bench` .venv-bench (with Captum), `portability` .venv-portability (OpenVINO) and
# bench/web/node_modules, `wheel` throw-away environments. Nothing is installed elsewhere.
PYTHON ?= python3
# The extra that brings ONNX Runtime: gpu where that wheel exists. After `make clean`, another one can
# be chosen: `make test RUNTIME=cpu`.
RUNTIME ?= $(if $(filter Linux-x86_64 MINGW%-x86_64 MSYS%-x86_64,$(shell uname -s)-$(shell uname -m)),gpu,cpu)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(patsubst proto/%,%,$(wildcard proto/onnxplain/*/*.proto))

.PHONY: demo docs notebooks test test-all lint wheel proto generate docs-methods bench load bench-cold-start bench-gpu bench-memory bench-pictures bench-rewriting bench-values default-layers fuzz gallery gpu-placement parity portability soak torchvision-preset clean

demo: $(VENV)/run
	$(BIN)/python examples/demo.py

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2

# The whole suite, in which `make test` leaves out most runs of the fast lowering and what takes
# long, with 3,000 random networks in the property test instead of 300.
test-all: $(VENV)/dev
	ONNXPLAIN_PROPERTY_CASES=3000 $(BIN)/python -m pytest -n 2

# Mutated models and requests, against a process and a service that they may not bring down.
MODELS ?= 70000
REQUESTS ?= 50000
fuzz: $(VENV)/dev
	$(BIN)/python tests/hostile/fuzz_models.py $(MODELS)
	$(BIN)/python tests/hostile/fuzz_requests.py $(REQUESTS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against proto/explain.binpb
	rm -rf $(VENV)/stubs
	$(MAKE) proto PROTO_OUT=$(VENV)/stubs
	for stub in $(VENV)/stubs/onnxplain/*/*; do diff $$stub proto/$${stub#$(VENV)/stubs/} || exit; done

# Builds the documentation's site into site/.
docs: $(VENV)/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Executes the notebooks of examples/ and keeps them with their outputs in .notebooks/.
notebooks: $(VENV)/dev
	$(BIN)/python examples/run_notebooks.py .notebooks

# Builds both wheels into dist/, then installs and tries them on every Python that is found.
wheel: $(VENV)/run
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist \
	    . ./clients/python
	$(PYTHON) packaging/try_wheels.py dist

PROTO_OUT ?= proto
proto: $(VENV)/dev
	mkdir -p $(PROTO_OUT)
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(PROTO_OUT) --pyi_out=$(PROTO_OUT) \
	    --grpc_python_out=$(PROTO_OUT) $(PROTOS)
	rm -f $$(grep -L Stub $(PROTO_OUT)/onnxplain/*/*_pb2_grpc.py)

# The tables of docs/methods.md and the types of options, which a test holds to the declarations.
generate docs-methods: $(VENV)/run
	$(BIN)/python docs/generate.py

# GOALS="one many" measures these tables of docs/performance.md; NETS="resnet18 vgg16" measures these
# networks, and writes nothing.
bench: $(VENV)-bench/run
	$(VENV)-bench/bin/python bench/performance.py --goals $(GOALS) --nets $(NETS)

$(VENV)-bench/run: pyproject.toml
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python $(PIP_INSTALL) \
	    torch==2.15.0 torchvision==0.29.2 captum==0.9.0 onnxscript --editable '.[$(RUNTIME)]'
	touch $@

bench-gpu: $(VENV)/run
	$(BIN)/python bench/gpu_artefacts.py $(VENV)/gpu
	$(BIN)/python bench/gpu.py $(VENV)/gpu --seconds 480 --page docs/gpu.md

# Where ONNX Runtime places each node; needs no GPU, but the runtime's wheel for one.
gpu-placement: $(VENV)/run
	$(BIN)/python bench/gpu_artefacts.py $(VENV)/gpu
	$(BIN)/python bench/gpu_placement.py $(VENV)/gpu --page docs/gpu.md

bench-cold-start: $(VENV)/run
	$(BIN)/python bench/cold_start.py

bench-memory: $(VENV)/run
	$(BIN)/python bench/memory.py

bench-pictures: $(VENV)/run
	$(BIN)/python bench/large_pictures.py

# MINUTES=10 of mixed load while workers are killed; writes its section of docs/reliability.md.
MINUTES ?= 10
soak: $(VENV)/run
	$(BIN)/python bench/soak.py --minutes $(MINUTES) --page docs/reliability.md

gallery: $(VENV)/dev
	test -e .gallery/epoch_10.onnx || $(BIN)/python examples/train_checkpoints.py .gallery
	$(BIN)/python examples/gallery.py

bench-values: $(VENV)/run
	$(BIN)/python bench/values.py

# What the service adds to the engine's time; writes a section of docs/performance.md.
load: $(VENV)/run
	$(BIN)/python bench/load.py

bench-rewriting: $(VENV)/run
	$(BIN)/python bench/rewriting.py

# NETS="resnet18 vgg11" measures these networks; without it, all without a current result.
parity: $(VENV)-parity/run
	$(VENV)-parity/bin/python bench/parity.py $(NETS)

# NETS="resnet18 vit_b_32" prints these networks' rows; without it, writes docs/default-layers.md.
default-layers: $(VENV)-parity/run
	$(VENV)-parity/bin/python bench/default_layers.py $(NETS)

$(VENV)-parity/run: pyproject.toml
	$(PYTHON) -m venv $(VENV)-parity
	$(VENV)-parity/bin/python $(PIP_INSTALL) \
	    torch==2.15.0 torchvision==0.29.2 timm onnxscript --editable '.[$(RUNTIME)]'
	touch $@

torchvision-preset: $(VENV)-parity/run
	$(VENV)-parity/bin/python bench/torchvision_preset.py

portability: $(VENV)-portability/run bench/web/node_modules
	$(VENV)-portability/bin/python bench/portability.py

$(VENV)-portability/run: pyproject.toml
	$(PYTHON) -m venv $(VENV)-portability
	$(VENV)-portability/bin/python $(PIP_INSTALL) \
	    torch==2.13.0 openvino==2026.4.1 --editable '.[$(RUNTIME)]'
	touch $@

bench/web/node_modules: bench/web/package.json
	cd bench/web && npm install --no-package-lock --no-audit --no-fund
	touch $@

$(VENV)/run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) --editable '.[$(RUNTIME)]'
	touch $@

$(VENV)/dev: $(VENV)/run
	$(BIN)/python $(PIP_INSTALL) --editable '.[$(RUNTIME),test,dev,docs]'
	$(BIN)/python $(PIP_INSTALL) --no-deps zennit==0.5.1
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-bench $(VENV)-parity $(VENV)-portability bench/web/node_modules demo-out dist site .notebooks .gallery .parity
