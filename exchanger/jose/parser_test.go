// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
)

// A header that is known must give what a header that is read gives, and a header
// that was refused is refused every time.
func TestAParserReadsWhatParseReads(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	good := b64(header(t, key, nil)) + "." + b64(claims) + ".AAAA"
	other := b64(header(t, key, map[string]any{"typ": "at+jwt"})) + "." + b64(claims) + ".AAAA"
	bad := b64(header(t, key, map[string]any{"crit": []string{"x"}})) + "." + b64(claims) + ".AAAA"
	p := NewParser(Limits{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				for _, token := range []string{good, other, bad} {
					want, wantErr := Parse(token, Limits{})
					got, err := p.Parse(token)
					if !reflect.DeepEqual(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
						t.Errorf("got %+v %v, want %+v %v", got, err, want, wantErr)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if p.known(bad[:10]) != nil {
		t.Error("what was refused is remembered")
	}
}
