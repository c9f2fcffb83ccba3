##@ Generate

# What the markers in api/ become: deep copies in Go, and the CRDs.

.PHONY: generate
generate: ## Write the deep copy functions of the API types, and the gRPC code of the signer's contract.
	$(TOOL) controller-gen object:headerFile=hack/tools/boilerplate.go.txt paths=./api/...
	$(GO) -C hack/tools/proto run . exchanger/keys/signer/signerapi/signer.proto

.PHONY: manifests
manifests: ## Write the CRDs into config/crd, and the chart's copy of them.
	$(TOOL) controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd
	@$(MAKE) --no-print-directory chart-crds

# At a release, right after its tag: what users have is what changes are measured by.
.PHONY: api-baseline
api-baseline: ## Make the CRDs of this checkout those that later ones must be compatible with.
	$(GO) test -count=1 ./test/api -args -released
