// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"reflect"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// adapter turns facts into CEL values, one at a time, when they are read. It
// knows a closed list of Go types: what is not on it is an error, never a guess
// (a json.Number would become a string).
type adapter struct{}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case ref.Val:
		return v
	case nil:
		return types.NullValue
	case string:
		return types.String(v)
	case bool:
		return types.Bool(v)
	case int64:
		return types.Int(v)
	case float64:
		return types.Double(v)
	case []string:
		return types.NewStringList(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case map[string]string:
		return types.NewStringStringMap(a, v)
	case *policy.Token:
		return newObject(tokenKind, v, v == nil)
	case *policy.Party:
		return newObject(partyKind, v, v == nil)
	case *policy.RequestFacts:
		return newObject(requestKind, v, v == nil)
	case []ref.Val:
		return types.NewRefValList(a, v)
	case map[ref.Val]ref.Val:
		return types.NewRefValMap(a, v)
	case int, int32, uint, uint32, uint64, []byte, time.Duration, time.Time:
		return types.DefaultTypeAdapter.NativeToValue(v)
	}
	return types.NewErr("unsupported value")
}

// object is a token, a client or the request as a value of its own, so as an
// element of a list.
type object struct {
	kind  *kind
	value any
}

func newObject(k *kind, value any, absent bool) ref.Val {
	if absent {
		return types.WrapErr(errAbsent)
	}
	return object{k, value}
}

// ConvertToNative implements ref.Val.
func (o object) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s has no other form", o.kind.typ.TypeName())
}

// ConvertToType implements ref.Val.
func (o object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return o.kind.typ
	}
	return types.NewErr("no such overload")
}

// Equal implements ref.Val. Two tokens of one person are neither clearly equal
// nor clearly different; the author says which fields are meant.
func (o object) Equal(ref.Val) ref.Val {
	return types.NewErr("no such overload")
}

// Type implements ref.Val.
func (o object) Type() ref.Type { return o.kind.typ }

// Value implements ref.Val.
func (o object) Value() any { return o.value }

// Get implements traits.Indexer: reading a field where the type is not known.
func (o object) Get(index ref.Val) ref.Val {
	name, ok := index.(types.String)
	if !ok {
		return types.NewErr("no such overload")
	}
	f, ok := o.kind.fields[string(name)]
	if !ok {
		return types.NewErr("no such key: %s", string(name))
	}
	v, err := f.GetFrom(o.value)
	if err != nil {
		return types.WrapErr(err)
	}
	return adapter{}.NativeToValue(v)
}

// IsSet implements traits.FieldTester.
func (o object) IsSet(name ref.Val) ref.Val {
	s, ok := name.(types.String)
	if !ok {
		return types.NewErr("no such overload")
	}
	f, ok := o.kind.fields[string(s)]
	if !ok {
		return types.NewErr("no such key: %s", string(s))
	}
	return types.Bool(f.IsSet(o.value))
}

// provider knows the types of this package and no protocol buffers, so that an
// expression cannot build any.
type provider struct{ idents types.Provider }

// EnumValue implements types.Provider.
func (provider) EnumValue(string) ref.Val { return types.NewErr("no enumerations here") }

// FindIdent implements types.Provider: the names of the basic types.
func (p provider) FindIdent(name string) (ref.Val, bool) { return p.idents.FindIdent(name) }

// FindStructType implements types.Provider.
func (provider) FindStructType(name string) (*types.Type, bool) {
	if k := kindByName(name); k != nil {
		return types.NewTypeTypeWithParam(k.typ), true
	}
	return nil, false
}

// FindStructFieldNames implements types.Provider.
func (provider) FindStructFieldNames(name string) ([]string, bool) {
	if k := kindByName(name); k != nil {
		return k.names, true
	}
	return nil, false
}

// FindStructFieldType implements types.Provider.
func (provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	k := kindByName(name)
	if k == nil {
		return nil, false
	}
	f, ok := k.fields[field]
	return f, ok
}

// NewValue implements types.Provider.
func (provider) NewValue(string, map[string]ref.Val) ref.Val {
	return types.NewErr("no such overload")
}
