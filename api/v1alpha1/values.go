// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Duration is a length of time, written as up to four numbers with the units
// h, m, s or ms: 720h, 1h30m, 500ms.
//
// +kubebuilder:validation:MaxLength=28
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
type Duration string

// durationPattern is the pattern of Duration. Four terms of at most 99999h are
// 1.44e18 nanoseconds, below the 9.22e18 that time.Duration holds, so that what
// matches cannot overflow.
var durationPattern = regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`)

// Parse returns the length of time that d says. An empty d is absent, which is
// for the caller to interpret, and is refused here.
func (d Duration) Parse() (time.Duration, error) {
	if !durationPattern.MatchString(string(d)) {
		return 0, errors.New("expected a duration such as 5m, 1h30m or 500ms")
	}
	parsed, err := time.ParseDuration(string(d))
	if err != nil {
		return 0, errors.New("expected a duration such as 5m, 1h30m or 500ms")
	}
	return parsed, nil
}

// Time is a moment, written as RFC 3339 puts it: 2027-01-31T00:00:00Z. An empty
// string means absent.
//
// +kubebuilder:validation:MaxLength=35
// +kubebuilder:validation:Pattern=`^$|^((19[7-9]|2[0-9]{2})[0-9]-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|(19(7[26]|8[048]|9[26])|2[0-9](0[48]|[2468][048]|[13579][26])|2[048]00)-02-29)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
type Time string

// maxTimeLength is the length of 2027-01-31T00:00:00.123456789+00:00.
const maxTimeLength = 35

// Parse returns the moment that t says. An empty t is absent, which is for the
// caller to interpret, and is refused here.
func (t Time) Parse() (time.Time, error) {
	if len(t) == 0 || len(t) > maxTimeLength {
		return time.Time{}, errors.New("expected a time such as 2027-01-31T00:00:00Z")
	}
	parsed, err := time.Parse(time.RFC3339Nano, string(t))
	if err != nil {
		return time.Time{}, errors.New("expected a time such as 2027-01-31T00:00:00Z")
	}
	return parsed, nil
}

// JSON is a free JSON object, such as the claims of a token. Its bytes are kept
// as they were written.
//
// +kubebuilder:object:generate=false
type JSON struct {
	// Raw is the JSON text of the object.
	Raw []byte `json:"-"`
}

// MarshalJSON returns the text of the object, or null when there is none.
func (j JSON) MarshalJSON() ([]byte, error) {
	if len(j.Raw) == 0 {
		return []byte("null"), nil
	}
	return j.Raw, nil
}

// UnmarshalJSON keeps the text of the object. Null is no object.
func (j *JSON) UnmarshalJSON(data []byte) error {
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		j.Raw = nil
		return nil
	}
	j.Raw = bytes.Clone(data)
	return nil
}

// Object returns the members of the object, with numbers kept as they were
// written. No object has no members.
func (j JSON) Object() (map[string]any, error) {
	if len(j.Raw) == 0 {
		return map[string]any{}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(j.Raw))
	decoder.UseNumber()
	members := map[string]any{}
	if err := decoder.Decode(&members); err != nil {
		return nil, fmt.Errorf("expected a JSON object: %w", err)
	}
	return members, nil
}

// DeepCopyInto copies j into out.
func (j *JSON) DeepCopyInto(out *JSON) {
	out.Raw = bytes.Clone(j.Raw)
}

// DeepCopy returns a copy of j that shares nothing with it.
func (j *JSON) DeepCopy() *JSON {
	if j == nil {
		return nil
	}
	return &JSON{Raw: bytes.Clone(j.Raw)}
}
