// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package limit_test

import (
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/limit"
)

func TestACircuitOpensAfterFiveFailuresAndIsTriedByOne(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	fail := func(c *limit.Circuit, times int) {
		for range times {
			c.Report(false, now)
		}
	}
	for name, tc := range map[string]struct {
		before func(c *limit.Circuit)
		at     time.Duration
		want   bool
	}{
		"four failures are tolerated":                        {func(c *limit.Circuit) { fail(c, 4) }, 0, true},
		"five are not":                                       {func(c *limit.Circuit) { fail(c, 5) }, 0, false},
		"nor just before the pause is over":                  {func(c *limit.Circuit) { fail(c, 5) }, 5*time.Second - 1, false},
		"one tries when it is over":                          {func(c *limit.Circuit) { fail(c, 5) }, 5 * time.Second, true},
		"nobody else does meanwhile":                         {func(c *limit.Circuit) { fail(c, 5); c.Admit(now.Add(5 * time.Second)) }, 5 * time.Second, false},
		"a success in between counts from the beginning":     {func(c *limit.Circuit) { fail(c, 4); c.Report(true, now); fail(c, 4) }, 0, true},
		"a try that succeeds closes it":                      {func(c *limit.Circuit) { fail(c, 5); c.Admit(now.Add(5 * time.Second)); c.Report(true, now) }, 0, true},
		"a try that nobody waited for leaves it to the next": {func(c *limit.Circuit) { fail(c, 5); c.Admit(now.Add(5 * time.Second)); c.Abandoned() }, 5 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c limit.Circuit
			tc.before(&c)
			if got := c.Admit(now.Add(tc.at)); got != tc.want {
				t.Errorf("admitted: %t, want %t", got, tc.want)
			}
		})
	}
}
