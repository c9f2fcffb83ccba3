##@ Chart

CHART := charts/exchequer
HELM = $(ASSETS)/helm

.PHONY: chart
chart: test-assets ## Check the chart and pack it into bin/.
	@$(HELM) lint --strict $(CHART)
	@mkdir -p bin && $(HELM) package $(CHART) --destination bin

.PHONY: manifests-chart
manifests-chart: test-assets ## Write config/ and the goldens of test/chart from the chart.
	$(GO) test -count=1 ./test/chart -run 'TestF366Profiles|TestF254|TestConfigIs' -args -update

# The chart's copy of the CRDs: helm reads nothing outside of a chart's folder.
.PHONY: chart-crds
chart-crds:
	@rm -f $(CHART)/files/crds/*.yaml && cp config/crd/exchequer.dev_*.yaml $(CHART)/files/crds/
