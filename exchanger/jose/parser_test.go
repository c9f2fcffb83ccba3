// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"fmt"
	"reflect"
	"strings"
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
	refused, _, _ := strings.Cut(bad, ".")
	accepted, _, _ := strings.Cut(good, ".")
	if p.known(accepted) == nil {
		t.Error("what was accepted is not remembered")
	}
	if p.known(refused) != nil {
		t.Error("what was refused is remembered")
	}
}

// More headers than slots must share them, and none may be taken for another.
func TestHeadersThatShareASlotAreNotMistaken(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	p := NewParser(Limits{})
	for i := range 2 * headerSlots {
		kid := fmt.Sprintf("key-%d", i)
		c, err := p.Parse(b64(header(t, key, map[string]any{"kid": kid})) + "." + b64(claims) + ".AAAA")
		if err != nil {
			t.Fatal(err)
		}
		if c.KeyID() != kid {
			t.Fatalf("%s was read as %s", kid, c.KeyID())
		}
	}
}
