// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof_test

import (
	"encoding/json"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

var now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

const endpoint = "https://sts.example.com/token"

// service is a token service with an issuer, and hosts by which it is reached too.
func service(t testing.TB, name string, hosts ...string) *policy.TokenService {
	t.Helper()
	s, err := policy.Compile(&policy.Spec{Format: policy.Format, Services: []policy.Service{{
		Name: name, Issuer: "https://sts.example.com", Hosts: hosts, Algorithm: "ES256",
	}}}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	svc, _ := s.Service(name)
	return svc
}

// ring has the keys of the token service `default`.
func ring(t testing.TB) *keys.Ring {
	t.Helper()
	r := keys.InMemory()
	plan := keys.Plan{Algorithm: "ES256", Rotation: keys.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour}, Retain: time.Hour}
	if err := r.Ensure("default", plan, now); err != nil {
		t.Fatal(err)
	}
	return r
}

// holder is somebody with a key.
var holder = sync.OnceValue(func() *jose.PrivateKey { //nolint:gochecknoglobals // made once for all tests
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		panic(err)
	}
	return key
})

// made is a proof with these claims changed or, when nil, taken out.
func made(t testing.TB, change map[string]any) string {
	t.Helper()
	claims := map[string]any{"jti": "proof-1", "htm": "POST", "htu": endpoint, "iat": now.Unix()}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.SignEmbedded(holder(), "dpop+jwt", payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func memory(since time.Time) *store.Memory {
	return store.NewMemory(func() time.Time { return since }, store.MemoryLimits{})
}

// verifier watches since long ago.
func verifier(t testing.TB) *proof.Verifier {
	t.Helper()
	return proof.New(memory(now.Add(-time.Hour)), ring(t))
}

func reasonOf(ref *policy.Refusal) policy.Reason {
	if ref == nil {
		return policy.ReasonNone
	}
	return ref.Reason
}
