##@ Faults and figures of a cluster

FULL ?= 0
FAULTS_RUN ?= .

.PHONY: faults
faults: test-assets ## Break a cluster of processes, one fault after the other, and print figures (FULL=1: real outages of 10 minutes).
	@FAULTS_FULL=$(FULL) KUBEBUILDER_ASSETS="$(ASSETS)" $(GO) test -count=1 -v -timeout 60m -run '$(FAULTS_RUN)' ./test/faults \
	  | grep -vE '^=== |^ *--- PASS'

BENCH_CLUSTER_ARGS ?=

.PHONY: bench-cluster
bench-cluster: test-assets ## Measure the operator with up to 10,000 policies against a real API server (about 15 min).
	@KUBEBUILDER_ASSETS="$(ASSETS)" $(GO) run ./test/benchcluster $(BENCH_CLUSTER_ARGS)
