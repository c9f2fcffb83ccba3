// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// The bounds of an example's claims: what a token of at most 16 KiB can say.
const (
	maxClaims      = 64
	maxClaimBytes  = 16 << 10
	maxClaimLevels = 16
)

// exampleClaims decodes claims as a token's are: integers as int64, other numbers
// as float64.
func exampleClaims(raw []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return map[string]any{}, nil
	}
	if len(raw) > maxClaimBytes {
		return nil, fmt.Errorf("expected at most %d bytes, found %d", maxClaimBytes, len(raw))
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("expected a JSON object")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("expected a JSON object")
	}
	if len(m) > maxClaims {
		return nil, fmt.Errorf("expected at most %d members, found %d", maxClaims, len(m))
	}
	return m, strict(m, maxClaimLevels)
}

// strict turns the numbers inside v into what a token's are.
func strict(v any, levels int) error {
	if levels == 0 {
		return fmt.Errorf("expected at most %d levels", maxClaimLevels)
	}
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			n, err := strictValue(x[k], levels)
			if err != nil {
				return err
			}
			x[k] = n
		}
	case []any:
		for i, e := range x {
			n, err := strictValue(e, levels)
			if err != nil {
				return err
			}
			x[i] = n
		}
	}
	return nil
}

func strictValue(v any, levels int) (any, error) {
	n, ok := v.(json.Number)
	if !ok {
		return v, strict(v, levels-1)
	}
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, errors.New("a number is out of range")
	}
	return f, nil
}
