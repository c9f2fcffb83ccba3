##@ Cluster

# What tests talk to: a real API server. Where the variable is set, what stands
# there is used as it is; otherwise it is built from the pins of hack/tools.
KUBEBUILDER_ASSETS ?=
ASSETS = $(or $(KUBEBUILDER_ASSETS),$$(hack/cluster/build.sh --where test))

.PHONY: test-assets
test-assets: ## Build kube-apiserver, etcd, kubectl and helm for the tests (once, about 4 min).
	@$(if $(KUBEBUILDER_ASSETS),:,hack/cluster/build.sh test >/dev/null)
