// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"strings"
	"sync"
	"testing"
)

func TestF362AFloodOfRefusalsDoesNotFloodTheLog(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	images(s).send().allowed()
	before := len(s.errs.String())
	const each = 150
	token := s.user()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range each {
				s.ask(token).basic("shop/"+strings.ToLower(random()), appSecret).images().send()
				s.ask("nonsense").app().images().send()
			}
		})
	}
	all.Wait()
	records := s.records()
	t.Run("F362: the audit has every one of them", func(t *testing.T) {
		if len(records) != 1+4*each*2 {
			t.Errorf("%d records", len(records))
		}
	})
	t.Run("F362: the log has none", func(t *testing.T) {
		if grown := len(s.errs.String()) - before; grown > 2048 {
			t.Errorf("standard error grew by %d bytes:\n%s", grown, s.errs.String()[before:])
		}
	})
	t.Run("F362: those that nobody authenticated are counted together", func(t *testing.T) {
		n := 0
		for line := range strings.Lines(s.get("/metrics").body) {
			if strings.HasPrefix(line, "exchequer_client_requests_total{") {
				n++
			}
		}
		if n > 8 {
			t.Errorf("%d series of clients", n)
		}
	})
}
