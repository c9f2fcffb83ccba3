// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

const (
	// maxDepth is how deep an object may nest. The deepest field of the CRDs
	// lies 12 levels down; claims of an example are free, and tokens that nest
	// deeper than a few dozen levels are refused anyway.
	maxDepth = 64

	// maxBytes is the most that an object may hold, in bytes of keys and
	// values: etcd takes 1.5 MiB in one request, so a larger object could not
	// exist in a cluster.
	maxBytes = 1536 << 10
)

// copier copies decoded YAML or JSON into the types that the API server's own
// decoder gives, and counts.
type copier struct {
	bytes int
}

// copyObject returns a copy of an object that shares nothing with it, of maps,
// lists, strings, booleans, int64, float64 and nil only.
func copyObject(object map[string]any) (map[string]any, *Problem) {
	c := &copier{}
	copied, err := c.value(object, 0)
	if err != nil {
		return nil, &Problem{Message: err.Error()}
	}
	result, ok := copied.(map[string]any)
	if !ok || result == nil {
		return nil, &Problem{Message: "expected an object, found nothing"}
	}
	return result, nil
}

func (c *copier) count(bytes int) error {
	if c.bytes += bytes; c.bytes > maxBytes {
		return fmt.Errorf("the object is larger than %d KiB, which no cluster could store", maxBytes>>10)
	}
	return nil
}

func (c *copier) value(value any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the object nests deeper than %d levels", maxDepth)
	}
	if err := c.count(1); err != nil {
		return nil, err
	}
	switch typed := value.(type) {
	case nil:
		return nil, nil
	case bool:
		return typed, nil
	case string:
		return typed, c.count(len(typed))
	case map[string]any:
		return c.object(typed, depth)
	case []any:
		return c.list(typed, depth)
	case time.Time:
		// Some YAML decoders read an unquoted time as more than text; the API
		// server's does not.
		return typed.Format(time.RFC3339Nano), nil
	case map[any]any:
		return nil, fmt.Errorf("expected keys that are strings, found others: put quotes around them")
	}
	return number(value)
}

func (c *copier) object(object map[string]any, depth int) (any, error) {
	if object == nil {
		return nil, nil
	}
	copied := make(map[string]any, len(object))
	for key, value := range object {
		if err := c.count(len(key)); err != nil {
			return nil, err
		}
		member, err := c.value(value, depth+1)
		if err != nil {
			return nil, err
		}
		copied[key] = member
	}
	return copied, nil
}

func (c *copier) list(list []any, depth int) (any, error) {
	copied := make([]any, 0, len(list))
	for _, value := range list {
		item, err := c.value(value, depth+1)
		if err != nil {
			return nil, err
		}
		copied = append(copied, item)
	}
	return copied, nil
}

// number returns an int64 where the value is one, a float64 otherwise, as the
// API server's decoder does.
func number(value any) (any, error) {
	switch typed := value.(type) {
	case int:
		return int64(typed), nil
	case int32:
		return int64(typed), nil
	case int64:
		return typed, nil
	case uint64:
		if typed > math.MaxInt64 {
			return float64(typed), nil
		}
		return int64(typed), nil
	case float32:
		return finite(float64(typed))
	case float64:
		return finite(typed)
	case json.Number:
		if integer, err := typed.Int64(); err == nil {
			return integer, nil
		}
		float, err := typed.Float64()
		if err != nil {
			return nil, fmt.Errorf("expected a number that fits 64 bits")
		}
		return finite(float)
	}
	return nil, fmt.Errorf("expected JSON values only, found one of type %T", value)
}

// finite refuses what JSON cannot write, which YAML can: .inf and .nan.
func finite(value float64) (any, error) {
	if math.IsInf(value, 0) || math.IsNaN(value) {
		return nil, fmt.Errorf("expected JSON values only, found a number that is not finite")
	}
	return value, nil
}
