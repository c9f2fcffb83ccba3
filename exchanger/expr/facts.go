// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// kind is one of the object types that expressions see.
type kind struct {
	typ    *types.Type
	names  []string
	fields map[string]*types.FieldType
}

// field reads one fact; false says that it is absent. A fact that is known and
// empty is present.
type field[T any] struct {
	name string
	typ  *types.Type
	get  func(T) (any, bool)
}

// The names of the types are for messages. They hold a space, so that no
// expression can spell one and build a token of its own.
var (
	tokenKind   = newKind("a token", tokenFields())
	partyKind   = newKind("a client", partyFields())
	requestKind = newKind("a request", requestFields())
)

var (
	listOfStrings = types.NewListType(types.StringType)
	mapOfDyn      = types.NewMapType(types.StringType, types.DynType)
	mapOfStrings  = types.NewMapType(types.StringType, types.StringType)
)

func newKind[F any](name string, fields []field[*F]) *kind {
	k := &kind{typ: types.NewObjectType(name), fields: make(map[string]*types.FieldType, len(fields))}
	for _, f := range fields {
		k.names = append(k.names, f.name)
		k.fields[f.name] = &types.FieldType{
			Type: f.typ,
			IsSet: func(target any) bool {
				t, ok := target.(*F)
				if !ok || t == nil {
					return false
				}
				_, known := f.get(t)
				return known
			},
			GetFrom: func(target any) (any, error) {
				t, ok := target.(*F)
				if !ok || t == nil {
					return nil, errAbsent
				}
				v, known := f.get(t)
				if !known {
					return nil, errAbsent
				}
				return v, nil
			},
		}
	}
	return k
}

// errAbsent says that a fact was read that is not known.
var errAbsent = errors.New("absent")

func tokenFields() []field[*policy.Token] {
	text := func(name string, get func(*policy.Token) string) field[*policy.Token] {
		return field[*policy.Token]{name, types.StringType, func(t *policy.Token) (any, bool) {
			s := get(t)
			return s, s != ""
		}}
	}
	list := func(name string, get func(*policy.Token) []string) field[*policy.Token] {
		return field[*policy.Token]{name, listOfStrings, func(t *policy.Token) (any, bool) {
			v := get(t)
			return v, v != nil || !t.Partial
		}}
	}
	dyn := func(name string, get func(*policy.Token) map[string]any) field[*policy.Token] {
		return field[*policy.Token]{name, mapOfDyn, func(t *policy.Token) (any, bool) {
			v := get(t)
			return v, v != nil || !t.Partial
		}}
	}
	at := func(name string, get func(*policy.Token) time.Time) field[*policy.Token] {
		return field[*policy.Token]{name, types.TimestampType, func(t *policy.Token) (any, bool) {
			v := get(t)
			return types.Timestamp{Time: v.UTC()}, !v.IsZero()
		}}
	}
	return []field[*policy.Token]{
		text("issuer", func(t *policy.Token) string { return t.Issuer }),
		text("origin", func(t *policy.Token) string { return t.Origin }),
		text("subject", func(t *policy.Token) string { return t.Subject }),
		text("username", func(t *policy.Token) string { return t.Username }),
		// Unknown groups are not the same as none: a rule that refuses members of
		// a group must not pass because nobody knows who is one.
		{"groups", listOfStrings, func(t *policy.Token) (any, bool) { return t.Groups, t.Groups != nil }},
		list("scopes", func(t *policy.Token) []string { return t.Scopes }),
		list("audiences", func(t *policy.Token) []string { return t.Audiences }),
		text("clientID", func(t *policy.Token) string { return t.ClientID }),
		text("tokenType", func(t *policy.Token) string { return string(t.Class) }),
		text("tokenID", func(t *policy.Token) string { return t.TokenID }),
		dyn("extra", func(t *policy.Token) map[string]any { return t.Extra }),
		dyn("claims", func(t *policy.Token) map[string]any { return t.Claims }),
		at("issuedAt", func(t *policy.Token) time.Time { return t.IssuedAt }),
		at("expiresAt", func(t *policy.Token) time.Time { return t.ExpiresAt }),
	}
}

func partyFields() []field[*policy.Party] {
	text := func(name string, get func(*policy.Party) string) field[*policy.Party] {
		return field[*policy.Party]{name, types.StringType, func(p *policy.Party) (any, bool) { return get(p), true }}
	}
	return []field[*policy.Party]{
		text("id", func(p *policy.Party) string { return p.ID }),
		text("namespace", func(p *policy.Party) string { return p.Namespace }),
		text("name", func(p *policy.Party) string { return p.Name }),
		{"labels", mapOfStrings, func(p *policy.Party) (any, bool) { return p.Labels, true }},
	}
}

func requestFields() []field[*policy.RequestFacts] {
	list := func(name string, get func(*policy.RequestFacts) []string) field[*policy.RequestFacts] {
		return field[*policy.RequestFacts]{name, listOfStrings, func(r *policy.RequestFacts) (any, bool) { return get(r), true }}
	}
	text := func(name string, get func(*policy.RequestFacts) string) field[*policy.RequestFacts] {
		return field[*policy.RequestFacts]{name, types.StringType, func(r *policy.RequestFacts) (any, bool) { return get(r), true }}
	}
	return []field[*policy.RequestFacts]{
		list("audiences", func(r *policy.RequestFacts) []string { return r.Audiences }),
		list("resources", func(r *policy.RequestFacts) []string { return r.Resources }),
		list("scopes", func(r *policy.RequestFacts) []string { return r.Scopes }),
		text("requestedTokenType", func(r *policy.RequestFacts) string { return r.RequestedTokenType }),
		text("reason", func(r *policy.RequestFacts) string { return r.Reason }),
		{"details", mapOfDyn, func(r *policy.RequestFacts) (any, bool) { return r.Details, r.Details != nil }},
		{"context", mapOfDyn, func(r *policy.RequestFacts) (any, bool) { return r.Context, r.Context != nil }},
		{"time", types.TimestampType, func(r *policy.RequestFacts) (any, bool) {
			return types.Timestamp{Time: r.Time.UTC()}, !r.Time.IsZero()
		}},
	}
}

// variable is a name that an environment declares.
type variable struct {
	name string
	typ  *types.Type
	kind *kind
}

// variables returns what an environment declares, in the order of the contract.
func variables(env policy.Environment) []variable {
	subject := variable{"subject", tokenKind.typ, tokenKind}
	switch env {
	case policy.EnvClaims:
		return []variable{{"claims", mapOfDyn, nil}, {"header", mapOfDyn, nil}}
	case policy.EnvUser:
		return []variable{subject}
	case policy.EnvPolicy, policy.EnvScope:
		vars := []variable{
			{"request", requestKind.typ, requestKind},
			{"client", partyKind.typ, partyKind},
			subject,
			{"actor", tokenKind.typ, tokenKind},
			{"target", partyKind.typ, partyKind},
		}
		if env == policy.EnvScope {
			vars = append(vars, variable{"parameter", types.StringType, nil})
		}
		return vars
	}
	return nil
}

// names says which names an environment has, for a message.
func names(env policy.Environment) string {
	var out []string
	for _, v := range variables(env) {
		out = append(out, v.name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func kindByName(name string) *kind {
	for _, k := range []*kind{tokenKind, partyKind, requestKind} {
		if k.typ.TypeName() == name {
			return k
		}
	}
	return nil
}
