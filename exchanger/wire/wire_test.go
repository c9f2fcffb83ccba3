// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// slots are Secrets in memory: the chunks by name and the pointer.
type slots struct {
	t       *testing.T
	pointer *Pointer
	chunks  map[string][]byte
}

func newSlots(t *testing.T) *slots {
	t.Helper()
	return &slots{t: t, chunks: map[string][]byte{}}
}

func (s *slots) get(name string) ([]byte, error) {
	b, ok := s.chunks[name]
	if !ok {
		return nil, fmt.Errorf("no Secret %s", name)
	}
	return b, nil
}

// publish does what a writer does, and returns what it wrote.
func (s *slots) publish(spec *policy.Spec) Plan {
	s.t.Helper()
	return s.publishIn(released(), spec)
}

func (s *slots) publishIn(b bounds, spec *policy.Spec) Plan {
	s.t.Helper()
	revision := uint64(1)
	if s.pointer != nil {
		revision = s.pointer.Revision + 1
	}
	plan, err := b.encode(spec, revision, s.pointer)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range plan.Write {
		s.chunks[c.Name] = c.Data
	}
	// The pointer goes the way of the Secret: as bytes.
	p, err := ParsePointer(plan.Pointer.Marshal())
	if err != nil {
		s.t.Fatal(err)
	}
	if !reflect.DeepEqual(p, plan.Pointer) {
		s.t.Fatalf("the pointer is read as %+v, written as %+v", p, plan.Pointer)
	}
	s.pointer = &p
	return plan
}

func (s *slots) read() *policy.Spec {
	s.t.Helper()
	spec, err := Decode(*s.pointer, s.get)
	if err != nil {
		s.t.Fatal(err)
	}
	return spec
}

func (s *slots) mustRead(want *policy.Spec) {
	s.t.Helper()
	if got, want := marshal(s.t, s.read()), marshal(s.t, want); !bytes.Equal(got, want) {
		s.t.Fatalf("read:\n%s\nwant:\n%s", got, want)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// specOf has a token service and n policies of about 600 bytes.
func specOf(n int) *policy.Spec {
	spec := &policy.Spec{
		Format:   policy.Format,
		Services: []policy.Service{{Name: "default", Issuer: "https://sts.example.com", Algorithm: "ES256", RevokeIssuedBefore: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}},
		Clients:  []policy.Client{{ID: "shop/web", Namespace: "shop", Name: "web", TokenService: "default", Labels: map[string]string{"b": "<&>", "a": "ü"}}},
	}
	for i := range n {
		spec.Policies = append(spec.Policies, policyOf(i))
	}
	return spec
}

func policyOf(i int) policy.Policy {
	return policy.Policy{
		Namespace: "shop", Name: fmt.Sprintf("policy-%05d", i), TokenService: "default", Clients: []string{"shop/web"},
		SubjectIssuers: []string{"corp"}, SubjectClasses: []policy.Class{policy.ClassAccessToken},
		SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient}, Targets: []string{fmt.Sprintf("shop/api-%05d", i)},
		Scopes: []string{"read", "write"}, TokenTypes: []policy.TokenType{policy.TypeAccessToken}, Lifetime: time.Minute,
		Rules: []policy.Rule{{Expression: fmt.Sprintf(`subject.username.startsWith("u%d")`, i), Message: strings.Repeat("x", 250)}},
	}
}

// nothing is a compiler for Specs whose expressions do not matter.
type nothing struct{}

func (nothing) Compile(policy.Environment, policy.ResultType, string) (policy.Program, error) {
	return program{}, nil
}

type program struct{ policy.Program }

func TestWhatIsPublishedIsWhatIsRead(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]*policy.Spec{
		"nothing at all":     {Format: policy.Format},
		"a few objects":      specOf(3),
		"several chunks":     specOf(1500),
		"text to be escaped": {Format: policy.Format, Services: []policy.Service{{Name: "a", Issuer: "<>&\u2028\\ufffd\uFFFD\x00"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlots(t)
			plan := s.publish(spec)
			s.mustRead(spec)
			snapshot, err := policy.Compile(spec, 1, nothing{})
			if err != nil {
				t.Fatal(err)
			}
			if snapshot.Digest() != plan.Pointer.Digest {
				t.Error("the pointer's digest is not the compiled snapshot's")
			}
		})
	}
}

func TestTextThatIsNotUTF8IsPublishedAsWhatJSONMakesOfIt(t *testing.T) {
	t.Parallel()
	s := newSlots(t)
	s.publish(&policy.Spec{Format: policy.Format, Services: []policy.Service{{Name: "a", Issuer: "\xff"}}})
	s.mustRead(&policy.Spec{Format: policy.Format, Services: []policy.Service{{Name: "a", Issuer: "\uFFFD"}}})
}

func TestEqualInputGivesEqualBytes(t *testing.T) {
	t.Parallel()
	a, b := specOf(1500), specOf(1500)
	slices.Reverse(b.Policies)
	before := marshal(t, b)
	one, err := Encode(a, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Encode(b, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(one, two) {
		t.Error("the order of a list changed what is published")
	}
	if !bytes.Equal(before, marshal(t, b)) {
		t.Error("Encode changed the Spec")
	}
}

func TestOneChangedPolicyWritesOneChunkAndThePointer(t *testing.T) {
	t.Parallel()
	s := newSlots(t)
	first := s.publish(specOf(1500))
	if n := len(first.Pointer.Chunks); n != 16 {
		t.Fatalf("%d chunks, want 16: %d policies of 600 bytes, 64 KiB a chunk", n, 1500)
	}
	spec := specOf(1500)
	spec.Policies[700].Lifetime = time.Hour
	second := s.publish(spec)
	if len(second.Write) != 1 {
		t.Fatalf("%d chunks are written for one changed policy", len(second.Write))
	}
	s.mustRead(spec)
	if again := s.publish(spec); len(again.Write) != 0 || !again.Unchanged(&second.Pointer) {
		t.Error("what did not change is written again")
	}
	if second.Unchanged(&first.Pointer) || second.Unchanged(nil) {
		t.Error("a change is called none")
	}
}

func TestAReaderOfTheFormerPointerStillFindsItsChunks(t *testing.T) {
	t.Parallel()
	s := newSlots(t)
	spec := specOf(200)
	s.publish(spec)
	for i := range 5 {
		former := *s.pointer
		want := marshal(t, s.read())
		spec.Policies[i].Lifetime++
		s.publish(spec)
		got, err := Decode(former, s.get)
		if err != nil || !bytes.Equal(marshal(t, got), want) {
			t.Fatalf("publication %d overwrote what the pointer before it names: %v", i, err)
		}
	}
}

func TestTheNumberOfChunksFollowsTheSizeAndDoesNotFlap(t *testing.T) {
	t.Parallel()
	s := newSlots(t)
	bits := func(n int) int { return s.publish(specOf(n)).Pointer.Bits }
	for _, step := range []struct {
		policies, want int
		why            string
	}{
		{10, 0, "a few KiB fit one chunk"},
		{130, 1, "70 KiB are more than one chunk should hold"},
		{90, 1, "back below the boundary, but not below a quarter of it"},
		{130, 1, "and up again: nothing flaps"},
		{1500, 4, "700 KiB are 16 chunks"},
		{900, 4, "half of it keeps them"},
		{300, 3, "below 16 KiB a chunk there are fewer, with room to grow"},
		{8000, 6, "64 is the most; beyond it chunks grow"},
		{1, 0, "and back to one"},
	} {
		if got := bits(step.policies); got != step.want {
			t.Errorf("%d policies: %d bits, want %d: %s", step.policies, got, step.want, step.why)
		}
		s.mustRead(specOf(step.policies))
	}
}

func TestWhatDoesNotFitASecretIsNotPublished(t *testing.T) {
	t.Parallel()
	noise := make([]byte, maxCompressed)
	_, _ = rand.Read(noise)
	for name, message := range map[string]string{
		"more than a Secret holds, compressed":   hex.EncodeToString(noise),
		"more than a reader takes, uncompressed": strings.Repeat("a", maxChunkBytes),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specOf(1)
			spec.Policies[0].Rules[0].Message = message
			if _, err := Encode(spec, 1, nil); !errors.Is(err, ErrTooLarge) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestADamagedChunkIsRefused(t *testing.T) {
	t.Parallel()
	other := func(s *slots, content string) []byte {
		data, err := compress([]byte(content))
		if err != nil {
			s.t.Fatal(err)
		}
		return data
	}
	for name, spoil := range map[string]func(s *slots, name string){
		"missing":        func(s *slots, name string) { delete(s.chunks, name) },
		"empty":          func(s *slots, name string) { s.chunks[name] = nil },
		"cut off":        func(s *slots, name string) { s.chunks[name] = s.chunks[name][:len(s.chunks[name])-9] },
		"not compressed": func(s *slots, name string) { s.chunks[name] = []byte(`{"format":1}`) },
		"of another":     func(s *slots, name string) { s.chunks[name] = other(s, `{"format":1}`) },
		"a bomb":         func(s *slots, name string) { s.chunks[name] = other(s, strings.Repeat(" ", 64<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlots(t)
			s.publish(specOf(3))
			spoil(s, s.pointer.Chunks[0].Name())
			_, err := Decode(*s.pointer, s.get)
			if err == nil {
				t.Fatal("it was read")
			}
			if name != "missing" && !errors.Is(err, ErrChunk) {
				t.Errorf("%v does not say that the pointer should be read again", err)
			}
			if !strings.Contains(err.Error(), s.pointer.Chunks[0].Name()) {
				t.Errorf("%v does not name the slot", err)
			}
		})
	}
}

// forge publishes bytes as the only chunk, with the right hash.
func forge(s *slots, content string) {
	s.t.Helper()
	data, err := compress([]byte(content))
	if err != nil {
		s.t.Fatal(err)
	}
	ref := &s.pointer.Chunks[0]
	ref.Hash, ref.Bytes = digest([]byte(content)), len(content)
	s.chunks[ref.Name()] = data
}

func TestAChunkOfAnotherShapeIsRefused(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a member that this build does not know": `{"format":1,"denials":[]}`,
		"an unknown member of an object":         `{"format":1,"services":[{"name":"a","beware":true}]}`,
		"another format than the pointer says":   `{"format":2}`,
		"two documents":                          `{"format":1}{"format":1}`,
		"no JSON":                                `nonsense`,
		"whole, but not what the digest names":   `{"format":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlots(t)
			s.publish(specOf(1))
			forge(s, content)
			if _, err := Decode(*s.pointer, s.get); err == nil {
				t.Error("it was read")
			}
		})
	}
}

func TestPointersThatNoWriterWritesAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil  func(p *Pointer)
		format bool
	}{
		"a later version":            {func(p *Pointer) { p.Version = 2 }, true},
		"no format":                  {func(p *Pointer) { p.Format = 0 }, false},
		"no revision":                {func(p *Pointer) { p.Revision = 0 }, false},
		"a revision beyond JSON":     {func(p *Pointer) { p.Revision = 1 << 53 }, false},
		"an upper-case digest":       {func(p *Pointer) { p.Digest = strings.ToUpper(p.Digest) }, false},
		"a short digest":             {func(p *Pointer) { p.Digest = "ab" }, false},
		"seven bits":                 {func(p *Pointer) { p.Bits = 7 }, false},
		"a side that is none":        {func(p *Pointer) { p.Chunks[0].Side = "c" }, false},
		"no side":                    {func(p *Pointer) { p.Chunks[0].Side = "" }, false},
		"an index beyond its bits":   {func(p *Pointer) { p.Chunks[0].Index = 1 }, false},
		"a negative index":           {func(p *Pointer) { p.Chunks[0].Index = -1 }, false},
		"an index twice":             {func(p *Pointer) { p.Chunks = append(p.Chunks, p.Chunks[0]) }, false},
		"a chunk without hash":       {func(p *Pointer) { p.Chunks[0].Hash = "" }, false},
		"a chunk larger than any is": {func(p *Pointer) { p.Chunks[0].Bytes = maxChunkBytes + 1 }, false},
		"a chunk of nothing":         {func(p *Pointer) { p.Chunks[0].Bytes = 0 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlots(t)
			s.publish(specOf(1))
			tc.spoil(s.pointer)
			_, err := ParsePointer(s.pointer.Marshal())
			if err == nil {
				t.Fatal("it was read")
			}
			if got := errors.Is(err, ErrFormat); got != tc.format {
				t.Errorf("%v: about the format: %v, want %v", err, got, tc.format)
			}
			if _, err := Decode(*s.pointer, s.get); err == nil && !tc.format {
				t.Error("Decode took it")
			}
		})
	}
	for name, document := range map[string]string{
		"empty": "", "no JSON": "{", "a list": "[]", "larger than any is": strings.Repeat(" ", maxPointerBytes+1),
		"an unknown member": `{"version":1,"format":1,"revision":1,"digest":"` + strings.Repeat("0", 64) + `","bits":0,"chunks":[],"more":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := ParsePointer([]byte(document)); err == nil {
				t.Error("it was read")
			}
		})
	}
}

func TestAFormatOfTheFutureIsToldApart(t *testing.T) {
	t.Parallel()
	s := newSlots(t)
	s.publish(specOf(1))
	for _, format := range []int{2, 1<<32 + 1} {
		s.pointer.Format = format
		if _, err := Decode(*s.pointer, s.get); !errors.Is(err, ErrFormat) {
			t.Errorf("format %d: got %v", format, err)
		}
	}
	if _, err := ParsePointer([]byte(`{"version":2,"format":1,"something":"new"}`)); !errors.Is(err, ErrFormat) {
		t.Errorf("a pointer with members of a later version: got %v", err)
	}
}

func TestTheFormatIsTheNewestThatEveryReplicaReads(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		replicas [][]int32
		want     int
		ok       bool
	}{
		"no replica":                            {nil, policy.Format, true},
		"all read it":                           {[][]int32{{1}, {1, 2}}, policy.Format, true},
		"one reads only what comes after":       {[][]int32{{1}, {2}}, 0, false},
		"one has not said yet what it reads":    {[][]int32{{1}, nil}, 0, false},
		"one reads more than this build writes": {[][]int32{{1, 2, 3}}, policy.Format, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := ChooseFormat(tc.replicas); got != tc.want || ok != tc.ok {
				t.Errorf("got %d, %v", got, ok)
			}
		})
	}
	if !slices.Contains(ReadsFormats(), int32(policy.Format)) {
		t.Error("this build does not read what it writes")
	}
}

func TestADecoderFetchesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	s := newSlots(t)
	spec := specOf(1500)
	s.publish(spec)
	fetched := map[string]bool{}
	get := func(name string) ([]byte, error) {
		fetched[name] = true
		return s.get(name)
	}
	d := &Decoder{}
	read := func() int {
		t.Helper()
		clear(fetched)
		missing := map[string]bool{}
		for _, ref := range d.Missing(*s.pointer) {
			missing[ref.Name()] = true
		}
		got, err := d.Decode(*s.pointer, get)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(marshal(t, got), marshal(t, spec)) {
			t.Fatal("it is not what was published")
		}
		if !maps.Equal(missing, fetched) {
			t.Errorf("%d are missing, %d were fetched", len(missing), len(fetched))
		}
		return len(fetched)
	}
	if n := read(); n != 16 {
		t.Errorf("%d chunks are fetched at first", n)
	}
	spec.Policies[3].Lifetime = time.Hour
	s.publish(spec)
	if n := read(); n != 1 {
		t.Errorf("%d chunks are fetched for one changed policy", n)
	}
	if n := read(); n != 0 {
		t.Errorf("%d chunks are fetched for nothing", n)
	}
}

func TestEveryListOfASpecIsCarried(t *testing.T) {
	t.Parallel()
	for i := range reflect.TypeFor[policy.Spec]().NumField() {
		f := reflect.TypeFor[policy.Spec]().Field(i)
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			if f.Name == "Format" {
				return
			}
			if f.Type.Kind() != reflect.Slice {
				t.Fatal("it is not a list: teach the chunks to carry it")
			}
			if name, ok := f.Type.Elem().FieldByName("Name"); !ok || name.Type.Kind() != reflect.String {
				t.Fatal("its elements have no Name to be spread by")
			}
		})
	}
}

func TestSlotNamesAreFixed(t *testing.T) {
	t.Parallel()
	names := SlotNames()
	if len(names) != 128 || names[0] != "exchequer-snapshot-a-00" || names[127] != "exchequer-snapshot-b-63" || !slices.IsSorted(names) {
		t.Errorf("%d names from %s to %s", len(names), names[0], names[len(names)-1])
	}
	if SlotName('a', 7) != "exchequer-snapshot-a-07" {
		t.Error(SlotName('a', 7))
	}
}
