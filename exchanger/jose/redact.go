// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// secret is embedded in whatever holds key material. Its methods have value
// receivers, so that a copy is as silent as a pointer; Format answers every
// verb, %#v included.
type secret struct{}

// String hides the secret.
func (secret) String() string { return redacted }

// Format hides the secret from every verb of package fmt.
func (secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText hides the secret from every text, JSON and YAML encoder.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON hides the secret from JSON encoders.
func (secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue hides the secret from slog.
func (secret) LogValue() slog.Value { return slog.StringValue(redacted) }
