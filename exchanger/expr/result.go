// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const (
	// maxDepth is how deep a result may nest: no deeper than a token may.
	maxDepth = 16
	// maxResult bounds a result: 250 kB is the largest token that it can come
	// from or go into.
	maxResult = 256 << 10
)

// converter turns a CEL value into what decoding JSON would give. It copies:
// nobody who changes the result changes the facts.
type converter struct {
	run  *run
	size int
}

func (c *converter) json(v ref.Val, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("gave a value nested more than %d deep", maxDepth)
	}
	if c.size += 4 + length(v); c.size > maxResult {
		return nil, fmt.Errorf("gave a value larger than %d bytes", maxResult)
	}
	c.run.charge(1)
	switch x := v.(type) {
	case types.Null:
		return nil, nil //nolint:nilnil // null is a value
	case types.Bool:
		return bool(x), nil
	case types.String:
		return string(x), nil
	case types.Int:
		return int64(x), nil
	case types.Uint:
		if x > math.MaxInt64 {
			return nil, errors.New("gave a number that is too large")
		}
		return int64(x), nil
	case types.Double:
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil, errors.New("gave a number that JSON cannot say")
		}
		return float64(x), nil
	case traits.Lister:
		return c.list(x, depth)
	case traits.Mapper:
		return c.object(x, depth)
	case *types.Err:
		return nil, errors.New("a claim has a type that expressions cannot read")
	}
	return nil, fmt.Errorf("gave %s, which JSON cannot say; convert it with string()", typeName(v))
}

func (c *converter) list(l traits.Lister, depth int) (any, error) {
	out := make([]any, 0, min(sizeOf(l), 1024))
	for it := l.Iterator(); it.HasNext() == types.True; {
		e, err := c.json(it.Next(), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func (c *converter) object(m traits.Mapper, depth int) (any, error) {
	out := make(map[string]any, min(sizeOf(m), 1024))
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, errors.New("gave a map whose keys are not all strings")
		}
		c.size += len(name)
		e, err := c.json(m.Get(key), depth+1)
		if err != nil {
			return nil, err
		}
		out[string(name)] = e
	}
	return out, nil
}

// typeName names the type of a value for people.
func typeName(v ref.Val) string {
	switch v.Type() {
	case types.StringType:
		return "a string"
	case types.IntType, types.UintType, types.DoubleType:
		return "a number"
	case types.BoolType:
		return "true or false"
	case types.NullType:
		return "null"
	case types.ListType:
		return "a list"
	case types.MapType:
		return "a map"
	case types.TimestampType:
		return "a timestamp"
	case types.DurationType:
		return "a duration"
	case types.BytesType:
		return "bytes"
	case types.TypeType:
		return "a type"
	}
	if o, ok := v.(object); ok {
		return o.kind.typ.TypeName()
	}
	return "something"
}
