// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestDurationParsesWhatItsPatternAdmits(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text Duration
		want time.Duration
		bad  bool
	}{
		"one term":                     {text: "5m", want: 5 * time.Minute},
		"several terms":                {text: "1h30m", want: 90 * time.Minute},
		"milliseconds beside minutes":  {text: "1m1ms", want: time.Minute + time.Millisecond},
		"nothing, which is a duration": {text: "0s"},
		"the longest that there is":    {text: "99999h99999h99999h99999h", want: 4 * 99999 * time.Hour},
		"five terms":                   {text: "1h1h1h1h1h", bad: true},
		"a number without unit":        {text: "5", bad: true},
		"a fraction":                   {text: "1.5h", bad: true},
		"a sign":                       {text: "-5m", bad: true},
		"days":                         {text: "1d", bad: true},
		"absence":                      {text: "", bad: true},
		"a line end":                   {text: "5m\n", bad: true},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.text.Parse()
			if (err != nil) != test.bad || got != test.want {
				t.Errorf("expected %v and an error: %t, found %v and %v", test.want, test.bad, got, err)
			}
		})
	}
	if longest := int64(4*99999) * int64(time.Hour); longest > math.MaxInt64/2 {
		t.Errorf("the longest duration is near to overflow: %d", longest)
	}
}

func TestTimeParsesRFC3339(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text Time
		want time.Time
		bad  bool
	}{
		"a time in UTC":         {text: "2027-01-31T00:00:00Z", want: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
		"a time with an offset": {text: "2027-01-31T01:00:00+01:00", want: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
		"a fraction":            {text: "2027-01-31T00:00:00.5Z", want: time.Date(2027, 1, 31, 0, 0, 0, 5e8, time.UTC)},
		"a leap day":            {text: "2028-02-29T00:00:00Z", want: time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC)},
		"no leap day":           {text: "2027-02-29T00:00:00Z", bad: true},
		"a date":                {text: "2027-01-31", bad: true},
		"absence":               {text: "", bad: true},
		"a novel":               {text: "2027-01-31T00:00:00.0000000000000000000000000000000Z", bad: true},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.text.Parse()
			if (err != nil) != test.bad || !got.Equal(test.want) {
				t.Errorf("expected %v and an error: %t, found %v and %v", test.want, test.bad, got, err)
			}
		})
	}
}

func TestClaimsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	const text = `{"client":"a","issuer":"corp","claims":{"n":12345678901234567890,"s":"<>"}}`
	var given ExampleRequest
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		t.Fatal(err)
	}
	members, err := given.Claims.Object()
	if err != nil || members["n"] != json.Number("12345678901234567890") {
		t.Errorf("expected the number as it was written, found %v and %v", members["n"], err)
	}
	copied := given.DeepCopy()
	given.Claims.Raw[1] = '!'
	if copied.Claims.Raw[1] == '!' {
		t.Error("a copy shares the bytes of its original")
	}
	if members, err := (JSON{}).Object(); err != nil || len(members) != 0 {
		t.Errorf("no claims should be no members, found %v and %v", members, err)
	}
	if _, err := (JSON{Raw: []byte(`[]`)}).Object(); err == nil {
		t.Error("a list is no object")
	}
	encoded, err := json.Marshal(ExampleRequest{Client: "a", Issuer: "corp"})
	if err != nil || string(encoded) != `{"client":"a","issuer":"corp"}` {
		t.Errorf("absent claims should be left out, found %s and %v", encoded, err)
	}
}

func TestAnEmptyListOfDefaultScopesIsNotAbsent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{`{"clients":[],"defaultScopes":[]}`: true, `{"clients":[]}`: false} {
		var target PolicyTarget
		if err := json.Unmarshal([]byte(text), &target); err != nil {
			t.Fatal(err)
		}
		if got := target.DeepCopy().DefaultScopes != nil; got != want {
			t.Errorf("%s: expected presence %t, found %t", text, want, got)
		}
		encoded, err := json.Marshal(target)
		if err != nil || string(encoded) != text {
			t.Errorf("expected %s, found %s and %v", text, encoded, err)
		}
	}
}
