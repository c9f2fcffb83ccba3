// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// everything is the whole result, with what the golden files leave out.
func everything(t testing.TB, r translate.Result) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenInputs(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("golden inputs: %d files, error %v", len(files), err)
	}
	return files
}

// shuffle permutes every list of objects.
func shuffle(o *translate.Objects, r *rand.Rand) {
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		list := v.Field(i)
		r.Shuffle(list.Len(), reflect.Swapper(list.Interface()))
	}
}

func TestTheOrderOfTheInputMeansNothing(t *testing.T) {
	t.Parallel()
	for _, file := range goldenInputs(t) {
		for _, name := range []string{"F191: shuffled objects give the same bytes", "F273: whatever comes first, the end is the same"} {
			t.Run(name+" ("+filepath.Base(file)+")", func(t *testing.T) {
				t.Parallel()
				in := readInput(t, file)
				want := everything(t, translate.Translate(in))
				r := rand.New(rand.NewPCG(1, uint64(len(name))))
				for range 8 {
					shuffle(&in.Objects, r)
					if got := everything(t, translate.Translate(in)); !bytes.Equal(got, want) {
						t.Fatalf("another order gives\n%s\nwant\n%s", got, want)
					}
				}
			})
		}
	}
}

func TestTranslateLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	for _, file := range goldenInputs(t) {
		in, untouched := readInput(t, file), readInput(t, file)
		first := everything(t, translate.Translate(in))
		if !reflect.DeepEqual(in.Objects, untouched.Objects) || !reflect.DeepEqual(in.Secrets, untouched.Secrets) ||
			!reflect.DeepEqual(in.Namespaces, untouched.Namespaces) {
			t.Errorf("%s: the input was changed", file)
		}
		if again := everything(t, translate.Translate(in)); !bytes.Equal(first, again) {
			t.Errorf("%s: the second translation differs from the first", file)
		}
	}
}
