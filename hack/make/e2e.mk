# Its heading stands in cluster.mk.

E2E_ARGS ?=

.PHONY: e2e
e2e: test-assets ## Install the chart on a cluster and use it: that of KUBECONFIG and E2E_IMAGE, else one of our own.
	@KUBEBUILDER_ASSETS="$(ASSETS)" hack/cluster/e2e.sh \
	  $(GO) test -tags e2e -count=1 -v -timeout 20m ./test/e2e -ginkgo.v $(E2E_ARGS) $(if $(filter 1,$(UPDATE)),-update)
