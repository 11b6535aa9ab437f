# Each target does all the set-up that it needs; cargo and the user's cache see to it that nothing is done twice.

CARGO ?= cargo
PYTHON ?= python3
DEMO = target/demo
BINARIES = target/release

DATA = $${XDG_DATA_HOME:-$$HOME/.local/share}/carousel

.PHONY: help demo test test-python test-browser fuzz build install libtorch lint light bench bench-distributed dist test-faults miri minimal-versions deny

help:
	@echo "make demo      go on from a model that ships to the tales in corpora/ for half a minute, and write one; forecast a series; translate; train a classifier, and classify"
	@echo "make test      every check and every test"
	@echo "make fuzz      a minute of damaged and random bytes for everything that is read (CAROUSEL_FUZZ_SECONDS for each)"
	@echo "make test-faults  runs killed at 100 moments of each task, disks that fill at each system call"
	@echo "make miri      a test of the threads of the kernels under Miri, which finds races and wrong pointers"
	@echo "make minimal-versions  the oldest crates that the manifests allow"
	@echo "make deny      licences and sources of all crates (cargo-deny)"
	@echo "make test-python  the package for Python, our files in other libraries, OpenAI's client, in a venv of its own"
	@echo "make test-browser  the page of \`carousel serve\` in Chromium, wide and narrow, with axe"
	@echo "make build     the two programs, in $(BINARIES)/"
	@echo "make install   the same, and the models, to be used from any folder"
	@echo "make libtorch  libtorch for the CPU, into the user's cache; CUDA=1 for the GPU too"
	@echo "make lint      formatting, clippy, and whether corpora/series/ is as its script makes it"
	@echo "make bench     speed beside PyTorch and statsforecast, with a venv of its own"
	@echo "make bench-distributed  two processes beside one"
	@echo "make dist      an archive that runs without libtorch; TRAIN=1 with it"

demo: build
	rm -rf $(DEMO)
	$(BINARIES)/carousel train corpora/tales --from reviews -o $(DEMO) --time 30s
	$(BINARIES)/carousel generate -m $(DEMO) -p "The old man" --length 150 --seed 1
	$(BINARIES)/carousel forecast corpora/series/monthly.csv --horizon 6
	$(BINARIES)/carousel translate "Where is the station?" "I would like a coffee with milk."
	rm -rf $(DEMO)-reviews
	$(BINARIES)/carousel train-classifier corpora/reviews.csv --from reviews -o $(DEMO)-reviews --time 20s
	$(BINARIES)/carousel classify -m $(DEMO)-reviews "what a lovely book" "the soup was cold and so was the waiter"

test: lint light build
	$(CARGO) test --release --locked --workspace

# One after another, so that each has its seconds for itself.
fuzz:
	CAROUSEL_FUZZ_SECONDS=$${CAROUSEL_FUZZ_SECONDS:-60} $(CARGO) test --release --locked --package carousel --test tests fuzz:: -- --nocapture --test-threads=1
	$(CARGO) build --release --locked --workspace
	CAROUSEL_FUZZ_SECONDS=$${CAROUSEL_FUZZ_SECONDS:-60} $(CARGO) test --release --locked --package carousel-train --test learning resuming:: -- --nocapture

# In long form: FAULTS kills of a run of each task, and a disk that fills at each system call.
FAULTS ?= 100
test-faults: build
	CAROUSEL_FAULTS=$(FAULTS) $(CARGO) test --release --locked --package carousel-train --test learning faults

# The unsafe code that needs no instructions of its own, under an interpreter that checks every access; tests/README.md. It needs
# `rustup component add --toolchain nightly miri rust-src`.
MIRI_TESTS = a_panic_in_a_part
miri:
	MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test --locked --target-dir target/miri-build --package carousel-kernels --lib -- $(MIRI_TESTS)

# The oldest crates that the manifests allow, in a copy, so that Cargo.lock stays.
MINIMAL = target/minimal-versions
minimal-versions:
	rm -rf $(MINIMAL)/tree
	mkdir -p $(MINIMAL)/tree
	git ls-files -z --cached | tar --null --files-from - --create | tar --extract --directory $(MINIMAL)/tree
	ln -s "$$(readlink -f .libtorch)" $(MINIMAL)/tree/.libtorch
	cd $(MINIMAL)/tree && $(CARGO) +nightly update -Z direct-minimal-versions && $(CARGO) check --workspace --target-dir ../build

# Licences and sources of all crates, and versions that are there twice; needs `cargo install cargo-deny`.
deny:
	$(CARGO) deny --workspace check licenses bans sources

test-python:
	$(CARGO) build --release --locked --package carousel
	$(PYTHON) tests/openai_client.py
	$(PYTHON) tests/python/run.py

test-browser: build
	tests/browser/run.sh

build: libtorch
	$(CARGO) build --release --locked --workspace

# Both programs are installed from one build.
install: libtorch
	$(CARGO) install --locked --path .
	$(CARGO) install --locked --path crates/train
	mkdir -p "$(DATA)"
	cp -R checkpoints/reviews checkpoints/sentiment checkpoints/en-fr checkpoints/shakespeare "$(DATA)"

libtorch:
	@$(PYTHON) scripts/libtorch.py $(if $(CUDA),--cuda)

lint: libtorch
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	$(PYTHON) scripts/series.py --check

# What runs where libtorch has never been depends on nothing that wants it.
light:
	@tree=$$($(CARGO) tree --locked --package carousel --edges normal,build) || exit 1; \
	if echo "$$tree" | grep -E "(tch|torch-sys) v"; then echo "the light program depends on libtorch"; exit 1; fi

bench: build
	$(PYTHON) benches/generation.py
	$(PYTHON) benches/training.py
	$(PYTHON) benches/sentiment.py
	$(PYTHON) benches/forecasting.py
	$(PYTHON) benches/translation.py
	$(PYTHON) benches/translating.py

bench-distributed: build
	$(PYTHON) benches/distributed.py

# Writing needs no libtorch, so neither does packing what writes.
dist: $(if $(TRAIN),build)
	@CARGO="$(CARGO)" TRAIN="$(TRAIN)" scripts/dist.sh
