##@ Develop

.PHONY: fmt
fmt: ## Format the Go sources.
	$(LINT_TOOL) golangci-lint fmt

.PHONY: lint
lint: ## Run the linters of .golangci.yml.
	$(LINT_TOOL) golangci-lint run --build-tags e2e

.PHONY: docs
docs: ## Rewrite the field tables of docs/kinds from the CRDs, and check the pages.
	$(GO) run ./hack/docs -write

.PHONY: tidy
tidy: ## Tidy every go.mod.
	@for f in $$(git ls-files '*go.mod'); do echo "$$f"; (cd "$$(dirname "$$f")" && $(GO) mod tidy); done

# What generators write. `verify` fails when writing it again changes it.
GENERATED := api charts config exchanger/keys/signer/signerapi go.mod go.sum

.PHONY: verify
verify: ## Everything CI checks besides the tests: generated files, formatting, modules, docs, linters.
	@hack/verify.sh $(GENERATED)

##@ Supply chain

# These ask servers on the Internet, and so are no part of verify: the nightly
# workflow and the release run them. Could not look is never success.
.PHONY: special-addresses
special-addresses: ## Ask IANA whether our copy of its registries of special addresses is current.
	@$(GO) run ./hack/iana

.PHONY: vuln
vuln: ## Ask Go's database whether our code reaches a known vulnerability (VULN_DB=URL).
	@$(GO) -C hack/tools/vuln build -o $(CURDIR)/bin/vuln .
	@bin/vuln -db $(VULN_DB) ./...

VULN_DB ?= https://vuln.go.dev

.PHONY: reproduce
reproduce: ## Build the image twice, in two places, and compare the bytes (some minutes).
	@hack/reproduce.sh

.PHONY: test-signature
test-signature: ## Sign an image, push it to a registry in the test, and verify it (builds cosign, about 4 min).
	$(GO) -C hack/tools/cosign test -count=1 -v ./...
