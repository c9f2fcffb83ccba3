##@ Test

.PHONY: test
test: test-assets ## Run every test, with the race detector where a C compiler is there.
	$(if $(RACE),,@echo "no C compiler found (go env CGO_ENABLED): the race detector is off")
	@# The folder's name changes with the pins: results of older ones are not reused.
	KUBEBUILDER_ASSETS="$(ASSETS)" $(GO) test $(RACE) -shuffle=on -p $(TEST_PARALLEL) $(TEST_ARGS) ./...
	$(GO) -C hack/tools/image test ./...
	$(GO) -C hack/tools/vuln test ./...

TEST_ARGS ?=

.PHONY: test-signer
test-signer: ## Test the sample signer against SoftHSM, which it installs where it can.
	GO="$(GO)" hack/signer/test.sh

.PHONY: test-ldap
test-ldap: ## Test the example of an LDAP directory against OpenLDAP, which it installs where it can.
	GO="$(GO)" docs/examples/ldap-directory/test.sh

.PHONY: test-interop
test-interop: test-assets ## Have clients and verifiers of others use a running service (Node.js; parts go into the cache).
	$(GO) -C test/interop test -count=1 -timeout 5m $(INTEROP_ARGS) ./...

INTEROP_ARGS ?=

# Each golden test reads its own -update flag; packages without goldens do not
# know it, so only those that declare it are run.
GOLDEN_PACKAGES = $(sort $(dir $(shell grep -rlE --include='*_test.go' 'flag[.]Bool..update"' api cmd controllers exchanger hack test 2>/dev/null)))
UPDATE ?= 0

.PHONY: test-golden
test-golden: ## Run the golden tests; with UPDATE=1 rewrite their files for review.
	@for p in $(GOLDEN_PACKAGES); do \
	  echo "$(GO) test ./$$p $(if $(filter 1,$(UPDATE)),-update)"; \
	  $(GO) test -count=1 ./$$p $(if $(filter 1,$(UPDATE)),-args -update); \
	done

FUZZ_TIME ?= 1m

.PHONY: fuzz
fuzz: ## Run every fuzz target in turn, FUZZ_TIME each (default 1m), from the inputs of testdata/fuzz.
	@GO="$(GO)" hack/fuzz.sh $(FUZZ_TIME)

.PHONY: fuzz-keep
fuzz-keep: ## Copy some of the inputs that fuzzing found into testdata/fuzz, for the next commit.
	@GO="$(GO)" hack/fuzz.sh --keep

EXCHEQUER_VECTORS ?=

# Entries that need a package's own internals are run by that package's tests.
VECTOR_PACKAGES = ./test/vectors/ $(sort $(addprefix ./,$(dir $(shell grep -rl --include='*_test.go' 'exchequer/test/vectors"' exchanger 2>/dev/null))))

.PHONY: vectors
vectors: ## Run published JOSE vectors through our own entries (EXCHEQUER_VECTORS=directory).
	@if [ -z "$(EXCHEQUER_VECTORS)" ]; then \
	  echo "EXCHEQUER_VECTORS is not set: give the folder of the Wycheproof JSON files," >&2; \
	  echo "for example  make vectors EXCHEQUER_VECTORS=../wycheproof/testvectors_v1" >&2; exit 2; fi
	EXCHEQUER_VECTORS="$(abspath $(EXCHEQUER_VECTORS))" $(GO) test -count=1 -v -run Vector $(VECTOR_PACKAGES) | grep -vE "^ *(=== |--- PASS)"

.PHONY: bench
bench: ## Measure exchanges against a bare handler, and Decide with up to 100,000 policies.
	$(GO) run ./test/bench

.PHONY: coverage-spec
coverage-spec: ## List which numbered faults and protocol rules have a test, and why others have none.
	@$(GO) run ./hack/coverage-spec
